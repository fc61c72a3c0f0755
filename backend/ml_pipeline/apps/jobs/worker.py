"""The worker: a process that does jobs, a few at a time, until it is told to stop."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

from django.db import Error, InterfaceError, OperationalError, connection

from ml_pipeline import interpreter
from ml_pipeline.apps.jobs import handlers, jobs, leases
from ml_pipeline.apps.jobs.leases import LEASE_S, Lease, LeaseLost
from ml_pipeline.metrics import families
from ml_pipeline.metrics.recorder import recorder
from ml_pipeline.wire import log_lines

logger = logging.getLogger(__name__)

# Long jobs must not keep short ones waiting.
AT_ONCE = 4
# How often it looks for jobs.
LOOK_S = 0.5
# A lease is renewed so often within its time.
RENEWALS = 4


class Worker:
    """Does jobs of all kinds that this process has handlers for."""

    def __init__(self, *, lease_s: float = LEASE_S, look_s: float = LOOK_S) -> None:
        self.name = f"{socket.gethostname()}:{os.getpid()}"[:255]
        self._lease_s, self._look_s = lease_s, look_s
        self._stopped, self._ended = threading.Event(), threading.Event()
        self._lock = threading.Lock()
        # Those under way, and of them those that are not known to be lost.
        self._doing: set[Lease] = set()
        self._held: set[Lease] = set()
        self._free = threading.Semaphore(AT_ONCE)
        self._reported = ""
        # Whether the standing jobs are known to be there.
        self._is_begun = False

    def stop(self) -> None:
        """It takes no more jobs, and `run` returns once the steps under way are done."""
        self._stopped.set()

    def run(self) -> None:
        """Does jobs until it is stopped; the process is a worker from then on. Where the database is away it waits."""
        interpreter.take_short_turns()
        interpreter.settle()
        renewing = threading.Thread(target=self._renew, name="leases", daemon=True)
        renewing.start()
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="job") as pool:
            while not self._stopped.is_set():
                if not self._free.acquire(timeout=self._look_s):
                    continue
                lease = self._claimed()
                if lease is None:
                    self._free.release()
                    self._stopped.wait(self._look_s)
                    continue
                with self._lock:
                    self._doing.add(lease)
                    self._held.add(lease)
                pool.submit(self._do, lease).add_done_callback(self._done)
        self._ended.set()
        renewing.join()
        connection.close()

    def _claimed(self) -> Lease | None:
        try:
            if not self._is_begun:
                jobs.stand(handlers.standing())
                self._is_begun = True
            with self._lock:
                busy = [lease.kind for lease in self._doing]
            lease = leases.claim(handlers.kinds(busy), self.name, self._lease_s, self._stopped)
        except Error as error:
            connection.close()
            if str(error) != self._reported:
                logger.error("no job can be taken, trying again: %s", error)
            self._reported = str(error)
            return None
        self._reported = ""
        return lease

    def _do(self, lease: Lease) -> None:
        begun, outcome = time.monotonic(), "left"
        try:
            with log_lines.about(job_kind=lease.kind, job_subject=lease.subject):
                outcome = self._told(lease)
        finally:
            recorder.add(families.STEPS, lease.kind, outcome)
            recorder.observe(families.STEP_LATENCY, time.monotonic() - begun, lease.kind)
            with self._lock:
                self._doing.discard(lease)
                self._held.discard(lease)
            connection.close()

    def _told(self, lease: Lease) -> str:
        try:
            return self._step(lease)
        except LeaseLost:
            logger.warning("%s %s was taken by another worker", lease.kind, lease.subject)
        except Error as error:
            # The lease runs out by itself.
            logger.error("%s %s was left: %s", lease.kind, lease.subject, error)
        return "left"

    def _step(self, lease: Lease) -> str:
        # What became of it.
        try:
            again_s = handlers.of(lease.kind)(lease)
        except (LeaseLost, OperationalError, InterfaceError):
            # Of the last two the job knows nothing: the database is away, or was too slow.
            raise
        # The outermost edge of a job: whatever it does, the others go on.
        except Exception as error:
            logger.exception("%s %s failed", lease.kind, lease.subject)
            lease.fail(f"{type(error).__name__}: {error}")
            return "failed"
        if again_s is None:
            lease.finish()
        else:
            lease.postpone(again_s)
        return "done"

    def _done(self, step: Future[None]) -> None:
        self._free.release()
        if step.exception() is not None:
            logger.error("a job was left", exc_info=step.exception())

    def _renew(self) -> None:
        while not self._ended.wait(self._lease_s / RENEWALS):
            with self._lock:
                held = list(self._held)
            for lease in held:
                try:
                    lease.renew()
                except LeaseLost:
                    # Whoever does the job hears of it when he changes something.
                    with self._lock:
                        self._held.discard(lease)
                except Error as error:
                    connection.close()
                    logger.error("the lease of %s %s is not renewed: %s", lease.kind, lease.subject, error)
        connection.close()
