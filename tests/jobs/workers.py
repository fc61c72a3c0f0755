"""Jobs that count, and the workers that do them, which run in processes of their own."""

from __future__ import annotations

import contextlib
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from homes import REPOSITORY, Home

_TABLES = """
import django
django.setup()
from django.db import connection
with connection.cursor() as cursor:
    cursor.execute("CREATE TABLE counting (subject VARCHAR(50) PRIMARY KEY, number INTEGER)")
    cursor.execute("CREATE TABLE counting_steps (subject VARCHAR(50), number INTEGER, pid INTEGER)")
"""
_ASK = """
import contextlib
import django
django.setup()
from django.db import IntegrityError, connection, transaction
from ml_pipeline.apps.jobs import jobs
for kind, subject in {asked!r}:
    with contextlib.suppress(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("INSERT INTO counting VALUES (%s, 0)", [subject])
    with transaction.atomic():
        jobs.ask(kind, subject)
"""


class Job(NamedTuple):
    """What is known of one."""

    state: str
    failures: int
    error: str
    token: int


class Counting:
    """Jobs that count in `home`, and the workers that were started on it."""

    def __init__(self, home: Home, folder: Path) -> None:
        self.home, self.folder = home, folder
        self.workers: list[subprocess.Popen[bytes]] = []

    def work(self, lease_s: float = 30) -> subprocess.Popen[bytes]:
        """Another worker."""
        command = [sys.executable, str(Path(__file__).parent / "counting.py"), str(lease_s)]
        environment = {**self.home.environment, "COUNTING_FOLDER": str(self.folder)}
        self.workers.append(subprocess.Popen(command, env=environment, cwd=REPOSITORY))
        return self.workers[-1]

    def ask(self, *asked: tuple[str, str]) -> None:
        """Jobs by kind and subject."""
        self.home.python(_ASK.format(asked=asked))

    def query(self, sql: str) -> list[Any]:
        """All rows, as committed."""
        if self.home.database_url:
            with psycopg.connect(self.home.database_url) as connection:
                return connection.execute(sql).fetchall()
        address = f"{(self.home.folder / 'db.sqlite3').as_uri()}?mode=ro"
        with contextlib.closing(sqlite3.connect(address, uri=True, timeout=30)) as connection:
            return connection.execute(sql).fetchall()

    def job(self, subject: str) -> Job:
        """The job of `subject`."""
        fields = ", ".join(Job._fields)
        return Job(*self.query(f"SELECT {fields} FROM jobs_job WHERE subject = '{subject}'")[0])

    def steps(self) -> list[tuple[str, int, int]]:
        """What was counted: subject, number, and the worker's pid."""
        return self.query("SELECT subject, number, pid FROM counting_steps ORDER BY subject, number")

    def is_done(self, *subjects: str) -> bool:
        """Whether these jobs have succeeded."""
        return all(self.job(subject).state == "succeeded" for subject in subjects)

    def begun(self) -> set[int]:
        """The workers in which a job waits, or has."""
        return {int(path.stem) for path in self.folder.glob("*.begun")}

    def stop(self) -> None:
        for worker in self.workers:
            worker.send_signal(signal.SIGCONT)
            worker.terminate()
        for worker in self.workers:
            worker.wait(30)

    def make(self) -> Counting:
        """Its tables are there."""
        self.home.python(_TABLES)
        return self
