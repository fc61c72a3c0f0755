"""Arrivals: bodies of requests on their way in through the ASGI door, and how many bytes of them are held at once."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Mapping
from typing import Any

from ml_pipeline.apps.predictions.doors import heads, paces
from ml_pipeline.errors import Overloaded

Receive = Callable[[], Awaitable[Mapping[str, Any]]]

# A refused upload is read and thrown away for a moment, or the client would see a reset instead of the reply.
DRAIN_S = 5.0
MAX_HELD_BYTES = 200_000_000


class ClientGone(Exception):
    """The client went away before its body was complete."""


class Room:
    """Room for the bodies of requests that are not answered yet, in memory or on disk."""

    def __init__(self, limit_bytes: int = MAX_HELD_BYTES) -> None:
        self.limit_bytes = limit_bytes
        self.taken_bytes = 0


class _Begun:
    """The rest of what has been asked for its first step, and waits for `step`."""

    def __init__(self, step: Any, rest: Generator[Any, Any, Mapping[str, Any]]) -> None:
        self._step = step
        self._rest = rest

    def __await__(self) -> Generator[Any, Any, Mapping[str, Any]]:
        try:
            yield self._step
        except BaseException as error:
            self._rest.throw(error)
            raise
        return (yield from self._rest)


class Arrival:
    """A request's body; what has come of it takes room until it is released."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._more = True
        self._size = 0
        self._room: Room | None = None
        # Since when it is waited for; None as long as everything was there when it was asked for.
        self._waited_since: float | None = None

    async def read(self, limit_bytes: int, room: Room) -> bytes:
        """The whole body.

        Raises BodyTooLarge, Overloaded without room, MalformedInput when it comes too slowly, and ClientGone.
        """
        self._room = room
        # Nearly always it comes in one piece.
        first = await self._bounded(limit_bytes)
        if not self._more:
            return first
        return b"".join([first, *[part async for part in self.parts(limit_bytes, room)]])

    async def parts(self, limit_bytes: int, room: Room | None) -> AsyncIterator[bytes]:
        """The body as it comes in. Raises what `read` raises."""
        self._room = room
        while self._more:
            yield await self._bounded(limit_bytes)

    async def drain(self) -> None:
        """Reads on for a moment and throws away what comes."""
        with contextlib.suppress(TimeoutError, ClientGone):
            async with asyncio.timeout(DRAIN_S):
                while self._more:
                    self._part(await self._receive())

    def release(self) -> None:
        """It takes no room any more."""
        if self._room is not None:
            self._room.taken_bytes -= self._size
            self._room = None

    async def _bounded(self, limit_bytes: int) -> bytes:
        part = self._part(await self._next())
        self._size += len(part)
        room = self._room
        if room is not None:
            room.taken_bytes += len(part)
            if room.taken_bytes > room.limit_bytes:
                raise Overloaded("Too many bytes of requests are under way; try again shortly.")
        if self._size > limit_bytes:
            raise heads.too_large(limit_bytes)
        return part

    async def _next(self) -> Mapping[str, Any]:
        # A timer costs ten times what it does to look whether the message is there, as it nearly always is.
        rest = self._receive().__await__()
        try:
            step = next(rest)
        except StopIteration as there:
            message: Mapping[str, Any] = there.value
            return message
        now = time.monotonic()
        if self._waited_since is None:
            self._waited_since = now
        until = self._waited_since + paces.SILENCE_S + self._size / paces.LEAST_BYTES_PER_S
        try:
            async with asyncio.timeout(min(paces.SILENCE_S, until - now)):
                return await _Begun(step, rest)
        except TimeoutError:
            raise paces.given_up() from None

    def _part(self, message: Mapping[str, Any]) -> bytes:
        if message["type"] == "http.disconnect":
            raise ClientGone
        self._more = message.get("more_body", False)
        part: bytes = message.get("body", b"")
        return part
