"""A worker that is told to stop hands its job over as it found it: neither a try, nor a process that ended, counts."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest
from django.core.files.base import ContentFile
from registered import algorithm

from ml_pipeline.apps.batches import batches, files, work
from ml_pipeline.apps.batches.batches import Asked
from ml_pipeline.apps.batches.models import BatchJob, Format
from ml_pipeline.apps.batches.recorder import Done, Recorder
from ml_pipeline.apps.batches.sources import Source
from ml_pipeline.apps.batches.states import NoLongerRunning, Unwanted
from ml_pipeline.apps.jobs import leases
from ml_pipeline.apps.jobs.leases import Lease, LeaseLost
from ml_pipeline.apps.ml.scoring import parquet
from ml_pipeline.apps.ml.scoring.cuts import Cut
from ml_pipeline.apps.ml.scoring.jobs import Scored


def claimed(*, is_stopping: bool) -> Lease:
    stopped = threading.Event()
    if is_stopping:
        stopped.set()
    lease = leases.claim([batches.SHORT], "a worker", stopped=stopped)
    assert lease is not None
    return lease


@pytest.mark.django_db
def test_a_job_is_handed_over_as_often_as_workers_stop() -> None:
    asked = Asked("some.csv", Format.CSV, Format.CSV)
    job = batches.create(ContentFile(b"y\n1\n"), algorithm("1"), asked, actor="ann", key_id=None)
    for _ in range(work.MOST_ATTEMPTS + 1):
        lease = claimed(is_stopping=True)
        assert work.work(lease) == 0.0
        lease.postpone(0.0)
        job = BatchJob.objects.get()
        assert (job.state, job.attempts) == ("running", 0)
    assert work.work(claimed(is_stopping=False)) is None
    job = BatchJob.objects.get()
    assert job.state == "failed"
    assert job.error.startswith("The file lacks the column 'x'")


@pytest.mark.django_db
@pytest.mark.parametrize("reason", [Unwanted, NoLongerRunning, LeaseLost])
def test_the_parts_of_a_chunk_that_was_not_done_go_with_whoever_made_them(
    reason: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Asked("some.csv", Format.CSV, Format.CSV)
    job = batches.create(ContentFile(b"x\n1\n"), algorithm("1"), asked, actor="ann", key_id=None)
    lease, seen = claimed(is_stopping=False), []

    def scored(terms: object, source: Source, cuts: list[Cut], nice: int) -> Iterator[tuple[Cut, Scored]]:
        yield cuts[0], Scored(1, [], b"1,yes\r\n", None)

    def stopped(self: Recorder, done: Done, logged: int) -> None:
        seen.extend(names(job))
        raise reason(lease) if reason is LeaseLost else reason

    monkeypatch.setattr(work, "_terms", lambda job, source: None)
    monkeypatch.setattr(work, "_scored", scored)
    monkeypatch.setattr(Recorder, "record", stopped)
    if reason is LeaseLost:
        with pytest.raises(LeaseLost):
            work.work(lease)
    else:
        assert work.work(lease) == (0.0 if reason is Unwanted else None)
    assert len(seen) == 2
    # Another worker, with parts of his own, may have cleared up already.
    assert names(job) == ["input"]


def names(job: BatchJob) -> list[str]:
    return sorted(files.storage().listdir(str(Path(files.input_name(job.uid)).parent))[1])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_reader_of_a_file_stops_with_its_owner_alone(tmp_path: Path, number: signal.Signals) -> None:
    pyarrow.parquet.write_table(pa.table({"x": range(100_000)}), tmp_path / "numbers")
    chunks = parquet.contents(tmp_path / "numbers")
    first, _ = next(chunks)
    children = Path(f"/proc/{os.getpid()}/task/{threading.get_native_id()}/children").read_text().split()
    (reader,) = (one for one in children if "scoring.reader" in Path(f"/proc/{one}/cmdline").read_text())
    os.kill(int(reader), number)
    assert first.rows + sum(cut.rows for cut, _ in chunks) == 100_000
