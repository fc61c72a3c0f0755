"""Run by tests: a figure that is a breach and is none, in turn, each until it is told. Prints what was told.

`python breaching.py BREACHES` leaves so many alerts, all of them closed.
"""

from __future__ import annotations

import json
import sys

import django

django.setup()

from registered import algorithm  # noqa: E402  (Django is set up)
from servers import wait_until  # noqa: E402

from ml_pipeline.apps.events import clock  # noqa: E402
from ml_pipeline.apps.events.models import Event  # noqa: E402
from ml_pipeline.apps.monitoring import alert_rules  # noqa: E402
from ml_pipeline.apps.monitoring.models import Alert, Window  # noqa: E402

PATIENCE_S = 120


def main(breaches: int) -> None:
    """A rule on the volume of the endpoint, and a window whose requests come and go."""
    by = algorithm("1")
    texts = {"traffic": '{"errors": {}, "latencies": null}', "performance": "{}", "slices": "{}"}
    texts["features"] = '{"features": {}, "scores": null, "labels": null}'
    hour = clock.now().replace(minute=0, second=0, microsecond=0)
    Window.objects.create(parent_mlalgorithm=by, hours=1, begins_at=hour, requests=9, **texts)
    about = {"name": "silent", "measure": "requests", "condition": "below", "threshold": 5.0}
    alert_rules.create(by.parent_endpoint, about, actor="tests")
    for number in range(2 * breaches):
        is_breach = number % 2 == 0
        Window.objects.update(requests=0 if is_breach else 9)
        wait_until(lambda wanted=is_breach: Alert.objects.filter(closed_at=None).exists() == wanted, PATIENCE_S)  # type: ignore[misc]
    told = Event.objects.filter(action__startswith="alert.").order_by("pk").values_list("action", flat=True)
    print(json.dumps({"told": list(told), "alerts": list(Alert.objects.values_list("outcome", flat=True))}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
