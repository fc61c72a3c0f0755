"""The WSGI door: data-plane paths go to the exchange, all else to Django with its body read and bounded.

Django takes a chunked body for an empty one, so a body is read here and handed on with its length.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from typing import IO, Any
from weakref import WeakValueDictionary

from ml_pipeline.apps.predictions.doors import exchange
from ml_pipeline.apps.predictions.doors.exchange import Admitted, Elsewhere, Exchange, Head, Reply
from ml_pipeline.errors import MalformedInput, MLPipelineError, Overloaded

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]

PIECE_BYTES = 65_536
# As in the ASGI door: a refused upload is read and thrown away for a moment, so that the client gets to the reply.
DRAIN_S = 5.0
SILENCE_S = 0.5
# For an algorithm in another process everybody waits this long, and only one beyond it.
PATIENCE_S = 0.05
# Where servers put the client's socket: gunicorn, and our development server.
SOCKETS = ("gunicorn.socket", "ml_pipeline.socket")


class WsgiDoor:
    """A WSGI application in front of `django`."""

    def __init__(self, exchange_: Exchange, django: Application) -> None:
        self._exchange = exchange_
        self._django = django
        # Gone with the last request that waits in it.
        self._turns: WeakValueDictionary[int, _Turn] = WeakValueDictionary()
        self._lock = threading.Lock()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """One request."""
        if not self._exchange.service.is_started:
            self._exchange.service.start()
        head = _head(environ)
        try:
            admitted = self._exchange.admit(head)
            if isinstance(admitted, Elsewhere):
                return self._hand_on(admitted, head, environ, start_response)
            body = b"".join(_body(environ, head, exchange.MAX_BODY_BYTES))
        except MLPipelineError as error:
            return _refuse(exchange.error_reply(error), environ, start_response)
        reply = self._answered(admitted, body)
        _start(reply, start_response)
        return [b"" if head.method == "HEAD" else reply.body]

    def _answered(self, admitted: Admitted, body: bytes) -> Reply:
        slow = self._exchange.slow_algorithm(admitted)
        if slow is None:
            return self._exchange.answer(admitted, body)
        with self._lock:
            turn = self._turns.setdefault(slow, _Turn())
        if not turn.take(self._exchange.service.deadline_s):
            return exchange.error_reply(Overloaded("Others wait for this algorithm already; try again shortly."))
        try:
            return self._exchange.answer(admitted, body)
        finally:
            turn.give_back()

    def _hand_on(
        self, elsewhere: Elsewhere, head: Head, environ: Environ, start_response: StartResponse
    ) -> Iterable[bytes]:
        # An upload is unlinked already and goes when Django has let go of it.
        body: IO[bytes] = tempfile.TemporaryFile() if elsewhere.is_upload else io.BytesIO()  # noqa: SIM115
        for piece in _body(environ, head, elsewhere.limit_bytes):
            body.write(piece)
        size = body.tell()
        body.seek(0)
        environ["CONTENT_LENGTH"] = str(size)
        if size and not environ.get("CONTENT_TYPE"):
            environ["CONTENT_TYPE"] = exchange.JSON
        environ["wsgi.input"] = body
        return self._django(environ, start_response)


class _Turn:
    """Who asks one algorithm that does not answer at once.

    A server has few threads, and this one's callers hold two at most: one that asks and one that is next.
    """

    def __init__(self) -> None:
        self._asking = threading.Lock()
        self._next = threading.Lock()
        self._since = 0.0

    def take(self, deadline_s: float) -> bool:
        """Whether it is the caller's turn now; False when it will not be soon."""
        is_long = time.monotonic() - self._since > PATIENCE_S
        is_taken = self._asking.acquire(timeout=0 if is_long else PATIENCE_S)
        if not is_taken and self._next.acquire(blocking=False):
            try:
                is_taken = self._asking.acquire(timeout=deadline_s)
            finally:
                self._next.release()
        if is_taken:
            self._since = time.monotonic()
        return is_taken

    def give_back(self) -> None:
        """The next one's turn begins."""
        self._asking.release()


def _head(environ: Environ) -> Head:
    headers = {name[5:].replace("_", "-").lower(): value for name, value in environ.items() if name.startswith("HTTP_")}
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(name):
            headers[name.replace("_", "-").lower()] = environ[name]
    path = environ.get("PATH_INFO", "").encode("latin-1").decode("utf-8", "replace")
    return Head(environ["REQUEST_METHOD"], path, environ.get("QUERY_STRING", ""), headers)


def _body(environ: Environ, head: Head, limit_bytes: int) -> Iterator[bytes]:
    chunked = "transfer-encoding" in head.headers
    if chunked and not environ.get("wsgi.input_terminated"):
        raise MalformedInput("This server does not hand on chunked bodies; send a Content-Length.")
    length = head.content_length or 0
    size = 0
    for piece in _pieces(environ["wsgi.input"], limit_bytes + 1 if chunked else length):
        size += len(piece)
        if size > limit_bytes:
            raise exchange.too_large(limit_bytes)
        yield piece
    if not chunked and size < length:
        raise MalformedInput(f"The body ended after {size} of {length} bytes.")


def _pieces(stream: Any, wanted: int) -> Iterator[bytes]:
    while wanted > 0 and (piece := stream.read(min(wanted, PIECE_BYTES))):
        wanted -= len(piece)
        yield piece


def _refuse(reply: Reply, environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    _start(reply, start_response)
    return _refusal(reply, environ)


def _refusal(reply: Reply, environ: Environ) -> Iterator[bytes]:
    yield reply.body
    connection = next((environ[name] for name in SOCKETS if name in environ), None)
    # Without the socket nothing bounds the wait for a client that sends no more, and it would keep this thread.
    if connection is None:
        return
    length = environ.get("CONTENT_LENGTH") or "0"
    announced = int(length) if length.isascii() and length.isdigit() else 0
    wanted = 2**62 if "HTTP_TRANSFER_ENCODING" in environ else announced
    until = time.monotonic() + DRAIN_S
    before = connection.gettimeout()
    connection.settimeout(SILENCE_S)
    try:
        for _ in _pieces(environ["wsgi.input"], wanted):
            if time.monotonic() > until:
                break
    except OSError:
        pass
    finally:
        with contextlib.suppress(OSError):
            connection.settimeout(before)


def _start(reply: Reply, start_response: StartResponse) -> None:
    start_response(f"{reply.status} {HTTPStatus(reply.status).phrase}", list(reply.headers.items()))
