"""A message over a socket is heard once it is whole; who sends half of one, or too much, holds nobody up."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_pipeline.apps.ml.scoring.channels import BrokenMessage, Channel

LENGTH = 8


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, Channel]]:
    theirs, ours = socket.socketpair()
    with theirs, ours:
        yield theirs, Channel(ours, 1_000_000)


@settings(deadline=None, max_examples=50)
@given(contents=st.lists(st.binary(max_size=40), max_size=5), sizes=st.lists(st.integers(1, 30), min_size=1))
def test_whatever_parts_it_comes_in(contents: list[bytes], sizes: list[int]) -> None:
    theirs, ours = socket.socketpair()
    with theirs, ours:
        channel = Channel(ours, 100)
        stream = b"".join(len(one).to_bytes(LENGTH, "big") + one for one in contents)
        found, at = [], 0
        while stream:
            size = sizes[at % len(sizes)]
            theirs.sendall(stream[:size])
            stream, at = stream[size:], at + 1
            while (one := channel.heard()) is not None:
                found.append(bytes(one))
        assert found == contents


def test_half_a_message_is_none_and_nobody_waits(ends: tuple[socket.socket, Channel]) -> None:
    theirs, channel = ends
    theirs.sendall((10).to_bytes(LENGTH, "big") + b"half")
    assert channel.heard() is None
    with pytest.raises(TimeoutError):
        channel.received(time.monotonic() + 0.05)
    theirs.sendall(b" a one")
    assert channel.received(time.monotonic() + 10) == b"half a one"


def test_an_end_in_the_middle_is_told(ends: tuple[socket.socket, Channel]) -> None:
    theirs, channel = ends
    theirs.sendall((10).to_bytes(LENGTH, "big") + b"half")
    theirs.close()
    with pytest.raises(EOFError):
        channel.received(time.monotonic() + 10)


@pytest.mark.parametrize("length", [1_000_001, 2**63, 2**64 - 1])
def test_what_is_said_to_be_too_long_is_not_waited_for(ends: tuple[socket.socket, Channel], length: int) -> None:
    theirs, channel = ends
    theirs.sendall(length.to_bytes(LENGTH, "big"))
    with pytest.raises(BrokenMessage, match="1,000,000 is the most"):
        channel.heard()


def test_what_has_no_room_is_sent_when_there_is_some(ends: tuple[socket.socket, Channel]) -> None:
    theirs, channel = ends
    content = bytes(range(256)) * 40_000
    channel.tell(content)
    assert channel.is_behind
    with pytest.raises(TimeoutError):
        channel.send(b"more", time.monotonic() + 0.05)
    found: list[bytearray] = []
    other = Channel(theirs, len(content))
    reader = threading.Thread(target=lambda: found.extend(other.received(time.monotonic() + 30) for _ in range(2)))
    reader.start()
    while channel.is_behind:
        channel.flush()
    reader.join()
    assert found == [content, b"more"]
