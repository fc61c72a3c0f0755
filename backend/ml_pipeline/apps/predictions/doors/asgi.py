"""The ASGI door: data-plane paths go to the exchange, all else to Django with its body read and bounded."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ml_pipeline.apps.predictions.doors import exchange
from ml_pipeline.apps.predictions.doors.exchange import Admitted, Exchange, Head, Reply
from ml_pipeline.apps.predictions.service import overloaded
from ml_pipeline.errors import MLPipelineError

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
Application = Callable[[Any, Receive, Send], Awaitable[None]]

THREADS = 8
# A refused upload is read and thrown away for a moment, or the client would see a reset instead of the reply.
DRAIN_S = 5.0
MAX_WAITING_BYTES = 200_000_000


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
        await asyncio.to_thread(self._threads.shutdown)
        await send({"type": "lifespan.shutdown.complete"})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        head, upload = _head(scope), _Upload(receive)
        try:
            admitted = self._exchange.admit(head)
            if admitted is not None and admitted.grant is not None and self._is_full():
                raise overloaded()
            body = await upload.read()
        except MLPipelineError as error:
            await _refuse(exchange.error_reply(error), upload, send)
            return
        if admitted is None:
            await self._django(_measured(scope, body), _replayed(body, receive), send)
        else:
            await _send(await self._answered(admitted, body), send, with_body=head.method != "HEAD")

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
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, self._exchange.answer, admitted, body)
        finally:
            self._waiting -= 1
            self._waiting_bytes -= len(body)

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
        parts: list[bytes] = []
        size = 0
        while self._more:
            part = await self._part()
            size += len(part)
            if size > exchange.MAX_BODY_BYTES:
                raise exchange.too_large()
            parts.append(part)
        return b"".join(parts)

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


def _measured(scope: Scope, body: bytes) -> Scope:
    # Django takes a body without a length for an empty one, and DRF refuses one without a type.
    headers = [pair for pair in scope["headers"] if pair[0] not in (b"content-length", b"transfer-encoding")]
    headers.append((b"content-length", str(len(body)).encode()))
    if body and not any(name == b"content-type" for name, _ in headers):
        headers.append((b"content-type", exchange.JSON.encode()))
    return {**scope, "headers": headers}


def _replayed(body: bytes, receive: Receive) -> Receive:
    pending = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Mapping[str, Any]:
        return pending.pop() if pending else await receive()

    return replay


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
