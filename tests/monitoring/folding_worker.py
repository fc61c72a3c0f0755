"""Run by tests: a worker that folds a few rows at a time. `python folding_worker.py LEASE_S` until it is stopped."""

from __future__ import annotations

import signal
import sys

import django

django.setup()

from ml_pipeline.apps.jobs.worker import Worker  # noqa: E402  (Django is set up)
from ml_pipeline.apps.monitoring import folding  # noqa: E402

folding.MOST_ROWS, folding.MOST_COMMITS, folding.MOST_FEEDBACK = 25, 20, 15
folding.LOOK_S = 0.02

if __name__ == "__main__":
    worker = Worker(lease_s=float(sys.argv[1]), look_s=0.02)
    signal.signal(signal.SIGTERM, lambda number, frame: worker.stop())
    worker.run()
