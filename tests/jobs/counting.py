"""Run by tests: a worker whose jobs count. `python counting.py LEASE_S` works until it is told to stop.

A job named `slow NAME` says when it has begun and then waits, in its transaction or before it, for a file.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import django

django.setup()

from django.db import connection  # noqa: E402  (Django is set up)

from ml_pipeline.apps.jobs import handlers  # noqa: E402
from ml_pipeline.apps.jobs.leases import Lease  # noqa: E402
from ml_pipeline.apps.jobs.worker import Worker  # noqa: E402

FOLDER = Path(os.environ["COUNTING_FOLDER"])


def counted(subject: str) -> int:
    """The next number of `subject`, read and written in the caller's transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT number FROM counting WHERE subject = %s", [subject])
        number = int(cursor.fetchone()[0]) + 1
        cursor.execute("UPDATE counting SET number = %s WHERE subject = %s", [number, subject])
        cursor.execute(
            "INSERT INTO counting_steps (subject, number, pid) VALUES (%s, %s, %s)", [subject, number, os.getpid()]
        )
    return number


def count(lease: Lease) -> float | None:
    """One more; to fifty."""
    with lease.held():
        number = counted(lease.subject)
    return None if number >= 50 else 0.0


def wait(lease: Lease) -> None:
    """Waits for its file before it counts."""
    (FOLDER / f"{os.getpid()}.begun").touch()
    while not (FOLDER / "go").exists():
        time.sleep(0.01)
    with lease.held():
        counted(lease.subject)


def refuse(lease: Lease) -> None:
    """Does what the database refuses."""
    with lease.held(), connection.cursor() as cursor:
        cursor.execute("INSERT INTO counting VALUES (%s, 0)", [lease.subject])


def end(lease: Lease) -> None:
    """The worker is gone."""
    os._exit(1)


def fail(lease: Lease) -> None:
    """Always."""
    raise ValueError("this one \0 fails \udcff")


if __name__ == "__main__":
    handlers.register("count", count)
    handlers.register("wait", wait)
    handlers.register("fail", fail)
    handlers.register("end", end)
    handlers.register("refuse", refuse)
    worker = Worker(lease_s=float(sys.argv[1]), look_s=0.02)
    signal.signal(signal.SIGTERM, lambda number, frame: worker.stop())
    worker.run()
