"""Raising and reading the revision. Serving processes poll it; this process is told at once, after the commit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.db import transaction
from django.db.models import F
from django.dispatch import Signal

from ml_pipeline.apps.events.models import Revision

# Sent after the commit of a transaction that raised the revision, in the process that raised it. With `patience_s`:
# how long whoever made the change lets this process load what is new; None where he did not say.
raised = Signal()
_patience_s: ContextVar[float | None] = ContextVar("patience_s", default=None)


def raise_revision() -> None:
    """The revision is one higher once the caller's transaction commits. Must be called inside that transaction."""
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("raise_revision() belongs in the transaction that makes the change")
    if not Revision.objects.filter(pk=1).update(number=F("number") + 1):
        raise RuntimeError("the revision's row is missing; a migration makes it")
    transaction.on_commit(lambda: raised.send(sender=Revision, patience_s=_patience_s.get()), robust=True)


@contextmanager
def patience(seconds: float) -> Iterator[None]:
    """A change that is committed within the block lets this process load for at most `seconds` before it goes on."""
    token = _patience_s.set(seconds)
    try:
        yield
    finally:
        _patience_s.reset(token)


def lock() -> None:
    """Nobody else raises the revision until the caller's transaction ends. Must be called inside one."""
    Revision.objects.select_for_update().get(pk=1)


def current() -> int:
    """The revision as committed."""
    return Revision.objects.values_list("number", flat=True).get(pk=1)
