"""Two workers ask the rules, are killed at random and sleep past their lease: each breach is told once, and its end."""

from __future__ import annotations

import json
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from scripts import DATABASES, Scripts, new_home

BREACHES = 12
PATIENCE_S = 400
LEASE_S = 1.0


@pytest.fixture(params=DATABASES)
def scripts(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Scripts]:
    """In a home of each database in turn."""
    found = Scripts(new_home(request, tmp_path))
    yield found
    found.stop()


def test_each_breach_is_told_once(scripts: Scripts) -> None:
    draw, begun = random.Random(5), time.monotonic()
    driver = scripts.begin("breaching.py", BREACHES)
    workers = [scripts.begin("alert_worker.py", LEASE_S) for _ in range(2)]
    while driver.poll() is None:
        assert time.monotonic() - begun < PATIENCE_S
        # It may be anywhere then: whatever it was at is done by the other.
        time.sleep(draw.uniform(0.2, 2.0))
        at = draw.randrange(2)
        if draw.random() < 0.5:
            workers[at].kill()
            workers[at].communicate()
            workers[at] = scripts.begin("alert_worker.py", LEASE_S)
        else:
            workers[at].send_signal(signal.SIGSTOP)
            time.sleep(draw.uniform(0.5, 2.0) * LEASE_S)
            workers[at].send_signal(signal.SIGCONT)
    assert driver.returncode == 0
    found = json.loads((driver.stdout.read() if driver.stdout else "").splitlines()[-1])
    assert found["told"] == ["alert.opened", "alert.recovered"] * BREACHES
    assert found["alerts"] == ["recovered"] * BREACHES
