"""The `ml-pipeline` command. Exit codes: 0 done, 1 refused or failed, 2 wrong use, 3 not reachable.

What a command needs is imported when it runs, so that `--help` is there at once.
"""

from __future__ import annotations

from typing import Annotated

import typer

from ml_pipeline import __version__
from ml_pipeline.cli import abtests, alerts, batches, events, predictions, receivers, registry, server, status

app = typer.Typer(no_args_is_help=True, add_completion=False)
app.command()(server.demo)
app.command()(server.serve)
app.command()(server.worker)
app.command()(server.migrate)
app.command()(server.verify_log)
app.command()(server.archive)
app.command()(server.prune)
app.command()(server.erase_unit)
app.add_typer(server.keys_app, name="keys")
app.add_typer(server.teams_app, name="teams")
app.command()(registry.register)
app.command()(predictions.predict)
app.command()(registry.promote)
app.command()(registry.rollback)
app.command()(registry.history)
app.add_typer(abtests.app, name="abtest")
app.command()(batches.batch)
app.add_typer(batches.app, name="batches")
app.command()(status.status)
app.command()(status.report)
app.command()(events.events)
app.add_typer(alerts.app, name="alerts")
app.add_typer(receivers.app, name="receivers")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ml-pipeline {__version__}")
        raise typer.Exit


@app.callback()
def about(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """From a trained model to production."""


def main() -> None:
    """The entry point."""
    app()
