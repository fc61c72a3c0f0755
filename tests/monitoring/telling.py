"""Run by tests in a home of its own: logs, folds, tests for drift, and prints what the API says of it."""

from __future__ import annotations

import json
import random
from datetime import timedelta
from uuid import UUID

import django

django.setup()

from asked import Asker  # noqa: E402  (Django is set up)
from traffic import HOUR, NOON, Log, entry, folded, outcome, prediction, row, tell, watched  # noqa: E402

from ml_pipeline.apps.jobs import jobs, leases  # noqa: E402
from ml_pipeline.apps.monitoring import drift_windows  # noqa: E402
from ml_pipeline.apps.monitoring.apps import DRIFT  # noqa: E402


def main() -> None:
    """Three hours of an algorithm, the last with older people; and one that has no reference."""
    by, other, draw = watched("1"), watched("2", is_profiled=False), random.Random(5)
    log = Log(draw)
    # MariaDB takes no UUID of a variant that there is not.
    log.writer = UUID(int=draw.getrandbits(128), version=4)
    for hour in range(3):
        entries, told = [], []
        for at in range(600):
            inputs, answered = row(draw), prediction(draw, ["no", "yes"])
            inputs["age"] = None if inputs["age"] is None else inputs["age"] + 25 * (hour == 2)
            one = entry(
                draw, by if at % 10 else other, NOON + hour * HOUR + at * timedelta(seconds=5), inputs, answered
            )
            entries.append(one)
            told.append((one, outcome(draw, answered)))
        log.commit(entries, NOON + (hour + 1) * HOUR)
        tell(told[::3])
    folded()
    assert drift_windows.has_work()
    jobs.stand([DRIFT])
    lease = leases.claim([DRIFT], "tests")
    assert lease is not None
    drift_windows.work(lease)
    asker, day = Asker(), {"from_": "2026-03-04", "to": "2026-03-05"}
    recorded = asker.get("endpoints/demo/drift")
    found = {
        "metrics": asker.get("endpoints/demo/metrics", **day, by="hour", slices="job,member"),
        "range": asker.get("endpoints/demo/drift", **day),
        "recorded": {**recorded, "tests": [{**one, "created_at": None} for one in recorded["tests"]]},
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
