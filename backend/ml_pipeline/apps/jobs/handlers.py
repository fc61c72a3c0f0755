"""Handlers: what does the jobs of each kind. The apps above register theirs when Django starts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ml_pipeline.apps.jobs.leases import Lease

# Does a step of the job. Returns in how many seconds there is another one, None when it is done. It may be called again
# with what was done already, by this process or another, so whatever it changes it changes inside `lease.held()`.
Handler = Callable[["Lease"], float | None]

_handlers: dict[str, Handler] = {}


def register(kind: str, handler: Handler) -> None:
    """Jobs of `kind` are done by `handler` from now on."""
    if kind in _handlers:
        raise RuntimeError(f"two handlers for jobs of the kind {kind!r}")
    _handlers[kind] = handler


def kinds() -> list[str]:
    """The kinds that this process can do."""
    return sorted(_handlers)


def of(kind: str) -> Handler:
    """What does jobs of `kind`."""
    return _handlers[kind]
