"""Arrivals: bodies of requests on their way in through the ASGI door, and how many bytes of them are held at once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from ml_pipeline.apps.predictions.doors import heads
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


class Arrival:
    """A request's body; what has come of it takes room until it is released."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._more = True
        self._size = 0
        self._room: Room | None = None

    async def read(self, limit_bytes: int, room: Room) -> bytes:
        """The whole body. Raises BodyTooLarge, Overloaded without room, and ClientGone when it never ends."""
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
                    await self._part()

    def release(self) -> None:
        """It takes no room any more."""
        if self._room is not None:
            self._room.taken_bytes -= self._size
            self._room = None

    async def _bounded(self, limit_bytes: int) -> bytes:
        part = await self._part()
        self._size += len(part)
        room = self._room
        if room is not None:
            room.taken_bytes += len(part)
            if room.taken_bytes > room.limit_bytes:
                raise Overloaded("Too many bytes of requests are under way; try again shortly.")
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
