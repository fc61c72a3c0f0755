"""Results: the file that a batch job has made, opened for whoever fetches it."""

from __future__ import annotations

from pathlib import PurePath
from typing import IO, Any

from ml_pipeline.apps.batches import files
from ml_pipeline.apps.batches.models import BatchJob, Format, State
from ml_pipeline.errors import Conflict, NotFound

MEDIA_TYPES = {Format.CSV.value: "text/csv; charset=utf-8", Format.PARQUET.value: "application/vnd.apache.parquet"}
# What the name of a sent file ends in, of which nothing is left.
_SUFFIXES = (".gz", ".csv", ".tsv", ".txt", ".parquet")
_UNFINISHED = {
    State.QUEUED.value: "has not begun yet, so it has no result",
    State.RUNNING.value: "is not over yet, so it has no result",
    State.CANCELLED.value: "was cancelled, so it has no result",
}


def opened(job: BatchJob) -> IO[Any]:
    """The result of `job`. Raises Conflict where it has none, with the reason, and NotFound where it is removed."""
    if job.state == State.FAILED:
        raise Conflict(f"The batch {job.pk} failed, so it has no result: {job.error}")
    if job.state != State.SUCCEEDED:
        raise Conflict(f"The batch {job.pk} {_UNFINISHED[job.state]}.")
    try:
        if job.removed_at is None:
            return files.storage().open(files.result_name(job.uid))
    except FileNotFoundError:
        pass
    raise removed(job)


def removed(job: BatchJob) -> NotFound:
    """The refusal of a file that is there no more."""
    return NotFound(f"The files of the batch {job.pk} were removed.")


def file_name(job: BatchJob) -> str:
    """What the result is called: `people-scored.csv` where `people.csv.gz` was sent."""
    stem = PurePath(job.file_name)
    while stem.suffix.lower() in _SUFFIXES and stem.stem:
        stem = PurePath(stem.stem)
    return f"{stem.name or 'batch'}-scored.{job.output_format}"
