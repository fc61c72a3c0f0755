"""When a request is there: at its last byte, however it comes in pieces, and early only where it is not waited for."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from servers import Server

from ml_pipeline.server.gathering import MAX_BODY_BYTES, MAX_HEAD_BYTES, Gathering

HEAD = b"POST /x HTTP/1.1\r\nHost: x\r\n"
bodies = st.binary(max_size=300)


def of_length(body: bytes) -> bytes:
    return HEAD + b"content-LENGTH:  %030d \r\nX: y\r\n\r\n" % len(body) + body


@st.composite
def in_chunks(draw: st.DrawFn) -> bytes:
    pieces = draw(st.lists(bodies.filter(bool), max_size=5))
    extension = draw(st.sampled_from([b"", b";a=b", b" ; a"]))
    trailer = draw(st.sampled_from([b"", b"X: y\r\n"]))
    chunks = b"".join(b"%012x%s\r\n%s\r\n" % (len(piece), extension, piece) for piece in pieces)
    return HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n" + trailer + b"\r\n"


requests = st.one_of(st.just(HEAD + b"\r\n"), bodies.map(of_length), in_chunks())


@given(request=requests, cuts=st.lists(st.integers(0, 2_000), max_size=20))
def test_it_is_there_at_its_last_byte(request: bytes, cuts: list[int]) -> None:
    gathering, at = Gathering(0.0), 0
    for cut in sorted(cut for cut in cuts if cut < len(request)):
        assert not gathering.hear(request[at:cut], 0.0)
        at = cut
    assert gathering.hear(request[at:], 0.0)
    assert gathering.heard == request


@given(request=requests, more=st.binary(min_size=1, max_size=50))
def test_what_follows_it_is_kept_for_the_next(request: bytes, more: bytes) -> None:
    gathering = Gathering(0.0)
    assert gathering.hear(request + more, 0.0)
    assert gathering.heard == request + more


@pytest.mark.parametrize(
    ("rest", "least"),
    [
        (b"X: " + b"x" * MAX_HEAD_BYTES, MAX_HEAD_BYTES - len(HEAD)),
        (b"Content-Length: 9999999\r\n\r\n", 10),
        (b"Content-Length: %d\r\n\r\n" % 10**30, 10),
        (b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffffffff\r\n" + b"x" * MAX_BODY_BYTES, MAX_BODY_BYTES),
        (b"Transfer-Encoding: chunked\r\n\r\nno chunk\r\n", 10),
        (b"Content-Length: 9999999\r\nExpect: 100-continue\r\n\r\n", 10),
    ],
    ids=[
        "a long head",
        "a long body",
        "an endless body",
        "long chunks",
        "no chunks",
        "a long body that waits for leave",
    ],
)
def test_what_is_not_waited_for_is_handed_over(rest: bytes, least: int) -> None:
    gathering = Gathering(0.0)
    assert not gathering.hear(HEAD, 0.0)
    sent = next(count for count, byte in enumerate(rest, 1) if gathering.hear(bytes([byte]), 0.0))
    assert sent >= least


@pytest.mark.parametrize(
    ("rest", "allowed_s"),
    [
        (b"", 10),
        (b"Content-Length: 5000\r\n\r\n", 15),
        (b"Transfer-Encoding: chunked\r\n" + b"X: y\r\n" * 3_000 + b"\r\n", 110),
    ],
    ids=["a head", "a body", "chunks after a long head"],
)
def test_it_is_late_when_it_is_silent_and_when_it_is_slow(rest: bytes, allowed_s: int) -> None:
    gathering = Gathering(0.0)
    gathering.hear(HEAD + rest, 0.0)
    assert not gathering.is_late(9.9)
    assert gathering.is_late(10.1)
    for second in range(1, allowed_s + 1):
        assert not gathering.is_late(second - 0.1)
        gathering.hear(b"0", float(second))
    assert gathering.is_late(allowed_s + 0.1)


def test_a_head_without_an_end_is_refused(start: Callable[..., Server]) -> None:
    server = start("wsgi")
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(HEAD + b"X: " + b"x" * MAX_HEAD_BYTES)
        assert connection.recv(1_000).startswith(b"HTTP/1.1 431 ")


def test_who_waits_for_leave_to_go_on_gets_it_and_a_reply(start: Callable[..., Server]) -> None:
    server = start("wsgi")
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(
            b"POST /api/v1/endpoints HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            b"Content-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
        )
        assert connection.recv(1_000).startswith(b"HTTP/1.1 100 Continue\r\n\r\n")
        connection.sendall(b"{}")
        received = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert b"HTTP/1.1 401" in received
