"""The WSGI door: data-plane paths go to the exchange, all else to Django with its body read and bounded.

Django takes a chunked body for an empty one, so a body is read here and handed on with its length.
"""

from __future__ import annotations

import contextlib
import functools
import io
import time
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from typing import IO, Any

from ml_pipeline.apps.predictions.doors import bodies, exchange, heads, paces
from ml_pipeline.apps.predictions.doors.exchange import Asked, Elsewhere, Exchange, Health, Reply, Telling
from ml_pipeline.apps.predictions.doors.heads import Head
from ml_pipeline.apps.predictions.doors.scrapes import Scrape
from ml_pipeline.apps.predictions.doors.turns import Turns
from ml_pipeline.apps.predictions.doors.uploads import Uploads
from ml_pipeline.apps.predictions.doors.waiters import ThreadWaiter
from ml_pipeline.errors import MalformedInput, MLPipelineError

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]

PIECE_BYTES = 65_536
# As in the ASGI door: a refused upload is read and thrown away for a moment, so that the client gets to the reply.
DRAIN_S = 5.0
SILENCE_S = 0.5
# Where servers put the client's socket: gunicorn, and our development server.
SOCKETS = ("gunicorn.socket", "ml_pipeline.socket")


class WsgiDoor:
    """A WSGI application in front of `django`."""

    def __init__(self, exchange_: Exchange, django: Application) -> None:
        self._exchange = exchange_
        self._django = django
        self._turns = Turns()
        self._watch = paces.Watch()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """One request."""
        if not self._exchange.service.is_started:
            self._exchange.service.start()
        head = _head(environ)
        try:
            admitted = self._exchange.admit(head)
            if isinstance(admitted, Elsewhere):
                return self._hand_on(admitted, head, environ, start_response)
            body = b"".join(self._body(environ, head, admitted.limit_bytes))
        except MLPipelineError as error:
            return _refuse(exchange.refusal(head, error), environ, start_response)
        reply = self._reply(admitted, body)
        if reply is None:
            return self._django(_measured(environ, io.BytesIO(body), len(body)), start_response)
        _start(reply, start_response)
        return [b"" if head.method == "HEAD" else reply.body]

    def _reply(self, admitted: Asked | Telling | Health | Scrape, body: bytes) -> Reply | None:
        # None where Django is to judge it. The outermost edge of this door: every failure is a reply too.
        try:
            if isinstance(admitted, Asked):
                return self._predicted(admitted, body)
            if isinstance(admitted, Health):
                return self._exchange.health(admitted)
            if isinstance(admitted, Scrape):
                return self._exchange.scraped(admitted)
            value = admitted.value(body)
            return None if value is exchange.NOT_PLAIN else self._told(admitted, value)
        except Exception as error:  # noqa: BLE001
            return exchange.failed(admitted, error)

    def _told(self, telling: Telling, value: Any) -> Reply:
        with contextlib.ExitStack() as held:
            waiter = ThreadWaiter(self._exchange.service, self._turns, held)
            outcome = self._exchange.tell(telling, value, waiter)
            waiter.finished(outcome)
        return exchange.told(telling, outcome)

    def _predicted(self, asked: Asked, body: bytes) -> Reply:
        since = time.monotonic()
        question, service = asked.question(), self._exchange.service
        slow = service.slow_algorithm(question)
        with contextlib.ExitStack() as held:
            waiter = ThreadWaiter(service, self._turns, held)
            if slow is not None:
                waiter.take_turn(slow, service.deadline_s)
            call = self._exchange.begin(asked, question, body, waiter, since)
            waiter.finished(call)
        return exchange.finished(asked, call)

    def _hand_on(
        self, elsewhere: Elsewhere, head: Head, environ: Environ, start_response: StartResponse
    ) -> Iterable[bytes]:
        with contextlib.ExitStack() as held:
            body: IO[bytes] = self._upload_file(elsewhere.uploads, held) if elsewhere.uploads else io.BytesIO()
            for piece in self._body(environ, head, elsewhere.limit_bytes):
                body.write(piece)
            size = body.tell()
            body.seek(0)
            reply = self._django(_measured(environ, body, size), start_response)
            if head.method == "HEAD":
                # Servers send none of it, and gunicorn warns of it.
                _close(reply)
                return []
            if not elsewhere.uploads:
                # As it is: a server may know Django's own kinds of replies, such as a file.
                return reply
            held.callback(_close, reply)
            return _Held(reply, held.pop_all())

    def _body(self, environ: Environ, head: Head, limit_bytes: int) -> Iterator[bytes]:
        chunked = b"transfer-encoding" in head.headers
        if chunked and not environ.get("wsgi.input_terminated"):
            raise MalformedInput("This server does not hand on chunked bodies; send a Content-Length.")
        length = head.content_length or 0
        size = 0
        for piece in _pieces(self._timely(environ), limit_bytes + 1 if chunked else length):
            size += len(piece)
            if size > limit_bytes:
                raise heads.too_large(limit_bytes)
            yield piece
        if not chunked and size < length:
            raise MalformedInput(f"The body ended after {size} of {length} bytes.")

    def _timely(self, environ: Environ) -> Callable[[int], bytes]:
        # What reads the body, and gives it up when it comes too slowly; the server has to show the client's socket.
        stream, connection = environ["wsgi.input"], _connection(environ)
        if connection is None:
            return functools.partial(_read, stream)

        def read(size: int) -> bytes:
            wait = self._watch.begin(connection, size)
            try:
                piece = _read(stream, size)
            finally:
                self._watch.end(wait)
                if wait.is_over:
                    raise paces.given_up()
            return piece

        return read

    def _upload_file(self, uploads: Uploads, held: contextlib.ExitStack) -> IO[bytes]:
        held.enter_context(uploads.place())
        return held.enter_context(self._exchange.spool.file())


