"""Feedback comes for weeks after a test is over, from several processes at once: none of it is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from homes import REPOSITORY, Home
from servers import wait_until

PROGRAM = str(Path(__file__).parent / "streaming.py")
PROCESSES, EACH = 3, 60


# MySQL's locks are the ones that cross: an insert of what is there shares one, a delete waits for others' inserts.
@pytest.mark.services
def test_all_of_it_is_kept_and_cleared_away_on_mysql(mysql_url: str, tmp_path: Path) -> None:
    home = Home(tmp_path / "home", mysql_url).make()
    for command in (("start", "{}"), ("stream", "1", "400"), ("stop", "ann")):
        home.run(sys.executable, PROGRAM, *command)
    before = json.loads(home.run(sys.executable, PROGRAM, "state").stdout)["feedback"]

    def begin(*command: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, *command], env=home.environment, cwd=REPOSITORY)

    worker = begin("backend/manage.py", "worker")
    try:
        telling = [begin(PROGRAM, "late", str(part), str(PROCESSES), str(EACH)) for part in range(PROCESSES)]
        assert [one.wait(120) for one in telling] == [0] * PROCESSES
        wait_until(lambda: json.loads(home.run(sys.executable, PROGRAM, "state").stdout)["uncounted"] == 0, 60)
    finally:
        worker.terminate()
        worker.wait(30)
    found = json.loads(home.run(sys.executable, PROGRAM, "state").stdout)
    # Some were told of before, and of these some the same.
    assert before < found["feedback"] <= before + PROCESSES * EACH
    assert (found["state"], found["ends"], found["problems"]) == ("finished", 1, [])
