"""Commands on files of rows, over HTTP: `batch` scores one and fetches its result; `batches` are those there are."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ml_pipeline.cli import terminal
from ml_pipeline.cli.terminal import AsJson
from ml_pipeline.errors import NotReachable, Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from ml_pipeline.client import Client

app = typer.Typer(no_args_is_help=True, help="Files of rows that are scored in the background.")

BatchId = Annotated[int, typer.Argument(help="The batch's id.")]
Output = Annotated[Path, typer.Option("--output", "-o", dir_okay=False, help="Write it into this file.")]
Job = dict[str, Any]
# After so long whoever sees no bar is told what a batch waits for.
PATIENCE_S = 10.0
_WAITS = "waits for a worker: none runs (ml-pipeline worker starts one), or other batches come first."


def batch(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="Rows as CSV or Parquet, gzip or not.")],
    output: Output,
    endpoint: Annotated[str, typer.Option(help="The endpoint's name.")],
    *,
    algorithm: Annotated[str | None, typer.Option(help="Only an algorithm of this name.")] = None,
    version: Annotated[str | None, typer.Option(help="Only an algorithm of this version.")] = None,
    status: Annotated[str | None, typer.Option(help="Only an algorithm in this status.")] = None,
    output_format: Annotated[
        str | None, typer.Option("--format", help="csv or parquet; by default what the output's name says.")
    ] = None,
    encoding: Annotated[str | None, typer.Option(help="Of a CSV that is not in UTF-8.")] = None,
    probabilities: Annotated[bool, typer.Option("--probabilities", help="The probability of every label.")] = False,
    no_log: Annotated[bool, typer.Option("--no-log", help="Leave the rows out of the log.")] = False,
    errors: Annotated[Path | None, typer.Option(dir_okay=False, help="Write rejected rows into this CSV.")] = None,
    as_json: AsJson = False,
) -> None:
    """Score a file of rows and fetch the result."""
    if errors is not None and errors.resolve() == output.resolve():
        raise typer.BadParameter("the result goes there.", param_hint="--errors")
    for one in (output, *([errors] if errors else ())):
        _check_target(one)
    with terminal.calling() as client:
        job = client.batches.create(
            file,
            endpoint=endpoint,
            algorithm=algorithm,
            version=version,
            status=status,
            output=output_format or {".csv": "csv", ".parquet": "parquet"}.get(output.suffix.lower()),
            encoding=encoding,
            probabilities=probabilities,
            log_requests=not no_log,
        )
        with _followed(client, job["id"]), _progress(file.name) as show:
            job = client.batches.wait(job["id"], on_progress=show)
        if job["state"] == "succeeded":
            _fetched(client, job, output, errors)
    if as_json:
        terminal.show_json(job)
    if job["state"] != "succeeded":
        terminal.fail(job["error"] or f"The batch {job['id']} was cancelled.")
    if not as_json:
        _summarise(job, output, errors)


@app.command("list")
def list_(
    *,
    endpoint: Annotated[str | None, typer.Option(help="Only under this endpoint.")] = None,
    state: Annotated[str | None, typer.Option(help="queued, running, succeeded, failed or cancelled.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the latest.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Show batches, newest first."""
    with terminal.calling() as client:
        found = client.batches.list(endpoint, limit, state=state)
    if as_json:
        terminal.show_json(found)
        return
    lines = (
        (one["id"], one["state"], one["file_name"], one["endpoint"], _by(one), *_counts(one), one["created_at"])
        for one in found
    )
    terminal.show_table(("id", "state", "file", "endpoint", "by", "done", "of", "rejected", "asked for"), lines)


@app.command()
def show(batch_id: BatchId, *, as_json: AsJson = False) -> None:
    """Show a batch and how far it is."""
    with terminal.calling() as client:
        job = client.batches.get(batch_id)
    _tell(job, as_json)


@app.command()
def cancel(batch_id: BatchId, *, as_json: AsJson = False) -> None:
    """End a batch before its time; its files are removed."""
    with terminal.calling() as client:
        job = client.batches.cancel(batch_id)
    _tell(job, as_json)


@app.command()
def errors(
    batch_id: BatchId,
    *,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", dir_okay=False, help="Write all into this file, as CSV.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Print at most so many, the first.")] = 100,
    as_json: AsJson = False,
) -> None:
    """Show the rows that a batch has rejected, and why."""
    with terminal.calling() as client:
        if output is not None:
            _check_target(output)
            with _writing(output):
                client.batches.download_errors(batch_id, output)
            return
        found = client.batches.errors(batch_id, limit)
    if as_json:
        terminal.show_json(found)
    else:
        lines = ((one["row"], one["line"], one["field"], one["reason"]) for one in found)
        terminal.show_table(("row", "line", "field", "reason"), lines)


@app.command()
def result(batch_id: BatchId, output: Output) -> None:
    """Fetch the result of a batch."""
    _check_target(output)
    with terminal.calling() as client, _writing(output):
        client.batches.download(batch_id, output)
    terminal.say(f"The result of batch {batch_id} is in {output}.")


