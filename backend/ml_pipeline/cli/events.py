"""The audit of changes on the terminal."""

from __future__ import annotations

from typing import Annotated

import typer

from ml_pipeline.cli import terminal
from ml_pipeline.cli.terminal import AsJson


def events(
    *,
    action: Annotated[str | None, typer.Option(help="Only this, such as algorithm.moved.")] = None,
    actor: Annotated[str | None, typer.Option(help="Only by this actor, such as user:ann or key:ci.")] = None,
    subject: Annotated[str | None, typer.Option(help="Only on this subject.")] = None,
    team: Annotated[str | None, typer.Option(help="Only of this team.")] = None,
    since: Annotated[str | None, typer.Option(help="Only since this time, such as 2026-01-31T12:00:00Z.")] = None,
    until: Annotated[str | None, typer.Option(help="Only before this time.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many, the latest.", min=1, max=1_000)] = 50,
    as_json: AsJson = False,
) -> None:
    """Who changed what, when and from where, newest first. Needs a key with the scope admin."""
    with terminal.calling() as client:
        wanted = {"action": action, "actor": actor, "subject": subject, "team": team, "since": since, "until": until}
        found = client.events(limit=limit, **wanted)
    if as_json:
        terminal.show_json(found)
        return
    lines = [
        (one["created_at"], one["actor"], one["address"] or "on the server", one["action"], one["subject"])
        for one in found
    ]
    terminal.show_table(("when", "who", "from", "what", "of what"), lines)
