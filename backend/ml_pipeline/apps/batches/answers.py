"""Answers: a short file scored while its sender waits, its rows told as predictions are."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.files.uploadedfile import TemporaryUploadedFile

from ml_pipeline.apps.batches import batches, rejected, results, waits
from ml_pipeline.apps.batches.models import BatchJob, State
from ml_pipeline.apps.ml.scoring import cuts, dialects, jobs, sources
from ml_pipeline.apps.ml.signature import Signature
from ml_pipeline.errors import BodyTooLarge, Conflict, DeadlineExceeded

MAX_ROWS, MAX_BYTES = 10_000, 10_000_000
WAIT_S = 30.0
_INSTEAD = "Send it to /api/v1/batches."


def refuse_large(file: TemporaryUploadedFile, encoding: str | None) -> None:
    """Raises BodyTooLarge where `file` is more than is answered at once, and MalformedInput where no row can be read.

    Of Parquet only a job sees how many rows there are.
    """
    source = Path(file.temporary_file_path())
    scratch = source.with_name(f"{source.name}-plain")
    try:
        rows = _rows(sources.made_plain(source, scratch, encoding=encoding, most_bytes=MAX_BYTES))
    except BodyTooLarge as error:
        raise BodyTooLarge(f"{error.message} {_INSTEAD}", {"limit_bytes": MAX_BYTES}) from None
    finally:
        scratch.unlink(missing_ok=True)
    if rows > MAX_ROWS:
        raise _too_long()


def awaited(job: BatchJob, *, actor: str) -> BatchJob:
    """The job, which has succeeded; in any other case nothing of it is left but its record.

    Raises BodyTooLarge, DeadlineExceeded, and Conflict where it failed, with the reason.
    """
    job = waits.until_over(job.pk, WAIT_S, most_rows=MAX_ROWS)
    is_too_long = (job.rows_total or 0) > MAX_ROWS
    if is_too_long or job.state in (State.QUEUED, State.RUNNING):
        # Who is over just now has succeeded or failed.
        with contextlib.suppress(Conflict):
            batches.cancel(job.pk, actor=actor)
        if is_too_long:
            raise _too_long()
        job = waits.until_over(job.pk, 0)
    if job.state == State.CANCELLED:
        began = "The file was not scored" if job.started_at else "No worker began the file"
        raise DeadlineExceeded(f"{began} within {WAIT_S:g} s, so the batch {job.pk} is cancelled. {_INSTEAD}")
    return job


def told(job: BatchJob) -> dict[str, Any]:
    """The reply: each answered row as a prediction is told, and each row without an answer, by their numbers from 0.

    Raises Conflict where the job has not succeeded.
    """
    answers = list(_answers(job))
    found = rejected.page(job, None, MAX_ROWS)
    left_out = {one.row for one in found}
    numbers = (row for row in range(job.rows_total or 0) if row not in left_out)
    return {
        "batch": job.pk,
        "rows": [{**answer, "row": row} for answer, row in zip(answers, numbers, strict=True)],
        "rejected": [one._asdict() for one in found],
    }


def _answers(job: BatchJob) -> Iterator[dict[str, Any]]:
    # With it comes the reading of tables, and most processes are asked for none.
    import pyarrow.parquet as pq

    algorithm = job.parent_mlalgorithm
    signature = Signature.from_json(algorithm.signature)
    by = {"algorithm": algorithm.name, "version": algorithm.version, "endpoint": job.parent_endpoint.name}
    names = jobs.answer_names(signature, probabilities=job.probabilities)
    with results.opened(job) as file:
        for batch in pq.ParquetFile(file).iter_batches(columns=names):
            for row in batch.to_pylist():
                every = {label: row.get(f"probability of {label}") for label in signature.labels}
                yield {
                    "request_id": row["request_id"],
                    "status": "OK",
                    "label": row.get("label"),
                    "probability": row.get("probability"),
                    **({"probabilities": every} if job.probabilities and signature.labels else {}),
                    **({"value": row["value"]} if "value" in row else {}),
                    **by,
                }


def _rows(plain: Path) -> int:
    if sources.is_parquet(plain):
        return 0
    return sum(cut.rows for cut in cuts.of_csv(plain, dialects.read(plain)))


def _too_long() -> BodyTooLarge:
    return BodyTooLarge(f"The file has more than {MAX_ROWS:,} rows. {_INSTEAD}", {"limit_rows": MAX_ROWS})
