"""The `ml-pipeline` command. Exit codes: 0 done, 1 refused or failed, 2 wrong use, 3 not reachable.

What a command needs is imported when it runs, so that `--help` is there at once.
"""

from __future__ import annotations

import typer

from ml_pipeline.cli import predictions, registry, server

app = typer.Typer(help="From a trained model to production.", no_args_is_help=True, add_completion=False)
app.command()(server.demo)
app.command()(server.serve)
app.command()(server.migrate)
app.add_typer(server.keys_app, name="keys")
app.command()(registry.register)
app.command()(predictions.predict)
app.command()(registry.promote)
app.command()(registry.rollback)
app.command()(registry.history)


def main() -> None:
    """The entry point."""
    app()
