"""What every refused upload has in common: a clear reply in our one shape, and nothing is left of it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import wine
from servers import Server

_names = (f"hostile-{number}" for number in itertools.count())


def upload(server: Server, files: Mapping[str, Any], scope: str = "manage", **metadata: Any) -> httpx.Response:
    """The reply to an upload under a name of its own."""
    with server.client(scope) as client:
        return client.post(wine.UPLOADS, data=wine.form(next(_names), **metadata), files=files)


def refused(server: Server, cases: Mapping[str, Mapping[str, Any]], **metadata: Any) -> dict[str, str]:
    """Case to the message of its refusal, two at a time; fails unless each is refused and nothing is left behind."""
    before = traces(server)
    with ThreadPoolExecutor(2) as pool:
        replies = dict(
            zip(cases, pool.map(lambda files: upload(server, files, **metadata), cases.values()), strict=True)
        )
    wrong = {case: (reply.status_code, reply.text[:300]) for case, reply in replies.items() if reply.status_code != 422}
    assert not wrong, wrong
    messages = {case: message_of(reply) for case, reply in replies.items()}
    told = {case: message for case, message in messages.items() if str(server.home.folder) in message}
    assert not told, "a refusal tells where the server keeps its files"
    assert traces(server) == before, "something is left behind"
    with server.client("predict") as client:
        assert client.post(wine.NEIGHBOUR, json=wine.ROW).status_code == 200
    return messages


def message_of(reply: httpx.Response) -> str:
    """The sentence of an error reply; fails when it is in another shape than all errors are."""
    error = reply.json()["error"]
    assert {"code", "message"} <= set(error) <= {"code", "message", "details", "request_id"}, error
    assert error["code"] in {"invalid_artifact", "invalid_input"}, error
    return str(error["message"])


def traces(server: Server) -> tuple[int, list[str], list[str]]:
    """How many algorithms there are, what is stored, and what lies in the work folder."""
    with server.client("read") as client:
        count = len(client.get(wine.UPLOADS).json())
    stored = sorted(path.name for path in (server.home.folder / "artifacts").rglob("*") if path.is_file())
    return count, stored, sorted(path.name for path in (server.home.folder / "work").iterdir())
