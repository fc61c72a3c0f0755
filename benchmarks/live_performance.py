"""What it takes to answer `GET endpoints/{name}/metrics`, and `/report`, over 90 days: everything but the network.

    python benchmarks/live_performance.py [--rows 60000] [--home FOLDER] [--json]

Logs and folds so many Adult requests of three algorithms as `folding.py` does, gives every hour, day and week of 90
days the fullest totals that came of it, and asks for the whole reply with slices by sex and race, and for the report
of it, in this very process: authentication, reading, figures and JSON, or drawings and HTML. The time
does not depend on the number of rows, only on that of the windows.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import folding

READINGS = 30
ASKED = {
    "reply": ("metrics", {}),
    "by_day": ("metrics", {"by": "day"}),
    "one_algorithm": ("metrics", {"algorithm": "random_forest"}),
    "report": ("report", {}),
}


def main() -> None:
    """Makes the home, logs, folds, asks, prints."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=60_000)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        import django

        django.setup()
        folding.log(options.rows, 500, 0.3)
        folding.folded()
        folding.read()
        print(json.dumps(asked()))
        return
    with folding.home_of(options.home) as home:
        found = json.loads(home.run(sys.executable, __file__, "--rows", str(options.rows), "--inside").stdout)
    print(json.dumps(found) if options.json else told(found))


def told(found: dict[str, Any]) -> str:
    """In words."""
    return (
        f"{folding.DAYS} days of {found['algorithms']} algorithms, all figures and slices: "
        f"{found['reply_ms']:.0f} ms ({found['reply_cpu_ms']:.0f} ms of the processor), {found['reply_kb']:.0f} kB; "
        f"with a series by day {found['by_day_ms']:.0f} ms ({found['by_day_cpu_ms']:.0f}); of one algorithm "
        f"{found['one_algorithm_ms']:.0f} ms ({found['one_algorithm_cpu_ms']:.0f}). The report for people: "
        f"{found['report_ms']:.0f} ms ({found['report_cpu_ms']:.0f}), {found['report_kb']:.0f} kB. "
        f"Medians of {READINGS}."
    )


def asked() -> dict[str, Any]:
    """How long the replies take, in milliseconds."""
    from django.test import Client

    from ml_pipeline.apps.accounts import keys
    from ml_pipeline.apps.endpoints.models import Endpoint

    _, key = keys.create("benchmark", ["read"], actor="benchmark")
    client = Client(headers={"Authorization": f"Bearer {key}", "Host": "127.0.0.1"})
    until = folding.BEGUN - timedelta(hours=11.5)
    endpoint = f"/api/v1/endpoints/{Endpoint.objects.get().name}"
    query = {"from": (until - timedelta(days=folding.DAYS)).isoformat(), "to": until.isoformat(), "slices": "sex,race"}
    found: dict[str, Any] = {}
    for name, (route, more) in ASKED.items():
        took, address = [], f"{endpoint}/{route}"
        # Routes are read with the first request.
        client.get(address, {**query, **more})
        cpu_s = time.process_time()
        for _ in range(READINGS):
            begun = time.perf_counter()
            reply = client.get(address, {**query, **more})
            took.append((time.perf_counter() - begun) * 1e3)
            if reply.status_code != 200:
                raise RuntimeError(reply.content.decode())
        found[f"{name}_ms"] = statistics.median(took)
        found[f"{name}_cpu_ms"] = (time.process_time() - cpu_s) / READINGS * 1e3
        found[f"{name}_kb"] = len(reply.content) / 1e3
        if name == "reply":
            found["algorithms"] = len(reply.json()["algorithms"])
    return found


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ml_pipeline.server.settings")
    main()
