"""The ASGI door: data-plane paths go to the exchange, all else to Django with its body read and bounded."""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Any
from weakref import WeakValueDictionary

from django.core.handlers.asgi import ASGIHandler

from ml_pipeline.apps.predictions.doors import exchange
from ml_pipeline.apps.predictions.doors.exchange import Admitted, Elsewhere, Exchange, Head, Reply
from ml_pipeline.apps.predictions.service import overloaded
from ml_pipeline.errors import DeadlineExceeded, MLPipelineError

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
Application = Callable[[Any, Receive, Send], Awaitable[None]]

THREADS = 8
# For algorithms that are loaded first or run in another process: these threads wait, they do not compute.
SLOW_THREADS = 64
# What is larger is written to a file, as much at a time, and never by the thread that all requests share.
PIECE_BYTES = 1_000_000
# A refused upload is read and thrown away for a moment, or the client would see a reset instead of the reply.
DRAIN_S = 5.0
MAX_WAITING_BYTES = 200_000_000


class Handed:
    """What Django gets to receive from: `body` is read already, so all that may come is that the client goes away."""

    def __init__(self, body: IO[bytes], receive: Receive) -> None:
        self.body = body
        self._receive = receive

    async def __call__(self) -> Mapping[str, Any]:
        """The next message."""
        return await self._receive()


class DjangoHandler(ASGIHandler):
    """Django's handler behind the door: it takes the body as the door has it, where its own would copy it."""

    async def read_body(self, receive: Handed) -> IO[bytes]:  # type: ignore[override]
        """The body; Django closes it, in the thread of the view."""
        return receive.body


class ClientGone(Exception):
    """The client went away before its body was complete."""


class AsgiDoor:
    """An ASGI application in front of `django`."""

    def __init__(self, exchange_: Exchange, django: Application) -> None:
        self._exchange = exchange_
        self._django = django
        # Requests handed to the threads and not answered yet, each of at least a row: their queue is bounded too.
        self._waiting = 0
        self._waiting_bytes = 0
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="predict")
        self._slow_threads = ThreadPoolExecutor(SLOW_THREADS, thread_name_prefix="predict-slow")
        # Gone with the last request that waits in it.
        self._turns: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or the server's life."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            if not self._exchange.service.is_started:
                await asyncio.to_thread(self._exchange.service.start)
            try:
                await self._http(scope, receive, send)
            except ClientGone:
                return
        else:
            await send({"type": "websocket.close", "code": 1000})

    async def _live(self, receive: Receive, send: Send) -> None:
        while (await receive())["type"] != "lifespan.shutdown":
            await asyncio.to_thread(self._exchange.service.start)
            await send({"type": "lifespan.startup.complete"})
        self._exchange.service.drain()
        for threads in (self._threads, self._slow_threads):
            await asyncio.to_thread(threads.shutdown)
        await asyncio.to_thread(self._exchange.service.close)
        await send({"type": "lifespan.shutdown.complete"})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        head, upload = _head(scope), _Upload(receive)
        try:
            admitted = self._exchange.admit(head)
            if isinstance(admitted, Elsewhere):
                await self._hand_on(admitted, scope, upload, receive, send)
                return
            if admitted.grant is not None and self._is_full():
                raise overloaded()
            body = await upload.read()
        except MLPipelineError as error:
            await _refuse(exchange.error_reply(error), upload, send)
            return
        await _send(await self._answered(admitted, body), send, with_body=head.method != "HEAD")

    async def _hand_on(self, elsewhere: Elsewhere, scope: Scope, upload: _Upload, receive: Receive, send: Send) -> None:
        with self._exchange.uploads.place() if elsewhere.is_upload else contextlib.nullcontext():
            body, size = await self._spooled(upload, elsewhere.limit_bytes)
            with body:
                await self._django(_measured(scope, size), Handed(body, receive), send)

    async def _spooled(self, upload: _Upload, limit_bytes: int) -> tuple[IO[bytes], int]:
        file: IO[bytes] | None = None
        held, written = bytearray(), 0
        try:
            async for part in upload.parts(limit_bytes):
                held += part
                if len(held) >= PIECE_BYTES:
                    if file is None:
                        file = await asyncio.to_thread(self._exchange.uploads.file)
                    written += await asyncio.to_thread(file.write, held)
                    held = bytearray()
            if file is None:
                return io.BytesIO(held), len(held)
            written += await asyncio.to_thread(file.write, held)
            await asyncio.to_thread(file.seek, 0)
        except BaseException:
            if file is not None:
                await asyncio.to_thread(file.close)
            raise
        return file, written

    async def _answered(self, admitted: Admitted, body: bytes) -> Reply:
        # Health checks must not wait behind predictions: one asks nobody, the other has threads of its own.
        if admitted.head.path == "/healthz":
            return self._exchange.answer(admitted, body)
        if admitted.grant is None:
            return await asyncio.to_thread(self._exchange.answer, admitted, body)
        if self._is_full():
            return exchange.error_reply(overloaded())
        self._waiting += 1
        self._waiting_bytes += len(body)
        try:
            slow = self._exchange.slow_algorithm(admitted)
            if slow is None:
                return await self._in(self._threads, admitted, body)
            return await self._in_turn(slow, admitted, body)
        finally:
            self._waiting -= 1
            self._waiting_bytes -= len(body)

    async def _in(self, threads: ThreadPoolExecutor, admitted: Admitted, body: bytes) -> Reply:
        return await asyncio.get_running_loop().run_in_executor(threads, self._exchange.answer, admitted, body)

    async def _in_turn(self, algorithm_id: int, admitted: Admitted, body: bytes) -> Reply:
        # One at a time an algorithm, and in threads of their own: however many ask for it, nobody else waits.
        turn = self._turns.setdefault(algorithm_id, asyncio.Lock())
        try:
            async with asyncio.timeout(self._exchange.service.deadline_s):
                await turn.acquire()
        except TimeoutError:
            return exchange.error_reply(DeadlineExceeded("Too many wait for this algorithm; it was not asked in time."))
        try:
            return await self._in(self._slow_threads, admitted, body)
        finally:
            turn.release()

    def _is_full(self) -> bool:
        return self._waiting >= self._exchange.service.queue_rows or self._waiting_bytes >= MAX_WAITING_BYTES


