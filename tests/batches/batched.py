"""Batch jobs in a home, and what is known of them, past the API."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import pandas as pd
import psycopg
from homes import REPOSITORY, Home
from people import held_out_people
from servers import wait_until

_CREATE = """
import django, json, sys
django.setup()
from django.core.files.base import File
from ml_pipeline.apps.accounts.models import ApiKey
from ml_pipeline.apps.batches import batches
from ml_pipeline.apps.batches.batches import Asked
from ml_pipeline.apps.endpoints.models import MLAlgorithm
key = ApiKey.objects.order_by("pk").first()
made = []
for path, algorithm, asked in json.loads({given!r}):
    with open(path, "rb") as handle:
        job = batches.create(
            File(handle), MLAlgorithm.objects.get(name=algorithm), Asked(**asked), actor="tests", key_id=key.pk
        )
    made.append(job.pk)
print(json.dumps(made))
"""
_CANCEL = """
import django, time
django.setup()
from ml_pipeline.apps.batches import batches
from ml_pipeline.apps.batches.models import BatchJob
while BatchJob.objects.get(pk={pk}).log_seq < {after}:
    time.sleep(0.01)
batches.cancel({pk}, actor="tests")
"""
_DEFAULTS = {"input_format": "csv", "output_format": "csv"}
_QUERY = """
import django, json
django.setup()
from django.db import connection
with connection.cursor() as cursor:
    cursor.execute({sql!r})
    print(json.dumps(cursor.fetchall(), default=str))
"""
_LOGGED = (
    *("id", "parent_mlalgorithm_id", "outcome", "revision", "input_data", "full_response", "response", "probability"),
    *("latency_us", "unit", "key_id", "test_id", "arm", "job_id"),
)


class Asked(NamedTuple):
    """What is asked for: a file, and what else is said of it (see `batches.Asked`)."""

    path: Path
    asked: dict[str, Any]
    algorithm: str = "random_forest"


class Job(NamedTuple):
    """What is known of one."""

    state: str
    rows_total: int | None
    rows_done: int
    rows_rejected: int
    attempts: int
    error: str
    result_bytes: int | None
    revision: int | None
    log_seq: int
    uid: str
    rejected: list[list[Any]]
    files: list[str]


class Batches:
    """The batch jobs of a home."""

    def __init__(self, home: Home) -> None:
        self.home = home

    def create(self, path: Path, **asked: Any) -> int:
        """The id of a job for the file at `path`."""
        return self.create_all(Asked(path, asked))[0]

    def create_all(self, *jobs: Asked) -> list[int]:
        """The ids of such jobs."""
        given = [(str(one.path), one.algorithm, {"file_name": one.path.name, **_DEFAULTS, **one.asked}) for one in jobs]
        return list(json.loads(self.home.python(_CREATE.format(given=json.dumps(given)))))

    def cancel(self, pk: int, *, after: int = 0) -> None:
        """Somebody cancels it once it has logged in so many commits."""
        self.home.python(_CANCEL.format(pk=pk, after=after))

    def job(self, pk: int) -> Job:
        """The job as committed, and its files."""
        columns = ", ".join(Job._fields[:-2])
        *told, uid = query(self.home, f"SELECT {columns} FROM batches_batchjob WHERE id = {pk}")[0]
        uid = str(uid).replace("-", "")
        folder = self.home.folder / "batches" / uid
        parts = query(
            self.home,
            f"SELECT number, token FROM batches_batchchunk WHERE job_id = {pk} AND rejected > 0 ORDER BY number",
        )
        lines = [line for part in parts for line in (folder / "{}-{}.errors".format(*part)).read_text().splitlines()]
        return Job(*told, uid, [json.loads(line) for line in lines], sorted(one.name for one in folder.glob("*")))

    def log(self, pk: int) -> list[dict[str, Any]]:
        """What the job has logged, in the order of its rows."""
        rows = query(self.home, f"SELECT {', '.join(_LOGGED)} FROM endpoints_mlrequest WHERE job_id = {pk} ORDER BY id")
        found = [dict(zip(_LOGGED, row, strict=True)) for row in rows]
        return [{**row, "id": str(UUID(str(row["id"])))} for row in found]

    def logged(self, pk: int) -> int:
        """How many rows the job has logged by now."""
        return int(query(self.home, f"SELECT SUM(logged) FROM batches_batchchunk WHERE job_id = {pk}")[0][0])

    def result(self, pk: int) -> Path:
        """The file with the answers."""
        return self.home.folder / "batches" / self.job(pk).uid / "result"

    def state(self, pk: int, what: str = "state") -> Any:
        """One column of its row."""
        return query(self.home, f"SELECT {what} FROM batches_batchjob WHERE id = {pk}")[0][0]

    def wait(self, pk: int, state: str = "succeeded", seconds: float = 90.0) -> Job:
        """The job, once it is over."""
        wait_until(lambda: self.state(pk) in ("succeeded", "failed", "cancelled"), seconds, pause_s=0.05)
        job = self.job(pk)
        assert job.state == state, job
        return job

    def wait_for_files(self, pk: int, names: list[str]) -> None:
        """Returns when of its files these are left."""
        wait_until(lambda: self.job(pk).files == sorted(names), 30)

    @contextlib.contextmanager
    def worker(self, lease_s: float = 15.0, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
        """A worker in a process group of its own, ended at the end."""
        command = [sys.executable, str(Path(__file__).parent / "batch_worker.py"), str(lease_s)]
        process = subprocess.Popen(
            command, env={**self.home.environment, **environment}, cwd=REPOSITORY, start_new_session=True
        )
        try:
            yield process
        finally:
            end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """Ends the worker and all of its children, as a power cut would."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def query(home: Home, sql: str) -> list[Any]:
    """All rows, as committed."""
    if home.database_url.startswith("mysql"):
        return list(json.loads(home.python(_QUERY.format(sql=sql))))
    if home.database_url:
        with psycopg.connect(home.database_url) as connection:
            return connection.execute(sql).fetchall()  # type: ignore[call-overload]
    address = f"{(home.folder / 'db.sqlite3').as_uri()}?mode=ro"
    with contextlib.closing(sqlite3.connect(address, uri=True, timeout=30)) as database:
        return database.execute(sql).fetchall()


def write_people(path: Path, rows: int, *, note: str = "") -> pd.DataFrame:
    """So many people of the Adult data at `path`, as CSV, over and over.

    With `note`, in a column more, few are a chunk.
    """
    people = held_out_people()
    frame = pd.concat([people] * -(-rows // len(people)), ignore_index=True).head(rows)
    if note:
        frame = frame.assign(note=note)
    frame.to_csv(path, index=False)
    return frame
