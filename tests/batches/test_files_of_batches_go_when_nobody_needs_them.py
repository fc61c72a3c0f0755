"""Results are removed when they are too old, and files of no job when they are old enough to be nobody's."""

from __future__ import annotations

import os
import time
from pathlib import Path
from uuid import uuid4

from batched import Batches, query, write_people
from homes import Home
from servers import wait_until

_AGED = """
import django
django.setup()
from datetime import timedelta
from django.db import transaction
from django.db.models import F
from ml_pipeline.apps.batches import removal
from ml_pipeline.apps.batches.models import BatchJob
from ml_pipeline.apps.jobs import jobs
BatchJob.objects.filter(pk={pk}).update(ended_at=F("ended_at") - timedelta(days={days}))
with transaction.atomic():
    jobs.ask(removal.REMOVING, "{pk}")
    jobs.ask(removal.CLEANING, "")
"""


def folder_of(home: Home, name: str, age_s: float) -> Path:
    folder = home.folder / "batches" / name
    folder.mkdir(parents=True)
    (folder / "input").write_text("a,b\n")
    os.utime(folder / "input", (time.time() - age_s,) * 2)
    return folder


def test_a_result_is_kept_for_its_days_and_strangers_for_an_hour(home: Home, tmp_path: Path) -> None:
    batches = Batches(home)
    frame = write_people(tmp_path / "some.csv", 10)
    frame["age"] = frame["age"].astype(object)
    frame.loc[3, "age"] = "old"
    frame.to_csv(tmp_path / "some.csv", index=False)
    old, young = folder_of(home, uuid4().hex, 3_700), folder_of(home, uuid4().hex, 60)
    others = folder_of(home, "of somebody else", 10_000)
    dead = home.folder / "work" / "batch-dead"
    dead.mkdir()
    (dead / "lock").touch()
    with batches.worker(ML_PIPELINE_BATCH_DAYS="7"):
        kept, removed = (batches.create(tmp_path / "some.csv") for _ in range(2))
        assert len(batches.wait(kept).rejected) == len(batches.wait(removed).rejected) == 1
        assert not dead.exists()
        due = query(home, "SELECT subject FROM jobs_job WHERE kind = 'batch.removal' AND state = 'queued'")
        assert {subject for (subject,) in due} == {str(kept), str(removed)}
        home.python(_AGED.format(pk=kept, days=6))
        home.python(_AGED.format(pk=removed, days=8))
        batches.wait_for_files(removed, [])
        wait_until(lambda: not old.exists(), 30)
    job = batches.job(removed)
    assert (job.state, job.rows_done, job.rows_rejected) == ("succeeded", 10, 1)
    assert batches.state(removed, "removed_at") is not None
    assert batches.state(kept, "removed_at") is None
    assert batches.result(kept).exists()
    assert len(batches.job(kept).rejected) == 1
    assert young.exists()
    assert others.exists()
