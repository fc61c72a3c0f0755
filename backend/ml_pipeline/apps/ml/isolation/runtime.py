"""IsolatedRuntime: a predict step in a child process, which is replaced when it crashes or is late."""

from __future__ import annotations

import itertools
import logging
import os
import threading
import time
from collections import deque
from weakref import WeakSet

from ml_pipeline.apps.ml.algorithm import Output
from ml_pipeline.apps.ml.isolation import child as children
from ml_pipeline.apps.ml.isolation import frames
from ml_pipeline.apps.ml.isolation.child import Loading
from ml_pipeline.apps.ml.isolation.frames import Frame
from ml_pipeline.apps.ml.isolation.nursery import Child, Nursery
from ml_pipeline.apps.ml.signature import Columns
from ml_pipeline.errors import (
    AlgorithmCrashed,
    AlgorithmFailed,
    AlgorithmNotReady,
    DeadlineExceeded,
    InvalidArtifact,
    MLPipelineError,
)

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0

logger = logging.getLogger(__name__)


class RaisedInChild(Exception):
    """What the model raised, in the child's words; for the log."""


class IsolatedRuntime:
    """The runtime of one algorithm, in one child that answers one call at a time. Thread-safe.

    A fork of this process starts a child of its own with its first prediction.
    """

    is_isolated = True

    def __init__(
        self, nursery: Nursery, loading: Loading, name: str, *, deadline_s: float, load_deadline_s: float
    ) -> None:
        """`name` is the runtime's; `deadline_s` bounds a prediction and its turn, `load_deadline_s` the loading."""
        self.name = name
        self._nursery = nursery
        self._loading = loading
        self._label = f"{name} {loading.digest[:12]}"
        self._deadline_s = deadline_s
        self._load_deadline_s = load_deadline_s
        self._calls = itertools.count(children.LOADING + 1)
        self._is_closed = False
        self._child: Child | None = None
        self._begin()
        _runtimes.add(self)

    def _begin(self) -> None:
        # All of it under this condition, which is notified whenever any of it changes.
        self._changed = threading.Condition()
        # Who asks, in order: the first has the child, the others wait.
        self._callers: deque[int] = deque()
        # While a replacement is on its way nobody waits; before the first child they do.
        self._is_lost = False
        self._is_starting = False

    def forget(self) -> None:
        """In a process that was just forked: the child stays with the process that asks it."""
        if self._child is not None:
            self._child.forget()
            self._child = None
        self._begin()

    def start(self) -> None:
        """Returns when a child has loaded the algorithm. Raises InvalidArtifact with the reason when none can."""
        with self._changed:
            self._is_starting = True
        try:
            self._install(self._loaded())
        finally:
            with self._changed:
                self._is_starting = False
                self._changed.notify_all()

    def predict(self, columns: Columns) -> Output:
        """The output of the child's predict step.

        Raises DeadlineExceeded; AlgorithmCrashed, and AlgorithmNotReady until the replacement is there; AlgorithmFailed
        when the model raised, from what it said.
        """
        until = time.monotonic() + self._deadline_s
        call = next(self._calls)
        request = frames.of_columns(call, columns)
        rows = len(next(iter(columns.values()), ()))
        with self._changed:
            self._callers.append(call)
        try:
            child = self._turn(call, until)
            return self._answer(child, call, request, rows, until)
        finally:
            with self._changed:
                self._leave(call)

    def _turn(self, call: int, until: float) -> Child:
        with self._changed:
            if self._child is None and not self._is_lost and not self._is_closed:
                self._replace()
            is_in_time = self._changed.wait_for(
                lambda: self._is_closed or self._is_lost or (self._child is not None and self._callers[0] == call),
                until - time.monotonic(),
            )
            if self._is_closed:
                raise AlgorithmNotReady("The algorithm cannot answer: it is being unloaded.")
            if self._child is None:
                raise AlgorithmNotReady("The algorithm cannot answer: its process is being started again.")
            if not is_in_time:
                raise DeadlineExceeded(f"The algorithm was busy with other requests for {self._deadline_s:g} s.")
            return self._child

    def _leave(self, call: int) -> None:
        self._callers.remove(call)
        if self._is_closed and not self._callers:
            self._end()
        self._changed.notify_all()

    def _answer(self, child: Child, call: int, request: bytes, rows: int, until: float) -> Output:
        is_whole = False
        try:
            frames.send(child.socket, request, until)
            frame = _reply(child, call, rows, until)
            error = frames.error_of(frame)
            output = None if error else frames.output_of(frame)
            is_whole = True
        except TimeoutError:
            logger.error("%s: no answer within %g s", self._label, self._deadline_s)
            raise DeadlineExceeded(f"The algorithm did not answer within {self._deadline_s:g} s.") from None
        except (frames.BrokenFrame, EOFError, OSError) as broken:
            logger.error("%s: its process %s answers no more: %s", self._label, child.pid, broken)
            raise AlgorithmCrashed("The algorithm's process ended; it is being started again.") from broken
        finally:
            # Whatever it was: an answer that is still to come must not be taken for that of the next call.
            if not is_whole:
                self._lose(child)
        if output is None:
            raise AlgorithmFailed("The algorithm failed on this input.") from RaisedInChild(": ".join(error or ()))
        return output

    def _lose(self, child: Child) -> None:
        child.kill()
        with self._changed:
            if self._child is child:
                self._child = None
                self._is_lost = True
                self._changed.notify_all()
                if not self._is_closed:
                    self._replace()

    def _replace(self) -> None:
        # Under the condition.
        if not self._is_starting:
            threading.Thread(target=self._start_again, name=f"isolation-{self._label}", daemon=True).start()
            self._is_starting = True

    def _start_again(self) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                child = self._loaded()
            except MLPipelineError as error:
                logger.error("%s: no process for it, again in %g s: %s", self._label, pause_s, error.message)
            # The outermost edge of this thread: without it nobody would try again.
            except Exception:
                logger.exception("%s: no process for it, again in %g s", self._label, pause_s)
            else:
                self._install(child)
                return
            with self._changed:
                self._is_lost = True
                self._changed.notify_all()
                if self._changed.wait_for(lambda: self._is_closed, pause_s):
                    return
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _loaded(self) -> Child:
        child = self._nursery.spawn(self._loading)
        try:
            frame = _reply(child, children.LOADING, 0, time.monotonic() + self._load_deadline_s)
            _check_loaded(frame)
        except TimeoutError:
            child.kill()
            raise InvalidArtifact(f"The model was not loaded within {self._load_deadline_s:g} s.") from None
        except (frames.BrokenFrame, EOFError, OSError) as error:
            child.kill()
            raise InvalidArtifact("The process that loaded the model crashed.") from error
        except BaseException:
            child.kill()
            raise
        return child

    def _install(self, child: Child) -> None:
        with self._changed:
            self._is_starting = False
            if self._is_closed:
                child.kill()
                return
            if self._child is not None:
                self._child.kill()
            self._child, self._is_lost = child, False
            self._changed.notify_all()

    def _end(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child = None

    def close(self) -> None:
        """The child ends, after the call under way if there is one; from now on there are no answers."""
        with self._changed:
            self._is_closed = True
            if not self._callers:
                self._end()
            self._changed.notify_all()

    def memory_bytes(self) -> int:
        """What of the child is in memory, the pages shared with the template included; 0 without a child."""
        with self._changed:
            return self._child.memory_bytes() if self._child is not None else 0


def _reply(child: Child, call: int, rows: int, until: float) -> Frame:
    frame = frames.received(
        child.socket, until, header_bytes=frames.MAX_HEADER_BYTES, body_bytes=frames.most_bytes(rows)
    )
    if frame.header.get("call") != call:
        raise frames.BrokenFrame("the answer is to another call")
    return frame


def _check_loaded(frame: Frame) -> None:
    error = frames.error_of(frame)
    if error is not None:
        kind, said = error
        reason = said if kind == InvalidArtifact.__name__ else f"The model cannot be loaded: {kind}."
        raise InvalidArtifact(reason) from RaisedInChild(": ".join(error))


_runtimes: WeakSet[IsolatedRuntime] = WeakSet()


def _forget_all() -> None:
    for runtime in list(_runtimes):
        runtime.forget()


os.register_at_fork(after_in_child=_forget_all)