def _head(scope: Scope) -> Head:
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        headers.setdefault(name.decode("latin-1").lower(), value.decode("latin-1"))
    return Head(scope["method"], scope["path"], scope["query_string"].decode("latin-1"), headers)


class _Upload:
    """A request's body on its way in."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._more = True

    async def read(self) -> bytes:
        """The whole body. Raises BodyTooLarge, and ClientGone when it never ends."""
        return b"".join([part async for part in self.parts(exchange.MAX_BODY_BYTES)])

    async def parts(self, limit_bytes: int) -> AsyncIterator[bytes]:
        """The body as it comes in. Raises BodyTooLarge, and ClientGone when it never ends."""
        size = 0
        while self._more:
            part = await self._part()
            size += len(part)
            if size > limit_bytes:
                raise exchange.too_large(limit_bytes)
            yield part

    async def drain(self) -> None:
        """Reads on for a moment and throws away what comes."""
        with contextlib.suppress(TimeoutError, ClientGone):
            async with asyncio.timeout(DRAIN_S):
                while self._more:
                    await self._part()

    async def _part(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        self._more = message.get("more_body", False)
        part: bytes = message.get("body", b"")
        return part


def _measured(scope: Scope, size: int) -> Scope:
    # Django takes a body without a length for an empty one, and DRF refuses one without a type.
    headers = [pair for pair in scope["headers"] if pair[0] not in (b"content-length", b"transfer-encoding")]
    headers.append((b"content-length", str(size).encode()))
    if size and not any(name == b"content-type" for name, _ in headers):
        headers.append((b"content-type", exchange.JSON.encode()))
    return {**scope, "headers": headers}


async def _send(reply: Reply, send: Send, *, with_body: bool = True) -> None:
    await send(_start(reply))
    await send({"type": "http.response.body", "body": reply.body if with_body else b""})


async def _refuse(reply: Reply, upload: _Upload, send: Send) -> None:
    reply.headers["Connection"] = "close"
    await send(_start(reply))
    await send({"type": "http.response.body", "body": reply.body, "more_body": True})
    await upload.drain()
    await send({"type": "http.response.body", "body": b""})


def _start(reply: Reply) -> Mapping[str, Any]:
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers.items()]
    return {"type": "http.response.start", "status": reply.status, "headers": headers}
