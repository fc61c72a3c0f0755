"""The ASGI door: data-plane paths go to the exchange, all else to Django with its body read and bounded."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Any
from weakref import WeakValueDictionary

from django.core.handlers.asgi import ASGIHandler

from ml_pipeline.apps.ml import work
from ml_pipeline.apps.predictions.calls import Call, Question
from ml_pipeline.apps.predictions.doors import bodies, exchange, heads
from ml_pipeline.apps.predictions.doors.exchange import Asked, Elsewhere, Exchange, Health, Reply, Telling
from ml_pipeline.apps.predictions.doors.heads import Head
from ml_pipeline.apps.predictions.doors.waiters import LoopWaiter
from ml_pipeline.apps.predictions.routing import Selection
from ml_pipeline.errors import DeadlineExceeded, MLPipelineError

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
Application = Callable[[Any, Receive, Send], Awaitable[None]]

# For large bodies: what takes longer to decode than others should wait.
THREADS, INLINE_BYTES = 4, 50_000
# For algorithms that are loaded first; these threads mostly wait.
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
        self._waiter: LoopWaiter | None = None
        # Of requests that are not answered yet.
        self._waiting_bytes = 0
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="decode")
        self._slow_threads = ThreadPoolExecutor(SLOW_THREADS, thread_name_prefix="load")
        # Gone with the last request that waits in it.
        self._turns: WeakValueDictionary[tuple[str, Selection], asyncio.Lock] = WeakValueDictionary()

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
            if self._waiting_bytes >= MAX_WAITING_BYTES:
                raise work.overloaded()
            body = await upload.read()
        except MLPipelineError as error:
            await _refuse(exchange.error_reply(error), upload, send)
            return
        if isinstance(admitted, Telling) and admitted.value(body) is exchange.NOT_PLAIN:
            with io.BytesIO(body) as file:
                await self._django(_measured(scope, len(body)), Handed(file, receive), send)
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

    async def _answered(self, admitted: Asked | Telling | Health, body: bytes) -> Reply:
        # The outermost edge of this door: every failure is a reply too.
        try:
            if isinstance(admitted, Asked):
                return await self._predicted(admitted, body)
            if isinstance(admitted, Telling):
                return await self._told(admitted, body)
            # Health checks must not wait behind predictions: one asks nobody, the other in a thread of its own.
            if admitted.path == "/healthz":
                return self._exchange.health(admitted)
            return await asyncio.to_thread(self._exchange.health, admitted)
        except MLPipelineError as error:
            return exchange.error_reply(error)
        except Exception as error:  # noqa: BLE001
            return exchange.unforeseen(error)

    def _loop_waiter(self) -> LoopWaiter:
        if self._waiter is None or self._waiter.loop is not asyncio.get_running_loop():
            self._waiter = LoopWaiter(self._exchange.service)
        return self._waiter

    async def _told(self, telling: Telling, body: bytes) -> Reply:
        waiter = self._loop_waiter()
        outcome = self._exchange.tell(telling, telling.value(body), waiter)
        await waiter.finished(outcome)
        return exchange.told(outcome)

    async def _predicted(self, asked: Asked, body: bytes) -> Reply:
        question, waiter = asked.question(), self._loop_waiter()
        self._waiting_bytes += len(body)
        try:
            if len(body) > INLINE_BYTES or self._exchange.service.is_absent(question):
                call = await self._begun_apart(asked, question, body, waiter)
            else:
                call = self._exchange.begin(asked, question, body, waiter)
            await waiter.finished(call)
        finally:
            self._waiting_bytes -= len(body)
        return exchange.finished(call)

    async def _begun_apart(self, asked: Asked, question: Question, body: bytes, waiter: LoopWaiter) -> Call:
        # In a thread, and what has to be loaded first one at a time an algorithm: however many ask, nobody else waits.
        service, loop = self._exchange.service, asyncio.get_running_loop()
        arguments = (asked, question, body, waiter)
        if not service.is_absent(question):
            return await loop.run_in_executor(self._threads, self._exchange.begin, *arguments)
        turn = self._turns.setdefault((question.endpoint, question.selection), asyncio.Lock())
        try:
            async with asyncio.timeout(service.deadline_s):
                await turn.acquire()
        except TimeoutError:
            raise DeadlineExceeded("Too many wait for this algorithm; it was not asked in time.") from None
        try:
            return await loop.run_in_executor(self._slow_threads, self._exchange.begin, *arguments)
        finally:
            turn.release()


def _head(scope: Scope) -> Head:
    # Servers hand over lower-case names. Of a header that comes twice the first counts.
    headers = dict(reversed(scope["headers"]))
    return Head(scope["method"], scope["path"], scope["query_string"].decode("latin-1"), headers)


class _Upload:
    """A request's body on its way in."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._more = True
        self._size = 0

    async def read(self) -> bytes:
        """The whole body. Raises BodyTooLarge, and ClientGone when it never ends."""
        # Nearly always it comes in one piece.
        first = await self._bounded(heads.MAX_BODY_BYTES)
        if not self._more:
            return first
        return b"".join([first, *[part async for part in self.parts(heads.MAX_BODY_BYTES)]])

    async def parts(self, limit_bytes: int) -> AsyncIterator[bytes]:
        """The body as it comes in. Raises BodyTooLarge, and ClientGone when it never ends."""
        while self._more:
            yield await self._bounded(limit_bytes)

    async def drain(self) -> None:
        """Reads on for a moment and throws away what comes."""
        with contextlib.suppress(TimeoutError, ClientGone):
            async with asyncio.timeout(DRAIN_S):
                while self._more:
                    await self._part()

    async def _bounded(self, limit_bytes: int) -> bytes:
        part = await self._part()
        self._size += len(part)
        if self._size > limit_bytes:
            raise heads.too_large(limit_bytes)
        return part

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
        headers.append((b"content-type", bodies.JSON.encode()))
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
    headers = [(_lower(name), value.encode("latin-1")) for name, value in reply.headers.items()]
    return {"type": "http.response.start", "status": reply.status, "headers": headers}


@functools.cache
def _lower(name: str) -> bytes:
    # The door's own names, which are few.
    return name.lower().encode("latin-1")
