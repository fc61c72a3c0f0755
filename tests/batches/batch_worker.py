"""Run by tests: a worker with a lease of so many seconds. `python batch_worker.py LEASE_S`."""

from __future__ import annotations

import signal
import sys

import django

django.setup()

from ml_pipeline.apps.jobs.worker import Worker  # noqa: E402  (Django is set up)

if __name__ == "__main__":
    worker = Worker(lease_s=float(sys.argv[1]), look_s=0.02)
    signal.signal(signal.SIGTERM, lambda number, frame: worker.stop())
    worker.run()
