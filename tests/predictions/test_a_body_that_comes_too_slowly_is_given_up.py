"""A body that is silent for too long, or comes by the byte, is given up; one that comes in time is read whole."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from typing import Any

import pytest

from ml_pipeline.apps.predictions.doors import paces
from ml_pipeline.apps.predictions.doors.arrivals import Arrival, Room
from ml_pipeline.errors import MalformedInput

ENDLESS = 10_000


class Client:
    """Sends `parts`, the first after a moment, each later one after `pause_s`, and then is silent."""

    def __init__(self, *parts: bytes, pause_s: float = 0.0, is_whole: bool = False) -> None:
        self._left, self._pause_s, self._is_whole = list(parts), pause_s, is_whole

    async def __call__(self) -> Mapping[str, Any]:
        await asyncio.sleep(self._pause_s)
        if not self._left:
            await asyncio.Event().wait()
        part = self._left.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(self._left) or not self._is_whole}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paces, "SILENCE_S", 0.1)
    monkeypatch.setattr(paces, "LOOK_S", 0.01)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "client",
    [Client(), Client(b"{"), Client(*[b" "] * ENDLESS, pause_s=0.01)],
    ids=["nothing comes", "silent after a part", "a byte now and then"],
)
def test_under_asgi_it_is_given_up(client: Client) -> None:
    with pytest.raises(MalformedInput, match="did not come in time"):
        asyncio.run(Arrival(client).read(1_000_000, Room()))


def test_what_comes_in_time_is_whole() -> None:
    parts = [b"a" * 700, b"b" * 700, b"c"]
    body = asyncio.run(Arrival(Client(*parts, is_whole=True)).read(10_000, Room()))
    assert body == b"".join(parts)


def test_a_request_that_is_cancelled_while_it_waits_ends() -> None:
    async def cancelled() -> None:
        reading = asyncio.create_task(Arrival(Client()).read(1_000, Room()))
        await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading

    asyncio.run(cancelled())


@pytest.mark.usefixtures("impatient")
def test_a_thread_that_waits_for_it_is_freed_and_can_still_reply() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        watch = paces.Watch()
        wait = watch.begin(ours, 1)
        assert ours.recv(1) == b""
        watch.end(wait)
        assert wait.is_over
        ours.sendall(b"reply")
        assert theirs.recv(10) == b"reply"
