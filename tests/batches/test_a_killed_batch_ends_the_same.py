"""A batch job whose worker is killed, or sleeps past its lease, ends as one that nobody disturbed: each row once."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import sqlite3
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from batched import Batches, end, write_people
from homes import Home
from servers import wait_until

ROWS = 40_000
# Carried through: with it few rows are a chunk.
NOTE = "n" * 1_600
KILLS = 20
LEASE_S = 1.0


def sha256(path: Path) -> str:
    """Of all columns but the request's id."""
    frame = pd.read_csv(path, dtype=str, keep_default_na=False).drop(columns="request_id")
    return hashlib.sha256(frame.to_csv(index=False).encode()).hexdigest()


def said(log: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What was logged, but for how long it took."""
    return [{name: value for name, value in row.items() if name != "latency_us"} for row in log]


def assert_whole(disturbed: Batches, undisturbed: Batches, pk: int) -> None:
    with undisturbed.worker():
        expected = undisturbed.wait(pk, seconds=300)
    job = disturbed.wait(pk, seconds=300)
    disturbed.wait_for_files(pk, ["result"])
    assert (job.rows_total, job.rows_done, job.rows_rejected) == (ROWS, ROWS, 0)
    assert sha256(disturbed.result(pk)) == sha256(undisturbed.result(pk))
    # Ids follow from job and row.
    assert disturbed.result(pk).read_bytes() == undisturbed.result(pk).read_bytes()
    log = disturbed.log(pk)
    assert len({row["id"] for row in log}) == len(log) == ROWS
    assert said(log) == said(undisturbed.log(pk))
    assert job.revision == expected.revision
    assert json.loads(disturbed.home.manage("verify_log", "--json", check=False).stdout)["faults"] == 0


def prepared(home: Home, tmp_path: Path, **asked: Any) -> tuple[Batches, Batches, int]:
    """A job in a home, and the same job in a copy of it."""
    write_people(tmp_path / "people.csv", ROWS, note=NOTE)
    pk = Batches(home).create(tmp_path / "people.csv", **asked)
    return Batches(home), Batches(home.copy(tmp_path / "copy")), pk


def test_twenty_kills_at_any_moment_change_nothing(home: Home, tmp_path: Path) -> None:
    disturbed, undisturbed, pk = prepared(home, tmp_path)
    draw = random.Random(36)
    killed = 0
    for number in range(KILLS):
        before = disturbed.state(pk, "log_seq")
        with disturbed.worker(lease_s=LEASE_S) as worker:
            # Every fifth in its beginnings, the others after some commits: within one, or anywhere else.
            commits = 0 if number % 5 == 0 else draw.randint(1, 2)
            wait_until(
                lambda before=before, commits=commits: (  # type: ignore[misc]
                    disturbed.state(pk, "log_seq") >= before + commits or disturbed.state(pk) == "succeeded"
                ),
                120,
            )
            time.sleep(draw.uniform(0, 1.5 if commits == 0 else 0.03))
            killed += disturbed.state(pk) in ("queued", "running")
            end(worker)
    assert killed == KILLS
    with disturbed.worker(lease_s=LEASE_S):
        disturbed.wait(pk, seconds=300)
        assert_whole(disturbed, undisturbed, pk)


def test_a_worker_that_wakes_up_past_its_lease_changes_nothing(home: Home, tmp_path: Path) -> None:
    disturbed, undisturbed, pk = prepared(home, tmp_path)
    with disturbed.worker(lease_s=LEASE_S) as sleeper:
        wait_until(lambda: disturbed.state(pk, "log_seq") >= 3, 120)
        stop_between_commits(sleeper.pid, home)
        with disturbed.worker() as other:
            disturbed.wait(pk, seconds=300)
            disturbed.wait_for_files(pk, ["result"])
            result, log = disturbed.result(pk).read_bytes(), disturbed.log(pk)
            sleeper.send_signal(signal.SIGCONT)
            sleeper.terminate()
            assert sleeper.wait(60) == 0
            assert (disturbed.result(pk).read_bytes(), disturbed.log(pk)) == (result, log)
            assert_whole(disturbed, undisturbed, pk)
            other.terminate()
            assert other.wait(60) == 0


def states_of_threads(pid: int) -> set[str]:
    """Those of the process, as the kernel names them: T is stopped."""
    stats = [task.joinpath("stat").read_text() for task in Path(f"/proc/{pid}/task").iterdir()]
    return {stat.rpartition(")")[2].split()[0] for stat in stats}


def stop_between_commits(pid: int, home: Home) -> None:
    """The process is stopped at a moment at which it does not hold the lock that everybody writes under."""

    def is_free() -> bool:
        os.kill(pid, signal.SIGSTOP)
        # The signal is sent, not yet obeyed: a thread that still runs could take the lock after it was seen free.
        wait_until(lambda: states_of_threads(pid) == {"T"}, 60)
        with sqlite3.connect(home.folder / "db.sqlite3", timeout=0, isolation_level=None) as database:
            try:
                database.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                os.kill(pid, signal.SIGCONT)
                return False
            database.execute("ROLLBACK")
        return True

    wait_until(is_free, 30)


@pytest.mark.parametrize("asked", [{"log_requests": False}, {"output_format": "parquet"}], ids=["unlogged", "parquet"])
def test_a_kill_while_chunks_are_recorded_repeats_none(home: Home, tmp_path: Path, asked: dict[str, Any]) -> None:
    disturbed, undisturbed, pk = prepared(home, tmp_path, **asked)
    for wanted in (1, ROWS // 3, ROWS - 1_500):
        with disturbed.worker(lease_s=LEASE_S) as worker:
            wait_until(lambda wanted=wanted: disturbed.state(pk, "rows_done") >= wanted, 120)  # type: ignore[misc]
            end(worker)
    with disturbed.worker(lease_s=LEASE_S), undisturbed.worker():
        job = disturbed.wait(pk, seconds=120)
        undisturbed.wait(pk, seconds=120)
    assert job.rows_done == ROWS
    read = pd.read_parquet if "output_format" in asked else pd.read_csv
    pd.testing.assert_frame_equal(read(disturbed.result(pk)), read(undisturbed.result(pk)))
    assert len(disturbed.log(pk)) == (ROWS if asked.get("log_requests", True) else 0)
