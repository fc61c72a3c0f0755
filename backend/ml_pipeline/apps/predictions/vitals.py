"""Vitals: what waits in this process, told to whoever asks any process of this home for the metrics."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from ml_pipeline.apps.predictions import measures
from ml_pipeline.apps.predictions.condition import Condition
from ml_pipeline.metrics import families
from ml_pipeline.metrics.recorder import recorder
from ml_pipeline.metrics.traces import traces

# How old it may be.
PAUSE_S = 0.5
ROLE = "server"


class Vitals:
    """Reports the load of this process, from its start on. A companion; a forked process begins with nothing."""

    def __init__(self, home: Path, condition: Condition) -> None:
        self._home, self._condition = home, condition
        self._begin()
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """See `Companion`."""
        if self._thread is None:
            recorder.open(self._home, ROLE)
            traces.begin()
            measures.prepare()
            recorder.set(families.QUEUE_LIMIT_ROWS, self._condition.queue_rows)
            self.report()
            self._thread = threading.Thread(target=self._work, name="vitals", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """See `Companion`."""
        self._stopped.set()

    def report(self) -> None:
        """What waits now is what is told."""
        load = self._condition.load()
        recorder.set(families.QUEUE_ROWS, load.queue_rows)
        recorder.set(families.LONGEST_QUEUE_ROWS, load.longest_queue_rows)
        recorder.set(families.COMMIT_QUEUE_ROWS, load.commit_queue_rows)
        recorder.set(families.COMMIT_AGE, load.commit_age_s)
        recorder.set(families.KNOWN_REVISION, load.known_revision)
        recorder.set(families.SERVED_REVISION, load.served_revision)

    def _work(self) -> None:
        while not self._stopped.wait(PAUSE_S):
            self.report()
