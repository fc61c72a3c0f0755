"""The ASGI door: data-plane paths go to the exchange, all else to Django with its body read and bounded."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import io
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Any
from weakref import WeakValueDictionary

from django.core.handlers.asgi import ASGIHandler

from ml_pipeline.apps.predictions.calls import Answerable, Question
from ml_pipeline.apps.predictions.doors import bodies, exchange
from ml_pipeline.apps.predictions.doors.arrivals import Arrival, ClientGone, Receive, Room
from ml_pipeline.apps.predictions.doors.exchange import Asked, Elsewhere, Exchange, Health, Reply, Telling
from ml_pipeline.apps.predictions.doors.heads import Head
from ml_pipeline.apps.predictions.doors.scrapes import Scrape
from ml_pipeline.apps.predictions.doors.waiters import LoopWaiter
from ml_pipeline.apps.predictions.routing import Selection
from ml_pipeline.errors import DeadlineExceeded, MLPipelineError

Scope = MutableMapping[str, Any]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
Application = Callable[[Any, Receive, Send], Awaitable[None]]

# For large bodies: what takes longer to decode than others should wait.
THREADS, INLINE_BYTES = 4, 50_000
# For algorithms that are loaded first; these threads mostly wait.
SLOW_THREADS = 64
# What is larger is written to a file, as much at a time, and never by the thread that all requests share.
PIECE_BYTES = 1_000_000


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


class AsgiDoor:
    """An ASGI application in front of `django`."""

    def __init__(self, exchange_: Exchange, django: Application) -> None:
        self._exchange = exchange_
        self._django = django
        self._waiter: LoopWaiter | None = None
        # Whoever has no key must not take the room of those who have one.
        self._room, self._room_of_strangers = Room(), Room()
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
        head, arrival = _head(scope), Arrival(receive)
        try:
            admitted = self._exchange.admit(head)
            if isinstance(admitted, Elsewhere):
                await self._hand_on(admitted, scope, arrival, receive, send)
            else:
                body = await arrival.read(admitted.limit_bytes, self._room)
                reply = await self._reply(admitted, body)
                if reply is not None:
                    await _send(reply, send, with_body=head.method != "HEAD")
                    return
                with io.BytesIO(body) as file:
                    await self._django(_measured(scope, len(body)), Handed(file, receive), send)
        except MLPipelineError as error:
            arrival.release()
            await _refuse(exchange.refusal(head, error), arrival, send, with_body=head.method != "HEAD")
        finally:
            arrival.release()

    async def _reply(self, admitted: Asked | Telling | Health | Scrape, body: bytes) -> Reply | None:
        # None where Django is to judge it. The outermost edge of this door: every failure is a reply too.
        try:
            if isinstance(admitted, Asked):
                return await self._predicted(admitted, body)
            if isinstance(admitted, Health):
                return await self._health(admitted)
            if isinstance(admitted, Scrape):
                return await asyncio.to_thread(self._exchange.scraped, admitted)
            value = admitted.value(body)
            return None if value is exchange.NOT_PLAIN else await self._told(admitted, value)
        except Exception as error:  # noqa: BLE001
            return exchange.failed(admitted, error)

    async def _hand_on(
        self, elsewhere: Elsewhere, scope: Scope, arrival: Arrival, receive: Receive, send: Send
    ) -> None:
        with elsewhere.uploads.place() if elsewhere.uploads else contextlib.nullcontext():
            body, size = await self._spooled(arrival, elsewhere)
            with body:
                await self._django(_measured(scope, size), Handed(body, receive), send)

    async def _spooled(self, arrival: Arrival, elsewhere: Elsewhere) -> tuple[IO[bytes], int]:
        file: IO[bytes] | None = None
        held, written = bytearray(), 0
        room: Room | None = self._room_of_strangers if elsewhere.is_strangers else self._room
        if elsewhere.uploads:
            # They have places instead.
            room = None
        try:
            async for part in arrival.parts(elsewhere.limit_bytes, room):
                held += part
                if len(held) >= PIECE_BYTES:
                    if file is None:
                        file = await asyncio.to_thread(self._exchange.spool.file)
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

    async def _health(self, health: Health) -> Reply:
        # Health checks must not wait behind predictions: one asks nobody, the other in a thread of its own.
        if health.path == "/healthz":
            return self._exchange.health(health)
        return await asyncio.to_thread(self._exchange.health, health)

    def _loop_waiter(self) -> LoopWaiter:
        if self._waiter is None or self._waiter.loop is not asyncio.get_running_loop():
            self._waiter = LoopWaiter(self._exchange.service)
        return self._waiter

    async def _told(self, telling: Telling, value: Any) -> Reply:
        waiter = self._loop_waiter()
        outcome = self._exchange.tell(telling, value, waiter)
        await waiter.finished(outcome)
        return exchange.told(telling, outcome)

    async def _predicted(self, asked: Asked, body: bytes) -> Reply:
        since = time.monotonic()
        question, waiter = asked.question(), self._loop_waiter()
        if len(body) > INLINE_BYTES or self._exchange.service.is_absent(question):
            call = await self._begun_apart(asked, question, body, waiter, since)
        else:
            call = self._exchange.begin(asked, question, body, waiter, since)
        await waiter.finished(call)
        return exchange.finished(asked, call)

    async def _begun_apart(
        self, asked: Asked, question: Question, body: bytes, waiter: LoopWaiter, since: float
    ) -> Answerable:
        # In a thread, and what has to be loaded first one at a time an algorithm: however many ask, nobody else waits.
        service, loop = self._exchange.service, asyncio.get_running_loop()
        arguments = (asked, question, body, waiter, since)
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
    # Servers hand over lower-case names.
    headers = dict(scope["headers"])
    if len(headers) != len(scope["headers"]):
        headers = _joined(scope["headers"])
    path, root = scope["path"], scope.get("root_path")
    if root:
        path = path.removeprefix(root)
    return Head(scope["method"], path, scope["query_string"].decode("latin-1"), headers)


def _joined(pairs: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    # As WSGI servers and Django have a header that comes several times.
    headers: dict[bytes, bytes] = {}
    for name, value in pairs:
        headers[name] = headers[name] + b"," + value if name in headers else value
    return headers


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


async def _refuse(reply: Reply, arrival: Arrival, send: Send, *, with_body: bool) -> None:
    reply.headers["Connection"] = "close"
    await send(_start(reply))
    await send({"type": "http.response.body", "body": reply.body if with_body else b"", "more_body": True})
    await arrival.drain()
    await send({"type": "http.response.body", "body": b""})


def _start(reply: Reply) -> Mapping[str, Any]:
    headers = [(_lower(name), value.encode("latin-1")) for name, value in reply.headers.items()]
    return {"type": "http.response.start", "status": reply.status, "headers": headers}


@functools.cache
def _lower(name: str) -> bytes:
    # The door's own names, which are few.
    return name.lower().encode("latin-1")
