"""A body without a key or a session is 100 kB at most; with a key that is wrong it is not read where it is longer."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from servers import Server

ENDPOINTS = "/api/v1/endpoints"
LIMIT = 100_000


def pieces(content: bytes) -> Iterator[bytes]:
    for start in range(0, len(content), 65_536):
        yield content[start : start + 65_536]


@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "chunked"])
def test_without_anything_100_kb_are_read_and_no_more(door: Server, chunked: bool) -> None:
    with door.client(None) as client:
        for size, status in ((LIMIT, 401), (LIMIT + 1, 413)):
            content = b" " * size
            reply = client.post(ENDPOINTS, content=pieces(content) if chunked else content)
            assert reply.status_code == status, reply.text
        assert reply.json()["error"]["details"] == {"limit_bytes": LIMIT}


def test_with_a_wrong_key_it_is_said_before_the_body_is_read(door: Server) -> None:
    with door.client(None) as client:
        for content in (b" " * (LIMIT + 1), pieces(b" " * (LIMIT + 1))):
            assert client.post(ENDPOINTS, content=content, headers={"X-Api-Key": "mlp_wrong"}).status_code == 401


def test_a_session_or_a_key_takes_10_mb(door: Server) -> None:
    content = b" " * 9_000_000
    with door.client(None, cookies={"sessionid": "none"}) as client:
        assert client.post(ENDPOINTS, content=content).status_code == 401
    with door.client("read") as client:
        assert client.post(ENDPOINTS, content=content).status_code == 403


def test_a_form_of_10_000_parts_is_refused_within_a_second(door: Server) -> None:
    part = '--part\r\nContent-Disposition: form-data; name="f{}"{}\r\n\r\nx\r\n'
    for name in ("", '; filename="x"'):
        content = "".join(part.format(number, name) for number in range(10_000)) + "--part--\r\n"
        with door.client("manage") as client:
            begun = time.monotonic()
            headers = {"Content-Type": "multipart/form-data; boundary=part"}
            reply = client.post("/api/v1/mlalgorithms", content=content, headers=headers)
            assert time.monotonic() - begun < 1
        assert (reply.status_code, reply.json()["error"]["code"]) == (400, "malformed")
