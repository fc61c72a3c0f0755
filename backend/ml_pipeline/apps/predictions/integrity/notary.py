"""The notary: a thread of each serving process that signs the heads of every UTC day that has ended, once in all."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime

from django.db import Error, connection

from ml_pipeline.apps.predictions.integrity import heads
from ml_pipeline.apps.predictions.integrity.seals import Seal

logger = logging.getLogger(__name__)

# How often it looks whether a day has ended.
LOOK_INTERVAL_S = 60.0


def _now() -> datetime:
    return datetime.now(UTC)


class Notary:
    """Signs while this process serves; in `turn` it writes. A forked process has a thread of its own."""

    def __init__(self, seal: Seal, turn: AbstractContextManager[None], clock: Callable[[], datetime] = _now) -> None:
        self._seal, self._turn, self._clock = seal, turn, clock
        self._begin()
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._reported = ""

    def start(self) -> None:
        """From now on each day that ends is signed."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="notary", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Nothing is signed any more."""
        self._stopped.set()

    def _run(self) -> None:
        signed_on = None
        while True:
            now = self._clock()
            if now.date() != signed_on and self._sign(now):
                signed_on = now.date()
            if self._stopped.wait(LOOK_INTERVAL_S):
                return

    def _sign(self, now: datetime) -> bool:
        try:
            return heads.sign(self._seal, now, self._turn)
        except Error as error:
            if str(error) != self._reported:
                logger.error("the log's heads are not signed, trying again: %s", error)
            self._reported = str(error)
        # The outermost edge of this thread: without it no day would be signed any more.
        except Exception:
            logger.exception("the log's heads are not signed, trying again")
        finally:
            connection.close()
        return False
