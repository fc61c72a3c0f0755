"""A worker's threads take short turns, and what it began with is in no collection: both would stop whoever commits."""

from __future__ import annotations

import json
from pathlib import Path

from homes import Home

_RUN = """
import gc, json, sys, time
import django
django.setup()
sys.path.insert(0, {folder!r})
from ml_pipeline.apps.jobs import handlers
from ml_pipeline.apps.jobs.worker import Worker

worker, until = Worker(look_s=0.02), time.monotonic() + 60
seen = dict(before=[sys.getswitchinterval(), gc.get_freeze_count()])

def has_work():
    seen.setdefault("turn_s", sys.getswitchinterval())
    seen.setdefault("kept", gc.get_freeze_count())
    seen["kept later"] = gc.get_freeze_count()
    if seen["kept later"] > seen["kept"] + 5_000 or time.monotonic() > until:
        worker.stop()
    return True

handlers.register("tests", handlers.later("made_for_the_test.work"), is_standing=True, has_work=has_work)
worker.run()
print(json.dumps(seen))
"""

_MODULE = """
objects = [[] for _ in range(10_000)]

def work(lease):
    return 0.01
"""


def test_it_takes_short_turns_and_settles(tmp_path: Path) -> None:
    (tmp_path / "made_for_the_test.py").write_text(_MODULE)
    seen = json.loads(Home(tmp_path / "home").make().python(_RUN.format(folder=str(tmp_path))))
    assert seen["before"] == [0.005, 0]
    assert seen["turn_s"] < 0.001
    assert seen["kept"] > 20_000
    # What a job imported when it was first done.
    assert seen["kept later"] > seen["kept"] + 5_000
