"""What has come of bodies takes room from its first byte on; without room there is no more of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from ml_pipeline.apps.predictions.doors.arrivals import Arrival, ClientGone, Room
from ml_pipeline.errors import BodyTooLarge, Overloaded


class Client:
    """Sends a body in these parts; with `is_cut` it goes away before the end."""

    def __init__(self, *parts: bytes, is_cut: bool = False) -> None:
        self._left, self._is_cut = list(parts), is_cut

    async def __call__(self) -> Mapping[str, Any]:
        if not self._left:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": self._left.pop(0), "more_body": self._is_cut or bool(self._left)}


def test_a_body_takes_its_room_and_gives_it_back() -> None:
    room = Room(100)
    one, other = Arrival(Client(b"x" * 40)), Arrival(Client(b"x" * 30, b"x" * 30))

    async def read() -> None:
        assert await one.read(1_000, room) == b"x" * 40
        assert await other.read(1_000, room) == b"x" * 60

    asyncio.run(read())
    assert room.taken_bytes == 100
    one.release()
    one.release()
    assert room.taken_bytes == 60
    other.release()
    assert room.taken_bytes == 0


def test_a_part_that_has_no_room_is_refused_and_what_came_before_is_given_back() -> None:
    room = Room(100)
    arrival = Arrival(Client(b"x" * 90, b"x" * 20, b"x"))
    with pytest.raises(Overloaded):
        asyncio.run(arrival.read(1_000, room))
    arrival.release()
    assert room.taken_bytes == 0


def test_a_body_that_is_too_large_or_never_ends_gives_its_room_back() -> None:
    room = Room(1_000)
    large, cut = Arrival(Client(b"x" * 101)), Arrival(Client(b"x" * 50, is_cut=True))
    with pytest.raises(BodyTooLarge):
        asyncio.run(large.read(100, room))
    with pytest.raises(ClientGone):
        asyncio.run(cut.read(100, room))
    for arrival in (large, cut):
        arrival.release()
    assert room.taken_bytes == 0
