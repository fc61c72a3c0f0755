"""Batch jobs in a home, and what is known of them, past the API."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
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
path, algorithm, asked = json.loads({given!r})
with open(path, "rb") as handle:
    key = ApiKey.objects.order_by("pk").first()
    job = batches.create(
        File(handle), MLAlgorithm.objects.get(name=algorithm), Asked(**asked), actor="tests", key_id=key.pk
    )
print(job.pk)
"""
_READ = """
import django, json
django.setup()
from django.forms.models import model_to_dict
from ml_pipeline.apps.batches import files
from ml_pipeline.apps.batches.models import BatchJob
job = BatchJob.objects.get(pk={pk})
rejected = []
for chunk in job.chunks.filter(rejected__gt=0).order_by("number"):
    with files.storage().open(files.errors_part_name(job.uid, chunk.number, chunk.token)) as part:
        rejected += [json.loads(line) for line in part]
names = files.storage().listdir(job.uid.hex)[1] if files.storage().exists(job.uid.hex) else []
told = {{name: getattr(job, name) for name in {fields!r}}}
print(json.dumps({{**told, "uid": job.uid.hex, "rejected": rejected, "files": sorted(names)}}))
"""
_LOG = """
import django, json
django.setup()
from ml_pipeline.apps.endpoints.models import MLRequest
fields = {fields!r}
for row in MLRequest.objects.filter(job_id={pk}).order_by("pk").values_list(*fields).iterator():
    print(json.dumps([str(row[0]), *row[1:]], default=str))
"""
_LOGGED = (
    "id",
    "parent_mlalgorithm_id",
    "outcome",
    "revision",
    "input_data",
    "full_response",
    "response",
    "probability",
    "latency_us",
    "unit",
    "key_id",
    "test_id",
    "arm",
    "job_id",
)
_TOLD = (
    "state",
    "rows_total",
    "rows_done",
    "rows_rejected",
    "attempts",
    "error",
    "result_bytes",
    "revision",
    "log_seq",
)


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

    def create(self, path: Path, algorithm: str = "random_forest", **asked: Any) -> int:
        """The id of a job for the file at `path`."""
        given = {"file_name": path.name, "input_format": "csv", "output_format": "csv", **asked}
        return int(self.home.python(_CREATE.format(given=json.dumps([str(path), algorithm, given]))))

    def cancel(self, pk: int) -> None:
        """Somebody cancels it."""
        self.home.python(
            "import django\ndjango.setup()\nfrom ml_pipeline.apps.batches import batches\n"
            f"batches.cancel({pk}, actor='tests')"
        )

    def job(self, pk: int) -> Job:
        """The job as committed, and its files."""
        return Job(**json.loads(self.home.python(_READ.format(pk=pk, fields=_TOLD))))

    def log(self, pk: int) -> list[dict[str, Any]]:
        """What the job has logged, in the order of its rows."""
        lines = self.home.python(_LOG.format(pk=pk, fields=_LOGGED)).splitlines()
        return [dict(zip(_LOGGED, json.loads(line), strict=True)) for line in lines]

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
        folder = self.home.folder / "batches" / self.job(pk).uid
        wait_until(lambda: sorted(one.name for one in folder.glob("*")) == sorted(names), 30)

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
    import sqlite3

    import psycopg

    if home.database_url.startswith("mysql"):
        import json as _json

        code = (
            f"import django\ndjango.setup()\nimport json\nfrom django.db import connection as c\nk = c.cursor()\n"
            f"k.execute({sql!r})\nprint(json.dumps(k.fetchall()))"
        )
        return list(_json.loads(home.python(code)))
    if home.database_url:
        with psycopg.connect(home.database_url) as connection:
            return connection.execute(sql).fetchall()
    address = f"{(home.folder / 'db.sqlite3').as_uri()}?mode=ro"
    with contextlib.closing(sqlite3.connect(address, uri=True, timeout=30)) as database:
        return database.execute(sql).fetchall()


def write_people(path: Path, rows: int) -> pd.DataFrame:
    """So many people of the Adult data at `path`, as CSV, over and over."""
    people = held_out_people()
    times = -(-rows // len(people))
    frame = pd.concat([people] * times, ignore_index=True).head(rows)
    frame.to_csv(path, index=False)
    return frame
