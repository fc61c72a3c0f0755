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

keys_app = typer.Typer(help="API keys: made, listed, revoked.", no_args_is_help=True)


def demo(
    research: Annotated[Path, typer.Option(help="The repository's research folder.")] = Path("research"),
) -> None:
    """Train, register and serve the three income classifiers, from nothing, on SQLite."""
    _make_secret_key()
    _run("demo", "--research", str(research))


def serve() -> None:
    """Serve on HOST and PORT until Ctrl-C."""
    _run("serve")


def migrate() -> None:
    """Bring the database up to date."""
    _run("migrate")


def verify_log(
    trusted_key: Annotated[list[str] | None, typer.Option(help="A public key that the server had before.")] = None,
    as_json: AsJson = False,
) -> None:
    """Check that no row of the log of predictions was edited, removed or added."""
    trusted = [argument for one in trusted_key or () for argument in ("--trusted-key", one)]
    _run("verify_log", *trusted, *_json(as_json))


@keys_app.command("create")
def create_key(
    name: Annotated[str, typer.Argument(help="What people call it.")],
    scope: Annotated[list[str], typer.Option(help="predict, feedback, read, manage or admin; repeatable.")],
    as_json: AsJson = False,
) -> None:
    """Make an API key and print it, once."""
    scopes = [argument for one in scope for argument in ("--scope", one)]
    _run("keys", "create", name, *scopes, *_json(as_json))


@keys_app.command("list")
def list_keys(as_json: AsJson = False) -> None:
    """List the API keys; their secrets are not stored."""
    _run("keys", "list", *_json(as_json))


@keys_app.command("revoke")
def revoke_key(name: Annotated[str, typer.Argument()], as_json: AsJson = False) -> None:
    """Make an API key invalid, everywhere within a second."""
    _run("keys", "revoke", name, *_json(as_json))


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
