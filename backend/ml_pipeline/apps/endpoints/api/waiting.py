"""`?wait=SECONDS`: a change that is answered when every live serving process serves it."""

from __future__ import annotations

import functools
import logging
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import Error
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from ml_pipeline.apps.events import processes, revisions
from ml_pipeline.errors import Complaint, InvalidInput, Overloaded

logger = logging.getLogger(__name__)

PARAMETER = "wait"
MAX_WAIT_S = 60
# In one process. Under WSGI each holds one of the server's threads, and predictions need some.
MAX_AT_ONCE = 4
_NUMBER = re.compile(r"[0-9]{1,2}(\.[0-9]{1,40})?(e-[0-9]{1,3})?")
_places = threading.BoundedSemaphore(MAX_AT_ONCE)

_DESCRIPTION = (
    f"Seconds, 0 to {MAX_WAIT_S}: the reply comes when every live serving process serves the change, or with status "
    "202 when the time is over. The header `Serving` says how many do."
)


def awaited(change: Callable[..., Response]) -> Callable[..., Response]:
    """The view's method `change`, which takes `?wait=SECONDS` now: its reply, when every live process serves it.

    When the seconds are over before, the same reply with status 202: the change is committed, and not served
    everywhere yet. Raises InvalidInput and Overloaded, both before anything is changed. `change` must know the
    parameter.
    """

    @functools.wraps(change)
    def answer(view: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
        text = request.query_params.get(PARAMETER)
        if text is None:
            return change(view, request, *args, **kwargs)
        patience_s = seconds(text)
        with place():
            # This process is waited for below, as all others are.
            with revisions.patience(0):
                reply = change(view, request, *args, **kwargs)
            return _once_served(reply, patience_s)

    # A description in OpenAPI, too; `server.schema` adds the reply with 202.
    parameter = OpenApiParameter(PARAMETER, OpenApiTypes.NUMBER, description=_DESCRIPTION)
    documented: Callable[..., Response] = extend_schema(parameters=[parameter])(answer)
    return documented


def _once_served(reply: Response, patience_s: float) -> Response:
    try:
        # The change's own, or a later one. When nothing was changed, what was changed before is waited for.
        found = processes.await_revision(revisions.current(), patience_s)
    except Error as error:
        # What is committed must not be answered with an error.
        logger.error("the database did not say who serves a change: %s", error)
        reply.status_code = status.HTTP_202_ACCEPTED
        return reply
    reply.headers["Serving"] = f"{found.serving}/{found.live}"
    if not found.is_everywhere:
        reply.status_code = status.HTTP_202_ACCEPTED
    return reply


def seconds(text: str) -> float:
    """How long whoever says `text` waits. Raises InvalidInput."""
    if not _NUMBER.fullmatch(text) or float(text) > MAX_WAIT_S:
        raise InvalidInput([Complaint(None, PARAMETER, f"a number from 0 to {MAX_WAIT_S}", repr(text[:40]))])
    return float(text)


@contextmanager
def place() -> Iterator[None]:
    """Somebody waits as long as the block lasts. Raises Overloaded."""
    if not _places.acquire(blocking=False):
        raise Overloaded(f"{MAX_AT_ONCE} requests are waiting in this process already; nothing was changed.")
    try:
        yield
    finally:
        _places.release()
