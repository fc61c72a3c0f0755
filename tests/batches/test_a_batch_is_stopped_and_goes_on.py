"""Batch jobs that are cancelled, handed over by a worker that stops, or get no further."""

from __future__ import annotations

import shutil
from pathlib import Path

from batched import Batches, query, write_people
from homes import Home
from servers import wait_until

ROWS = 16_000
NOTE = "n" * 4_000


def test_a_cancelled_job_leaves_its_record_and_what_it_logged(each_home: Home, tmp_path: Path) -> None:
    batches = Batches(each_home)
    write_people(tmp_path / "people.csv", ROWS, note=NOTE)
    first, second = (batches.create(tmp_path / "people.csv") for _ in range(2))
    batches.cancel(second)
    with batches.worker():
        batches.cancel(first, after=1)
        for pk in (first, second):
            batches.wait(pk, "cancelled")
            batches.wait_for_files(pk, [])
        wait_until(lambda: query(each_home, "SELECT COUNT(*) FROM batches_batchchunk")[0][0] == 0, 30)
        assert batches.log(second) == []
        count = len(batches.log(first))
        assert 0 < count < ROWS
        # The worker does the next.
        third = batches.create(tmp_path / "people.csv")
        batches.wait(third)
    assert len(batches.log(third)) == ROWS
    assert len(batches.log(first)) == count
    assert '"faults": 0' in each_home.manage("verify_log", "--json", check=False).stdout


def test_a_worker_that_is_told_to_stop_hands_its_job_over(home: Home, tmp_path: Path) -> None:
    batches = Batches(home)
    write_people(tmp_path / "people.csv", ROWS, note=NOTE)
    pk = batches.create(tmp_path / "people.csv")
    # Nobody could wait for the end of this lease.
    with batches.worker(lease_s=3_600) as first:
        wait_until(lambda: batches.state(pk, "log_seq") >= 2, 60)
        first.terminate()
        assert first.wait(30) == 0
    assert batches.job(pk).state == "running"
    with batches.worker():
        assert batches.wait(pk).attempts == 0
    assert len(batches.log(pk)) == ROWS


def test_a_job_that_gets_no_further_fails_in_the_end(home: Home, tmp_path: Path) -> None:
    batches = Batches(home)
    write_people(tmp_path / "people.csv", 10)
    pk = batches.create(tmp_path / "people.csv")
    # A disk that has lost the file.
    shutil.rmtree(home.folder / "batches" / batches.job(pk).uid)
    with batches.worker():
        job = batches.wait(pk, "failed", 120)
    assert job.error == "It was tried several times and got no further; the log of the workers says why."
