"""Chunked bodies, bodies without a type, bodies over the limit: on every server that the product names."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import pytest
from homes import ENDPOINT, Home
from people import PERSON
from servers import Server

PREDICT = f"/api/v1/{ENDPOINT}/predict"


@pytest.fixture(scope="module", params=["asgi", "wsgi", "runserver"])
def server(request: pytest.FixtureRequest, module_home: Home) -> Iterator[Server]:
    server = Server(request.param, module_home, {}).start()
    yield server
    server.stop()


def pieces(content: bytes, size: int = 7) -> Iterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


def test_a_chunked_prediction_is_read(server: Server) -> None:
    with server.client("predict") as client:
        headers = {"Content-Type": "application/json"}
        reply = client.post(PREDICT, content=pieces(json.dumps(PERSON).encode()), headers=headers)
        assert reply.request.headers["transfer-encoding"] == "chunked"
        assert reply.status_code == 200, reply.text
        # The connection is still in step: the next request on it is understood.
        assert client.post(PREDICT, json=PERSON).json()["probability"] == reply.json()["probability"]


def test_a_chunked_body_of_the_control_plane_is_read(server: Server) -> None:
    name = f"chunked-{server.door}"
    with server.client() as client:
        content = pieces(json.dumps({"name": name, "description": "came in pieces"}).encode())
        reply = client.post("/api/v1/endpoints", content=content, headers={"Content-Type": "application/json"})
        assert reply.status_code == 201, reply.text
        assert client.get(f"/api/v1/endpoints/{name}").json()["description"] == "came in pieces"


def test_a_body_without_a_type_is_json(server: Server) -> None:
    with server.client("predict") as client:
        reply = client.post(PREDICT, content=json.dumps(PERSON))
        assert "content-type" not in reply.request.headers
        assert reply.status_code == 200, reply.text
    with server.client("manage") as client:
        assert client.post("/api/v1/endpoints", content='{"name": "Bad"}').status_code == 422


@pytest.mark.parametrize("path", [PREDICT, "/api/v1/endpoints"])
@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "chunked"])
def test_30_mb_are_refused(server: Server, path: str, chunked: bool) -> None:
    content = b" " * 30_000_000
    with server.client() as client:
        body = pieces(content, 65_536) if chunked else content
        reply = client.post(path, content=body, headers={"Content-Type": "application/json"})
        assert (reply.status_code, reply.json()["error"]["code"]) == (413, "too_large")


def test_10_mb_are_read(server: Server) -> None:
    content = json.dumps(PERSON).encode()
    with server.client("predict") as client:
        assert client.post(PREDICT, content=content.ljust(10_000_000)).status_code == 200
        assert client.post(PREDICT, content=content.ljust(10_000_001)).status_code == 413


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "chunked"])
def test_a_health_check_has_1000_bytes_at_most(server: Server, path: str, chunked: bool) -> None:
    for size, status in ((1_000, 200), (1_001, 413)):
        with server.client(None) as client:
            content = b" " * size
            reply = client.request("GET", path, content=pieces(content, 100) if chunked else content)
        assert reply.status_code == status, reply.text
    assert (reply.json()["error"]["code"], reply.json()["error"]["details"]) == ("too_large", {"limit_bytes": 1_000})


def test_an_upload_without_a_key_is_refused_before_it_is_sent(server: Server) -> None:
    head = f"POST {PREDICT} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Length: 9000000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(head.encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 401")


def test_a_client_that_goes_away_harms_nobody(server: Server) -> None:
    key = server.home.keys["predict"]
    head = f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nX-Api-Key: {key}\r\nContent-Length: 1000\r\n\r\n" + '{"age":'
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
            connection.sendall(head.encode())
    assert server.predict(PERSON).status_code == 200


def test_refused_clients_that_send_nothing_keep_no_thread(server: Server) -> None:
    head = f"POST {PREDICT} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Length: 9000000\r\n\r\n"
    # As many as the WSGI server has threads; gunicorn itself waits some seconds for the rest of such a body.
    silent = [socket.create_connection(("127.0.0.1", server.port), timeout=10) for _ in range(4)]
    for connection in silent:
        connection.sendall(head.encode())
    for connection in silent:
        assert connection.recv(100).startswith(b"HTTP/1.1 401")
    assert server.predict(PERSON).status_code == 200
    for connection in silent:
        connection.close()