def _check_target(path: Path) -> None:
    """Raises BadParameter where no file can be put at `path`: that is said before a batch is scored, not after."""
    folder = path.resolve().parent
    if not folder.is_dir():
        raise typer.BadParameter(f"there is no folder {folder}.", param_hint=str(path))
    if path.exists() and not path.is_file():
        raise typer.BadParameter("this is no file, which could be replaced.", param_hint=str(path))
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise typer.BadParameter(f"{folder} takes no file: {error.strerror}.", param_hint=str(path)) from None


@contextmanager
def _writing(path: Path, advice: str = "") -> Iterator[None]:
    try:
        yield
    except OSError as error:
        terminal.fail(f"{path} cannot be written: {error.strerror}.{advice}")


def _fetched(client: Client, job: Job, output: Path, rejected: Path | None) -> None:
    there = f"Batch {job['id']} has succeeded: ml-pipeline batches result {job['id']} fetches its result."
    try:
        with _writing(output, f" {there}"):
            client.batches.download(job["id"], output)
        if rejected is not None:
            with _writing(rejected, f" The result is in {output}."):
                client.batches.download_errors(job["id"], rejected)
    except KeyboardInterrupt:
        terminal.fail(there)
    except NotReachable as error:
        terminal.fail(f"{error.message} {there}", terminal.NOT_REACHABLE)


@contextmanager
def _followed(client: Client, batch_id: int) -> Iterator[None]:
    """Ctrl-C cancels the batch; where the server is gone, whoever waits is told under which id the batch goes on."""
    try:
        yield
    except KeyboardInterrupt:
        try:
            client.batches.cancel(batch_id)
        except Refused as error:
            # It was over just before.
            terminal.fail(error.message)
        except NotReachable as error:
            terminal.fail(f"{error.message} Batch {batch_id} is not cancelled.", terminal.NOT_REACHABLE)
        terminal.fail(f"Batch {batch_id} is cancelled.")
    except NotReachable as error:
        goes_on = f"Batch {batch_id} goes on: ml-pipeline batches show {batch_id} says how far it is."
        terminal.fail(f"{error.message} {goes_on}", terminal.NOT_REACHABLE)


@contextmanager
def _progress(name: str) -> Iterator[Callable[[Job], None]]:
    """What shows on a terminal how far a job is; elsewhere it is told once that a job has to wait."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _impatient()
        return
    columns = (TextColumn("{task.fields[told]}", markup=False), BarColumn(), TextColumn("{task.fields[rows]}"))
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=None, told=terminal.printable(name), rows="waiting for a worker")

        def show(job: Job) -> None:
            bar.update(task, total=job["rows_total"], completed=job["rows_done"], rows=_pace(job))

        yield show


def _impatient() -> Callable[[Job], None]:
    begun, is_told = time.monotonic(), False

    def show(job: Job) -> None:
        nonlocal is_told
        if job["state"] == "queued" and not is_told and time.monotonic() - begun >= PATIENCE_S:
            is_told = True
            terminal.warn(f"Batch {job['id']} {_WAITS}")

    return show


def _pace(job: Job) -> str:
    if job["state"] == "queued":
        return "waiting for a worker"
    if job["rows_total"] is None:
        return "looking through the file"
    told = f"{job['rows_done']:,} of {job['rows_total']:,} rows"
    if (job["rows_per_s"] or 0) >= 1:
        told += f", {job['rows_per_s']:,.0f} a second"
    if job["remaining_s"] is not None:
        told += f", {job['remaining_s']:,.0f} s left"
    return told


def _summarise(job: Job, output: Path, rejected: Path | None) -> None:
    answered = job["rows_done"] - job["rows_rejected"]
    pace = f", {job['rows_per_s']:,.0f} rows a second" if (job["rows_per_s"] or 0) >= 1 else ""
    terminal.say(f"{_rows(answered)} answered by {_by(job)}{pace}: {output}")
    if job["rows_rejected"]:
        where = rejected or f"ml-pipeline batches errors {job['id']}"
        terminal.say(f"{_rows(job['rows_rejected'])} rejected: {where}")


def _tell(job: Job, as_json: bool) -> None:
    if as_json:
        terminal.show_json(job)
        return
    terminal.say(f"Batch {job['id']}, {job['file_name']} by {_by(job)} under {job['endpoint']}: {job['state']}.")
    if job["state"] == "queued":
        terminal.say(f"It {_WAITS}")
    elif job["rows_total"] is not None:
        terminal.say(f"{_pace(job)}, {job['rows_rejected']:,} rejected.")
    if job["error"]:
        terminal.say(job["error"])


def _rows(count: int) -> str:
    return f"{count:,} row{'' if count == 1 else 's'}"


def _by(job: Job) -> str:
    return f"{job['algorithm']} {job['version']}"


def _counts(job: Job) -> tuple[int, int | None, int]:
    return job["rows_done"], job["rows_total"], job["rows_rejected"]
