"""The server's own commands. They need the extra `server` and run the management commands of the same name."""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from ml_pipeline.cli import terminal
from ml_pipeline.cli.terminal import AsJson

SETTINGS_MODULE = "ml_pipeline.server.settings"

TrustedKeys = Annotated[
    list[str] | None, typer.Option("--trusted-key", help="A public key that the server had before.")
]
Before = Annotated[str, typer.Option(help="A day (UTC), YYYY-MM-DD, today at the latest.")]

keys_app = typer.Typer(help="API keys: made, listed, revoked.", no_args_is_help=True)
teams_app = typer.Typer(help="Teams and the people in them.", no_args_is_help=True)


def demo(
    research: Annotated[Path, typer.Option(help="The repository's research folder.")] = Path("research"),
) -> None:
    """Train, register and serve the three income classifiers, from nothing, on SQLite."""
    _make_secret_key()
    _run("demo", "--research", str(research))


def serve() -> None:
    """Serve on HOST and PORT until Ctrl-C."""
    _run("serve")


def worker() -> None:
    """Do background work until Ctrl-C; `demo` and `serve` have a worker beside them already."""
    _run("worker")


def migrate() -> None:
    """Bring the database up to date."""
    _run("migrate")


def verify_log(
    archives: Annotated[bool, typer.Option("--archives", help="Read the archives too.")] = False,
    trusted_key: TrustedKeys = None,
    as_json: AsJson = False,
) -> None:
    """Check that no row of the log of predictions was edited, removed or added."""
    wanted = ("--archives",) if archives else ()
    _run("verify_log", *wanted, *_trusted(trusted_key), *_json(as_json))


def archive(
    before: Before,
    to: Annotated[Path | None, typer.Option(help="Where its folder is made; by default `archive` under HOME.")] = None,
    trusted_key: TrustedKeys = None,
    as_json: AsJson = False,
) -> None:
    """Write the log before a day to Parquet; nothing is deleted."""
    where = () if to is None else ("--to", str(to))
    _run("archive", "--before", before, *where, *_trusted(trusted_key), *_json(as_json))


def prune(before: Before, trusted_key: TrustedKeys = None, as_json: AsJson = False) -> None:
    """Delete the log before a day, all of which must be archived; a signed tombstone stays."""
    _run("prune", "--before", before, *_trusted(trusted_key), *_json(as_json))


def erase_unit(
    unit: Annotated[str, typer.Argument(help="Whom or what predictions were about.")],
    endpoint: Annotated[str, typer.Option(help="Only under this endpoint.")] = "",
    trusted_key: TrustedKeys = None,
    as_json: AsJson = False,
) -> None:
    """Empty all that the log and its archives have about a unit; a signed tombstone stays."""
    where = ("--endpoint", endpoint) if endpoint else ()
    _run("erase_unit", *where, *_trusted(trusted_key), *_json(as_json), "--", unit)


@keys_app.command("create")
def create_key(
    name: Annotated[str, typer.Argument(help="What people call it.")],
    *,
    scope: Annotated[list[str], typer.Option(help="predict, feedback, read, manage or admin; repeatable.")],
    team: Annotated[str, typer.Option(help="The team in which it holds its scopes.")] = "default",
    all_teams: Annotated[bool, typer.Option("--all-teams", help="It holds them in all teams.")] = False,
    owner: Annotated[str, typer.Option(help="Who answers for it; by default whoever runs this.")] = "",
    days: Annotated[int | None, typer.Option(help="After how many days it expires; by default never.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make an API key and print it, once."""
    scopes = [argument for one in scope for argument in ("--scope", one)]
    where = ("--all-teams",) if all_teams else ("--team", team)
    _run("keys", "create", name, *scopes, *where, "--owner", owner, *_number("--days", days), *_json(as_json))


@keys_app.command("list")
def list_keys(as_json: AsJson = False) -> None:
    """List the API keys; their secrets are not stored."""
    _run("keys", "list", *_json(as_json))


@keys_app.command("revoke")
def revoke_key(name: Annotated[str, typer.Argument()], as_json: AsJson = False) -> None:
    """Make an API key invalid, everywhere within a second."""
    _run("keys", "revoke", name, *_json(as_json))


@teams_app.command("create")
def create_team(
    name: Annotated[str, typer.Argument(help="A lower-case letter, then up to 62 of a-z, 0-9, _ and -.")],
    description: Annotated[str, typer.Option()] = "",
) -> None:
    """Make a team."""
    _run("teams", "create", name, "--description", description)


@teams_app.command("limit")
def limit_team(
    team: Annotated[str, typer.Argument()],
    requests_per_s: Annotated[int | None, typer.Option(help="Requests a second, of all its keys together.")] = None,
    rows_per_day: Annotated[int | None, typer.Option(help="Rows a day (UTC), of all its keys together.")] = None,
) -> None:
    """Say how much a team may ask for; what is not said has no limit."""
    _run("teams", "limit", team, *_number("--requests-per-s", requests_per_s), *_number("--rows-per-day", rows_per_day))


@teams_app.command("list")
def list_teams(as_json: AsJson = False) -> None:
    """List the teams and who is in them."""
    _run("teams", "list", *_json(as_json))


@teams_app.command("add")
def add_member(
    team: Annotated[str, typer.Argument()],
    username: Annotated[str, typer.Argument()],
    role: Annotated[str, typer.Option(help="viewer, operator or administrator.")],
) -> None:
    """Put a person in a team, in a role; in it already, he has this role now."""
    _run("teams", "add", team, username, "--role", role)


@teams_app.command("remove")
def remove_member(team: Annotated[str, typer.Argument()], username: Annotated[str, typer.Argument()]) -> None:
    """Take a person out of a team."""
    _run("teams", "remove", team, username)


def _number(option: str, number: int | None) -> tuple[str, ...]:
    return () if number is None else (option, str(number))


def _trusted(keys: list[str] | None) -> tuple[str, ...]:
    return tuple(argument for one in keys or () for argument in ("--trusted-key", one))


def _json(wanted: bool) -> tuple[str, ...]:
    return ("--json",) if wanted else ()


def _make_secret_key() -> None:
    # Before Django reads its settings, which refuse to do without one.
    if os.environ.get("ML_PIPELINE_SECRET_KEY"):
        return
    home = Path(os.environ.get("ML_PIPELINE_HOME", ".ml_pipeline")).expanduser()
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Written whole under another name (mode 600) and linked: the file is there complete, or not, and never replaced.
    with tempfile.NamedTemporaryFile("w", dir=home) as handle, contextlib.suppress(FileExistsError):
        handle.write(secrets.token_urlsafe(48) + "\n")
        handle.flush()
        os.link(handle.name, home / "secret_key")


def _run(command: str, *arguments: str) -> None:
    try:
        import django
        from django.core.exceptions import ImproperlyConfigured
        from django.core.management import call_command
        from django.core.management.base import CommandError
        from django.db.utils import DatabaseError
    except ImportError:
        terminal.fail("This command needs the server: pip install 'ml-pipeline[server]'")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", SETTINGS_MODULE)
    try:
        django.setup()
        call_command(command, *arguments)
    except (CommandError, ImproperlyConfigured) as error:
        terminal.fail(str(error))
    except DatabaseError as error:
        terminal.fail(f"The database refused: {error}. Is it up to date? `ml-pipeline migrate` brings it there.")
