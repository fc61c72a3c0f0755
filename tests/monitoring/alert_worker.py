"""Run by tests: a worker that asks alert rules all the time. `python alert_worker.py LEASE_S` until it is stopped."""

from __future__ import annotations

import signal
import sys

import django

django.setup()

from ml_pipeline.apps.jobs.worker import Worker  # noqa: E402  (Django is set up)
from ml_pipeline.apps.monitoring import alert_rounds  # noqa: E402

alert_rounds.LOOK_S = 0.01

if __name__ == "__main__":
    worker = Worker(lease_s=float(sys.argv[1]), look_s=0.01)
    signal.signal(signal.SIGTERM, lambda number, frame: worker.stop())
    worker.run()
