"""What commands say on the terminal: JSON, sentences, small tables, and failures with their exit codes."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from ml_pipeline.errors import CallFailed, MLPipelineError, NotReachable, Refused

if TYPE_CHECKING:
    from rich.console import Console

    from ml_pipeline.client import Client

NOT_REACHABLE = 3
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="Write it into this file.")]


@contextlib.contextmanager
def calling() -> Iterator[Client]:
    """A client of the server that ML_PIPELINE_URL names; a call that fails ends the command with 1 or 3."""
    from ml_pipeline.client import Client

    try:
        with Client() as client:
            yield client
    except NotReachable as error:
        fail(error.message, NOT_REACHABLE)
    except Refused as error:
        fail(f"{error.message} ML_PIPELINE_API_KEY holds it." if error.status == 401 else error.message)
    except (CallFailed, MLPipelineError) as error:
        fail(error.message)


def fail(message: str, code: int = 1) -> NoReturn:
    """Prints `message` on standard error and ends the command."""
    _console(stderr=True).print("\n".join(map(printable, message.splitlines())))
    raise typer.Exit(code)


def warn(sentence: str) -> None:
    """Prints one line on standard error; the command goes on."""
    _console(stderr=True).print(printable(sentence))


def show_json(value: Any) -> None:
    """Prints `value` as one line of JSON."""
    typer.echo(json.dumps(value))


def give_page(page: str, output: Path | None, name: str) -> None:
    """Prints a page or, where there is an `output`, writes it there and says so."""
    if output is None:
        typer.echo(page)
        return
    try:
        output.write_text(page, encoding="utf-8")
    except OSError as error:
        fail(f"{output} cannot be written: {error.strerror}.")
    say(f"{name} is in {output}.")


def say(sentence: str) -> None:
    """Prints one line."""
    _console().print(printable(sentence))


def show_table(headings: Iterable[str], lines: Iterable[Iterable[Any]]) -> None:
    """Prints a table; None is an empty cell, and what is too long for the terminal goes on in the next line."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for line in lines:
        table.add_row(*("" if cell is None else printable(str(cell)) for cell in line))
    console = _console(soft_wrap=False)
    # What goes into a file or another program is not folded.
    if not console.is_terminal:
        console.width = 1_000
    console.print(table)


def printable(text: str) -> str:
    """`text` with control characters escaped: names and reasons are other people's, and the terminal is ours."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def _console(*, stderr: bool = False, soft_wrap: bool = True) -> Console:
    from rich.console import Console

    return Console(stderr=stderr, markup=False, highlight=False, emoji=False, soft_wrap=soft_wrap)
