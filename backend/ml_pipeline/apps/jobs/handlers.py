"""Handlers: what does the jobs of each kind. The apps above register theirs when Django starts."""

from __future__ import annotations

import functools
import importlib
import math
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, NamedTuple

from ml_pipeline import interpreter

if TYPE_CHECKING:
    from ml_pipeline.apps.jobs.leases import Lease

# Does a step of the job. Returns in how many seconds there is another one, None when it is done. It may be called again
# with what was done already, by this process or another, so whatever it changes it changes inside `lease.held()`.
Handler = Callable[["Lease"], float | None]


class _Registered(NamedTuple):
    handler: Handler
    at_once: int | None
    is_standing: bool
    has_work: Callable[[], bool] | None
    is_large: bool


_handlers: dict[str, _Registered] = {}


def register(
    kind: str,
    handler: Handler,
    *,
    at_once: int | None = None,
    is_standing: bool = False,
    has_work: Callable[[], bool] | None = None,
    is_large: bool = False,
) -> None:
    """Jobs of `kind` are done by `handler` from now on, so many `at_once` in one worker: None for as many as it does.

    Whose steps are long must leave room for others. Where it `is_standing` there is one job, without a subject,
    wherever a worker runs; it is never over, and however often it failed it is tried again.
    Jobs are taken only while `has_work`, where it is given: to ask costs no write, and to take one does.
    Somebody waits for one that `is_large`, and it takes what a machine has: what can wait gives way to it.
    """
    if kind in _handlers:
        raise RuntimeError(f"two handlers for jobs of the kind {kind!r}")
    _handlers[kind] = _Registered(handler, at_once, is_standing, has_work, is_large)


def kinds(busy: Collection[str] = ()) -> list[str]:
    """The kinds that this process can do while it does jobs of the kinds `busy`, a kind for each job."""
    counts = Counter(busy)
    free = ((kind, one) for kind, one in _handlers.items() if one.at_once is None or counts[kind] < one.at_once)
    return sorted(kind for kind, one in free if one.has_work is None or one.has_work())


def seldom(pause_s: Callable[[], float]) -> Callable[[Callable[[], bool]], Callable[[], bool]]:
    """For a `has_work`: where it said that there is none, it is not asked again in this process for so long."""

    def decorated(has_work: Callable[[], bool]) -> Callable[[], bool]:
        idle_at = -math.inf

        def asked() -> bool:
            nonlocal idle_at
            if time.monotonic() - idle_at < pause_s():
                return False
            found = has_work()
            if not found:
                idle_at = time.monotonic()
            return found

        return functools.wraps(has_work)(asked)

    return decorated


def later(function: str) -> Callable[..., Any]:
    """What calls the function of that dotted name, imported when it is first called: who does not needs not import it.

    `function` is as `ml_pipeline.apps.jobs.jobs.ask`.
    """
    module, _, name = function.rpartition(".")

    def call(*given: Any) -> Any:
        is_new = module not in sys.modules
        # Waits where another thread is importing it.
        imported = importlib.import_module(module)
        if is_new:
            interpreter.keep()
        return getattr(imported, name)(*given)

    return call


def waits_when_due(kind: str) -> bool:
    """Whether a job of `kind` that is due waits for a worker; others may have no work."""
    return kind not in _handlers or _handlers[kind].has_work is None


def of(kind: str) -> Handler:
    """What does jobs of `kind`."""
    return _handlers[kind].handler


def standing() -> list[str]:
    """The kinds of which there is always a job."""
    return sorted(kind for kind, one in _handlers.items() if one.is_standing)


def large() -> list[str]:
    """The kinds to whose jobs others give way."""
    return sorted(kind for kind, one in _handlers.items() if one.is_large)


def is_standing(kind: str) -> bool:
    """Whether there is always a job of `kind`."""
    return kind in _handlers and _handlers[kind].is_standing
