"""Two workers fold, are killed at random and sleep past their lease while the log is written: each row counts once."""

from __future__ import annotations

import contextlib
import json
import random
import signal
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from scripts import DATABASES, Scripts, new_home
from servers import wait_until

COMMITS = 250
PATIENCE_S = 120
LEASE_S = 1.0


class Watching(Scripts):
    """A home, whoever writes to its log, and the workers that fold it."""

    def recounted(self) -> dict[str, Any]:
        """What the log has, and what was folded."""
        printed, _ = self.begin("writing.py", "recount").communicate(timeout=PATIENCE_S)
        found: dict[str, Any] = json.loads(printed)
        return found

    def value(self, sql: str) -> int:
        """What the query selects, as committed."""
        if self.home.database_url.startswith("mysql"):
            import MySQLdb

            at = urlsplit(self.home.database_url)
            database = MySQLdb.connect(
                host=str(at.hostname), port=at.port or 3306, user=str(at.username), database=at.path[1:]
            )
            with contextlib.closing(database), contextlib.closing(database.cursor()) as cursor:
                cursor.execute(sql)
                return int(cursor.fetchone()[0] or 0)
        if self.home.database_url:
            with psycopg.connect(self.home.database_url) as connection:
                return int((connection.execute(sql).fetchone() or [0])[0] or 0)
        address = f"{(self.home.folder / 'db.sqlite3').as_uri()}?mode=ro"
        with contextlib.closing(sqlite3.connect(address, uri=True, timeout=30)) as connection:
            return int(connection.execute(sql).fetchone()[0] or 0)

    def folded(self) -> int:
        """How many requests and outcomes were folded."""
        return self.value("SELECT SUM(requests + labelled) FROM monitoring_window WHERE hours = 1")

    def there(self) -> int:
        """How many there are."""
        requests = self.value("SELECT COUNT(*) FROM endpoints_mlrequest")
        return requests + self.value("SELECT COUNT(DISTINCT request_id) FROM endpoints_feedback")


@pytest.fixture(params=DATABASES)
def watching(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Watching]:
    """A home of each database in turn."""
    watching = Watching(new_home(request, tmp_path))
    yield watching
    watching.stop()


def test_nothing_is_folded_twice_and_nothing_is_lost(watching: Watching) -> None:
    draw = random.Random(11)
    writer = watching.begin("writing.py", 1, COMMITS)
    workers = [watching.begin("folding_worker.py", LEASE_S) for _ in range(2)]
    for _ in range(5):
        wanted = watching.folded() + draw.randint(1, 250)
        wait_until(lambda wanted=wanted: watching.folded() >= min(wanted, watching.there()) > 0, PATIENCE_S)  # type: ignore[misc]
        at = draw.randrange(2)
        if draw.random() < 0.6:
            workers[at].kill()
            workers[at].communicate()
        else:
            # It sleeps past its lease, mostly until the other has that, and then goes on where it was.
            workers[at].send_signal(signal.SIGSTOP)
            begun = time.monotonic()
            while time.monotonic() < begun + 3 * LEASE_S and not watching.value(holders(workers[1 - at].pid)):
                time.sleep(0.01)
            workers[at].send_signal(signal.SIGCONT)
            continue
        workers[at] = watching.begin("folding_worker.py", LEASE_S)
    writer.communicate(timeout=PATIENCE_S)
    assert writer.returncode == 0
    wait_until(lambda: watching.folded() >= watching.there(), PATIENCE_S)
    for worker in workers:
        worker.terminate()
    for worker in workers:
        worker.communicate(timeout=PATIENCE_S)
    found = watching.recounted()
    assert found["windows"] == found["log"]
    of_profiled = {name: count for name, count in found["log"].items() if name.startswith("1 ")}
    labelled = sum(count for name, count in of_profiled.items() if name.endswith("labelled"))
    assert found["seen"] == {"1": labelled}
    for name, count in found["weeks"].items():
        assert count == sum(other for key, other in found["log"].items() if key.endswith(name))


def holders(pid: int) -> str:
    """Selects whether that process has the lease."""
    return f"SELECT COUNT(*) FROM jobs_job WHERE kind = 'monitoring.folding' AND holder LIKE '%:{pid}'"
