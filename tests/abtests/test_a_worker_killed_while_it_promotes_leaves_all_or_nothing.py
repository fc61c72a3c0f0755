"""A worker that is killed at any point of a promotion leaves all of it or nothing, and the next one does it once."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from homes import REPOSITORY, Home
from servers import wait_until

PROGRAM = str(Path(__file__).parent / "streaming.py")
GATE = 4711
_RELEASED = "NEW.kind = 'abtest' AND NEW.leased_until IS NULL AND OLD.leased_until IS NOT NULL"
# Where a worker is held, in the order in which it gets there: before which change of which table.
POINTS = {
    "status": ("endpoints_mlalgorithmstatus", "INSERT", "NEW.status = 'production'"),
    "end": ("abtests_abtest", "UPDATE", "NEW.state = 'finished' AND OLD.state = 'running'"),
    "certificate": ("abtests_abtest", "UPDATE", "NEW.certificate IS NOT NULL AND OLD.certificate IS NULL"),
    "event": ("events_event", "INSERT", "NEW.action = 'abtest.ended'"),
    "revision": ("events_revision", "UPDATE", "TRUE"),
    # The decision is committed, and the lease is not given back.
    "lease": ("jobs_job", "UPDATE", _RELEASED),
}
_HOLD = f"""
CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF TG_TABLE_NAME <> 'jobs_job' OR EXISTS (SELECT 1 FROM abtests_abtest WHERE state = 'finished') THEN
        PERFORM pg_advisory_xact_lock({GATE});
    END IF;
    RETURN NEW;
END $$
"""


class Promoting:
    """A home with a test that has the evidence for a promotion, none of it counted."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._run("start", json.dumps({"alpha": 0.05}))
        self._run("stream", "1", "6000")
        self._database = psycopg.connect(home.database_url, autocommit=True)
        self._execute(_HOLD)

    def close(self) -> None:
        self._database.close()

    def _run(self, *arguments: str) -> Any:
        printed = self._home.run(sys.executable, PROGRAM, *arguments).stdout
        return json.loads(printed) if printed else None

    def _execute(self, statement: str) -> list[tuple[Any, ...]]:
        cursor = self._database.execute(statement)  # type: ignore[call-overload]
        return cursor.fetchall() if cursor.description else []

    @property
    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = self._run("state")
        ((found["revision"],),) = self._execute("SELECT number FROM events_revision")
        found["statuses"] = sorted(
            one for (one,) in self._execute("SELECT status FROM endpoints_mlalgorithmstatus WHERE active_of_id > 0")
        )
        return found

    @contextlib.contextmanager
    def worker(self) -> Iterator[subprocess.Popen[bytes]]:
        """A worker, killed at the block's end."""
        # That of the killed one before runs out.
        self._execute("UPDATE jobs_job SET leased_until = now() WHERE leased_until IS NOT NULL")
        command = [sys.executable, "backend/manage.py", "worker"]
        with subprocess.Popen(command, env=self._home.environment, cwd=REPOSITORY) as process:
            try:
                yield process
            finally:
                process.kill()

    def kill_at(self, point: str) -> None:
        """A worker gets as far as `point` and is killed there."""
        table, event, condition = POINTS[point]
        self._execute(f"SELECT pg_advisory_lock({GATE})")
        self._execute(
            f"CREATE TRIGGER hold BEFORE {event} ON {table} FOR EACH ROW WHEN ({condition}) EXECUTE FUNCTION hold()"
        )
        waiting = f"SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = {GATE} AND NOT granted"
        with self.worker():
            wait_until(lambda: bool(self._execute(waiting)), 60)
        self._execute(f"SELECT pg_advisory_unlock({GATE})")
        # Its session goes on to the end of the statement, and ends.
        wait_until(lambda: not self._execute(f"SELECT 1 FROM pg_locks WHERE objid = {GATE}"), 30)
        self._execute(f"DROP TRIGGER hold ON {table}")


@pytest.fixture
def promoting(postgres_url: str, tmp_path: Path) -> Iterator[Promoting]:
    with contextlib.closing(Promoting(Home(tmp_path / "home", postgres_url).make())) as one:
        yield one


def test_it_is_all_or_nothing(promoting: Promoting) -> None:
    before = promoting.state
    for point in POINTS:
        promoting.kill_at(point)
        found = promoting.state
        if point == "lease":
            assert (found["state"], found["result"], found["production"]) == ("finished", "promoted", ["2"])
            continue
        assert (found["state"], found["result"], found["production"], found["ends"]) == ("running", None, [], 0), point
        assert (found["statuses"], found["revision"]) == (before["statuses"], before["revision"]), point
    decided = promoting.state
    assert (decided["ends"], decided["problems"]) == (1, [])
    assert decided["statuses"] == ["production", "testing"]
    # Whoever takes the job from the killed one has nothing to decide any more.
    with promoting.worker():
        wait_until(lambda: promoting.state["uncounted"] == 0, 60)
    after = promoting.state
    assert {**after, "uncounted": 0} == {**decided, "uncounted": 0}
