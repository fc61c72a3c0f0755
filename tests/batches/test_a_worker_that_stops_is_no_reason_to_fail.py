"""A worker that is told to stop hands its job over as it found it: neither a try, nor a process that ended, counts."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest
from django.core.files.base import ContentFile
from registered import algorithm

from ml_pipeline.apps.batches import batches, work
from ml_pipeline.apps.batches.batches import Asked
from ml_pipeline.apps.batches.models import BatchJob, Format
from ml_pipeline.apps.jobs import leases
from ml_pipeline.apps.jobs.leases import Lease
from ml_pipeline.apps.ml.scoring import parquet


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


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_reader_of_a_file_stops_with_its_owner_alone(tmp_path: Path, number: signal.Signals) -> None:
    pyarrow.parquet.write_table(pa.table({"x": range(100_000)}), tmp_path / "numbers")
    chunks = parquet.contents(tmp_path / "numbers")
    first, _ = next(chunks)
    children = Path(f"/proc/{os.getpid()}/task/{threading.get_native_id()}/children").read_text().split()
    (reader,) = (one for one in children if "scoring.reader" in Path(f"/proc/{one}/cmdline").read_text())
    os.kill(int(reader), number)
    assert first.rows + sum(cut.rows for cut, _ in chunks) == 100_000
