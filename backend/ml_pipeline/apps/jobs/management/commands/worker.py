"""`worker`: does what is to be done in the background, until it is stopped."""

from __future__ import annotations

import logging
import os
import signal
import threading
from argparse import ArgumentParser
from types import FrameType
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from ml_pipeline.apps.jobs.worker import Worker
from ml_pipeline.metrics.recorder import recorder
from ml_pipeline.wire import log_lines

# How often a worker beside a server looks whether that is still there.
LOOK_S = 0.5

logger = logging.getLogger(__name__)


class Command(BaseCommand):
    """Runs a worker in this process."""

    help = "Do background work until Ctrl-C."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Whom it goes with."""
        parser.add_argument("--beside", type=int, help="the pid of the parent process, with which it ends")

    def handle(self, *args: Any, **options: Any) -> None:
        """Returns once it was told to stop and the steps under way are done."""
        log_lines.take_over()
        recorder.open(settings.HOME, "worker")
        worker = Worker()

        def stop(number: int, frame: FrameType | None) -> None:
            worker.stop()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, stop)
        if options["beside"] is not None:
            threading.Thread(target=_follow, args=(worker, options["beside"]), daemon=True).start()
        else:
            logger.info("Working. Ctrl-C stops.")
        worker.run()


def _follow(worker: Worker, parent: int) -> None:
    # A server that was killed takes nobody with it.
    waiting = threading.Event()
    while os.getppid() == parent:
        waiting.wait(LOOK_S)
    worker.stop()
