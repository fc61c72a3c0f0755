"""Presence: this process's row among the serving ones, kept up to date while it serves.

Written by a thread of its own. On SQLite a write waits for the lock that others hold, and no key must be late for it.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
import uuid
from collections.abc import Callable

from django.db import Error, connection

from ml_pipeline.apps.accounts import consumption, keys, quotas
from ml_pipeline.apps.events import processes

logger = logging.getLogger(__name__)

# A process that stops does not stay for long because the database is away; without it, its row is dead soon.
LEAVE_S = 5.0
# It may be known half a minute late that a key was used, and is written with the heartbeat after this.
USES_S = 27.0


class Presence:
    """Reports which revision this process serves: when it changes, and as a heartbeat."""

    def __init__(self, served: Callable[[], int]) -> None:
        """`served` gives the revision that this process serves now."""
        self._served = served
        self._begin()
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        # In a fork, too: the row and the thread are the parent's.
        self._id = uuid.uuid4()
        self._news = threading.Event()
        self._is_over = False
        self._thread: threading.Thread | None = None
        self._told = ""
        self._uses_due = time.monotonic() + USES_S

    def enter(self) -> None:
        """The row is there, unless the database is away, and is kept up to date from now on."""
        processes.enter(self._id)
        self._report()
        self._thread = threading.Thread(target=self._keep, name="presence", daemon=True)
        self._thread.start()
        # Servers differ in how they stop; the interpreter's end is common to those without a life cycle of their own.
        atexit.register(self.left)

    def tell(self) -> None:
        """Another revision is served now; reported without delay."""
        self._news.set()

    def leave(self) -> None:
        """The row goes, in the background."""
        self._is_over = True
        self._news.set()

    def left(self) -> None:
        """Returns when the row is gone, or after LEAVE_S."""
        self.leave()
        if self._thread is not None:
            self._thread.join(LEAVE_S)

    def _keep(self) -> None:
        while not self._is_over:
            self._news.wait(processes.HEARTBEAT_S)
            self._news.clear()
            if not self._is_over:
                self._report()
        try:
            keys.write_uses()
            consumption.reconcile(quotas.meter, self._id)
            consumption.forget(self._id)
            processes.remove(self._id)
        except Error as error:
            logger.error("This process's row among the serving ones stays for a while: %s", error)
        connection.close()

    def _report(self) -> None:
        try:
            processes.report(self._id, revision=self._served())
            consumption.reconcile(quotas.meter, self._id)
            if time.monotonic() >= self._uses_due:
                self._uses_due = time.monotonic() + USES_S
                keys.write_uses()
            self._told = ""
        except Error as error:
            connection.close()
            self._log(f"This process cannot say which revision it serves: {error}")
        # The outermost edge of this thread: without it nobody would hear of this process any more.
        except Exception:
            logger.exception("this process could not say which revision it serves")

    def _log(self, message: str) -> None:
        if message != self._told:
            logger.error("%s", message)
        self._told = message
