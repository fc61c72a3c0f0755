"""Algorithms that are told apart by their answers, a home that serves them, and clients that stay connected."""

from __future__ import annotations

import http.client
import io
import json
import socket
import sqlite3
from contextlib import closing
from typing import Any, NamedTuple

import httpx
import psycopg
from homes import Home
from onnx import TensorProto, helper
from servers import Server

ENDPOINT = "adder"
# Version k answers x + k * STEP. Exact in float32 for whole x below STEP and k up to 15.
STEP = 2**20
MOST_VERSIONS = 15
STATUSES = "/api/v1/mlalgorithmstatuses"
_SIGNATURE = {
    "features": [{"name": "x", "type": "number", "nullable": False, "categories": []}],
    "task": "regression",
    "labels": [],
}
_TIMEOUT_S = 60
_LOGGED = """
SELECT r.id, r.input_data, r.full_response, r.response, a.name, a.version
FROM endpoints_mlrequest r JOIN endpoints_mlalgorithm a ON a.id = r.parent_mlalgorithm_id
"""


class Row(NamedTuple):
    """One row of the log; `id` is 32 hex digits."""

    id: str
    input_data: str
    full_response: str
    response: str
    algorithm: str
    version: str


class KeepAlive:
    """One connection that predicts for as long as the server lets it; sending and receiving are two steps."""

    def __init__(self, server: Server, query: str = "") -> None:
        self._head = (
            f"POST /api/v1/{ENDPOINT}/predict{query} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Authorization: Bearer {server.home.keys['predict']}\r\nContent-Type: application/json\r\nContent-Length: "
        )
        self._socket = socket.create_connection(("127.0.0.1", server.port), _TIMEOUT_S)

    def send(self, rows: Any) -> None:
        """The whole request in one piece. Raises OSError."""
        body = json.dumps(rows)
        self._socket.sendall(f"{self._head}{len(body)}\r\n\r\n{body}".encode())

    def receive(self) -> bytes:
        """The body of a reply 200, which any other is not. Raises OSError and HTTPException when it does not come."""
        with closing(http.client.HTTPResponse(self._socket, method="POST")) as response:
            response.begin()
            body = response.read()
            assert response.status == 200, (response.status, body)
            return body

    def ask(self, rows: Any) -> Any:
        """The reply to `rows`."""
        self.send(rows)
        return json.loads(self.receive())

    def close(self) -> None:
        """Nothing more is asked."""
        self._socket.close()


def register(server: Server, version: int) -> int:
    """The id of that version, registered over HTTP."""
    metadata = {"signature": _SIGNATURE}
    fields = {"endpoint": ENDPOINT, "name": f"plus-{version}", "version": str(version)}
    files = {
        "artifact": ("model.onnx", io.BytesIO(_model(version))),
        "sample": ("rows.csv", io.BytesIO(b"x\n1\n2\n")),
    }
    with server.client("manage") as client:
        data = {**fields, "metadata": json.dumps(metadata)}
        reply = client.post("/api/v1/mlalgorithms", data=data, files=files)
    assert reply.status_code == 201, reply.text
    return int(reply.json()["id"])


def promote(client: httpx.Client, algorithm: int, **query: str) -> httpx.Response:
    """The reply to the promotion of `algorithm`."""
    return client.post(STATUSES, json={"parent_mlalgorithm": algorithm, "status": "production"}, params=query)


def prepared(home: Home) -> Home:
    """`home`, made, with version 1 in production as algorithm 1, and version 2."""
    home.make()
    server = Server("asgi", home, {}).start()
    try:
        assert [register(server, version) for version in (1, 2)] == [1, 2]
        with server.client("manage") as client:
            assert promote(client, 1).status_code == 201
    finally:
        server.stop()
    return home


def told_apart(value: float) -> tuple[int, int]:
    """The version that answered `value`, and what it was asked."""
    assert value == int(value)
    return divmod(int(value), STEP)


def logged(home: Home) -> list[Row]:
    """The log of predictions."""
    rows = [Row(*row) for row in select(home, _LOGGED)]
    return [row._replace(id=str(row.id).replace("-", "")) for row in rows]


def select(home: Home, query: str) -> list[tuple[Any, ...]]:
    """What the database answers; on SQLite it is left as it is, its write-ahead log too."""
    if home.database_url:
        with psycopg.connect(home.database_url) as postgresql:
            return postgresql.execute(query).fetchall()
    with closing(sqlite3.connect(f"file:{home.folder / 'db.sqlite3'}?mode=ro", uri=True, timeout=30)) as sqlite:
        return sqlite.execute(query).fetchall()


def _model(version: int) -> bytes:
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "steps"], ["y"])],
        "adder",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 1])],
        [helper.make_tensor("steps", TensorProto.FLOAT, [1], [float(version * STEP)])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())
