"""Run by tests: writes a log with feedback. `python writing.py SEED COMMITS` prints what a recount finds of it.

On PostgreSQL some commits and some feedback are held back while later ones are made. `recount` is all it prints then.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections import Counter
from datetime import timedelta
from typing import Any

import django

django.setup()

from django.db import connection  # noqa: E402  (Django is set up)
from traffic import HOUR, NOON, Log, entry, tell, watched  # noqa: E402

from ml_pipeline.apps.endpoints.models import Feedback, MLAlgorithm, MLRequest  # noqa: E402
from ml_pipeline.apps.monitoring.models import Alarm, Detector, Window  # noqa: E402
from ml_pipeline.apps.predictions import journal, writers  # noqa: E402
from ml_pipeline.apps.predictions.writers import Batch  # noqa: E402

NAMES = ("requests", "labelled", "correct")
HELD_BACK = 12


class Held:
    """A commit whose transaction stays open on a connection of its own."""

    def __init__(self, log: Log, entries: list[Any], moment: Any) -> None:
        self._database = connection.copy()
        self._database.ensure_connection()
        log.seq += 1
        batch = Batch(log.writer, log.seq, len(entries), "0" * 64, journal.stamp(moment))
        writers.of(connection).write(self._database, batch, entries, ())

    def commit(self) -> None:
        writers.of(connection).commit(self._database)
        self._database.close()


def write(seed: int, commits: int) -> None:
    """So many commits, each of a few rows of some hour; most are told of at once, some later, some twice."""
    draw = random.Random(seed)
    algorithms = list(MLAlgorithm.objects.order_by("pk")) or [watched("1"), watched("2", is_profiled=False)]
    log, held, untold = Log(draw), [], []
    for _ in range(commits):
        moment = NOON + draw.randrange(30) * HOUR + timedelta(seconds=draw.randrange(3_600))
        entries = [entry(draw, draw.choice(algorithms), moment) for _ in range(draw.randint(1, 12))]
        if connection.vendor != "sqlite" and draw.random() < 0.3:
            held.append((Held(log, entries, moment), entries))
        else:
            log.commit(entries, moment)
            untold += entries
        if len(held) > HELD_BACK or (held and draw.random() < 0.2):
            one, its = held.pop(draw.randrange(len(held)))
            one.commit()
            untold += its
        draw.shuffle(untold)
        tell(
            (one, draw.choice(["no", "yes"]))
            for one in [untold.pop() for _ in range(min(len(untold), draw.randint(0, 9)))]
        )
        time.sleep(0.002)
    for one, _ in held:
        one.commit()


def recounted() -> dict[str, Any]:
    """The log's own counts by algorithm and hour, and those of the windows."""
    found: Counter[tuple[str, str]] = Counter()
    requests = {one.pk: one for one in MLRequest.objects.all()}
    outcomes: dict[Any, str] = {}
    for told in Feedback.objects.order_by("pk"):
        outcomes.setdefault(told.request_id, told.value)
    for pk, one in requests.items():
        key = f"{one.parent_mlalgorithm_id} {one.created_at.replace(minute=0, second=0, microsecond=0).isoformat()}"
        found[key, "requests"] += 1
        if pk in outcomes:
            found[key, "labelled"] += 1
            found[key, "correct"] += outcomes[pk] == one.response
    stored = {
        f"{one.parent_mlalgorithm_id} {one.begins_at.isoformat()} {name}": getattr(one, name)
        for one in Window.objects.filter(hours=1)
        for name in NAMES
        if getattr(one, name)
    }
    seen = {one.parent_mlalgorithm_id: one.labelled for one in Detector.objects.all()}
    weeks = {name: sum(getattr(one, name) for one in Window.objects.filter(hours=168)) for name in NAMES}
    return {
        "log": {f"{key} {name}": count for (key, name), count in found.items() if count},
        "windows": stored,
        "weeks": weeks,
        "seen": seen,
        "alarms": Alarm.objects.count(),
    }


if __name__ == "__main__":
    if sys.argv[1] != "recount":
        write(int(sys.argv[1]), int(sys.argv[2]))
    print(json.dumps(recounted()))