class _Held:
    """Django's reply to an upload, and what is held until the server has sent it.

    Left to the garbage collector the upload's file would stay open for long: request and parser refer to each other.
    """

    def __init__(self, reply: Iterable[bytes], held: contextlib.ExitStack) -> None:
        self._reply = reply
        self.close = held.close

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._reply)


def _measured(environ: Environ, body: IO[bytes], size: int) -> Environ:
    environ["CONTENT_LENGTH"] = str(size)
    if size and not environ.get("CONTENT_TYPE"):
        environ["CONTENT_TYPE"] = bodies.JSON
    environ["wsgi.input"] = body
    return environ


def _close(reply: Iterable[bytes]) -> None:
    if hasattr(reply, "close"):
        reply.close()


def _head(environ: Environ) -> Head:
    given = {name[5:]: value for name, value in environ.items() if name.startswith("HTTP_")}
    given.update((name, environ[name]) for name in ("CONTENT_TYPE", "CONTENT_LENGTH") if environ.get(name))
    headers = {
        name.replace("_", "-").lower().encode("latin-1"): value.encode("latin-1") for name, value in given.items()
    }
    path = environ.get("PATH_INFO", "").encode("latin-1").decode("utf-8", "replace")
    return Head(environ["REQUEST_METHOD"], path, environ.get("QUERY_STRING", ""), headers)


def _connection(environ: Environ) -> Any:
    return next((environ[name] for name in SOCKETS if name in environ), None)


def _pieces(read: Callable[[int], bytes], wanted: int) -> Iterator[bytes]:
    while wanted > 0 and (piece := read(min(wanted, PIECE_BYTES))):
        wanted -= len(piece)
        yield piece


def _read(stream: Any, size: int) -> bytes:
    try:
        piece: bytes = stream.read(size)
    # Each server has errors of its own for a client that pauses too long, goes away, or chunks its body wrongly.
    except Exception as error:
        raise MalformedInput("The body could not be read to its end.") from error
    return piece


def _refuse(reply: Reply, environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    _start(reply, start_response)
    return _refusal(reply, environ)


def _refusal(reply: Reply, environ: Environ) -> Iterator[bytes]:
    yield b"" if environ["REQUEST_METHOD"] == "HEAD" else reply.body
    connection = _connection(environ)
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
        for _ in _pieces(functools.partial(_read, environ["wsgi.input"]), wanted):
            if time.monotonic() > until:
                break
    except (OSError, MalformedInput):
        pass
    finally:
        with contextlib.suppress(OSError):
            connection.settimeout(before)


def _start(reply: Reply, start_response: StartResponse) -> None:
    start_response(f"{reply.status} {HTTPStatus(reply.status).phrase}", list(reply.headers.items()))
