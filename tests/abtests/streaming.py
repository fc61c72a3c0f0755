"""Run by tests in processes of their own: a test, answers and feedback that stream into it, stops, what came of it.

`python streaming.py start`, `stream SEED COUNT`, `stop`, `state`, `late PART PARTS COUNT`.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

import django

django.setup()
sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]

from logged import answered, in_production, started, told  # noqa: E402  (Django is set up)

from ml_pipeline.apps.abtests import ends, verification  # noqa: E402
from ml_pipeline.apps.abtests.models import ABTest, UncountedAnswers, UncountedLabel, Unit  # noqa: E402
from ml_pipeline.apps.endpoints.models import Feedback, MLRequest  # noqa: E402
from ml_pipeline.apps.events.models import Event  # noqa: E402


def stream(seed: int, count: int) -> None:
    """So many answers in small commits, a third of them with feedback; the second arm is right much more often.

    Salt and ids are new in every run: the difference is such that the evidence is enough however they fall.
    """
    test, draw = ABTest.objects.get(), random.Random(seed)
    while count > 0:
        rows = answered(test, ["yes"] * min(count, 20))
        count -= len(rows)
        labelled = [row for row in rows if draw.random() < 0.3]
        right = {row.pk for row in labelled if draw.random() < (0.5, 0.9)[row.arm or 0]}
        told([row for row in labelled if row.pk in right], "yes")
        told([row for row in labelled if row.pk not in right], "no")


def late(part: int, parts: int, count: int) -> None:
    """Feedback, one by one, on so many of each `parts`-th request from `part` on."""
    for row in list(MLRequest.objects.order_by("pk"))[part::parts][:count]:
        told([row], "yes")


def state() -> dict[str, object]:
    """What there is of the test now."""
    test = ABTest.objects.get()
    units = Unit.objects.filter(test=test)
    found: dict[str, object] = {
        "state": test.state,
        "result": test.result,
        "units": [test.units, units.count()],
        "counted": [test.counted, units.filter(position__isnull=False).count()],
        "uncounted": UncountedAnswers.objects.count() + UncountedLabel.objects.count(),
        "production": in_production(),
        "feedback": Feedback.objects.count(),
        "ends": Event.objects.filter(action="abtest.ended").count(),
    }
    if test.certificate is not None:
        found["problems"] = verification.verified(test).problems
    return found


if __name__ == "__main__":
    match sys.argv[1]:
        case "start":
            started(**json.loads(sys.argv[2]))
        case "stream":
            stream(int(sys.argv[2]), int(sys.argv[3]))
        case "late":
            late(*map(int, sys.argv[2:]))
        case "stop":
            stopped = ends.stop(ABTest.objects.get(), actor=sys.argv[2])
            print(json.dumps([stopped.changed, stopped.test.result]))
        case "state":
            print(json.dumps(state()))
