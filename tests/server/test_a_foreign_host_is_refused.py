"""Whatever has pages or writes addresses answers under the names it is told, and no other; predictions write none."""

from __future__ import annotations

import http.client
import json
from typing import Any

import pytest
from homes import ENDPOINT
from people import PERSON
from servers import Server

FOREIGN = (
    "evil.example",
    "evil.example:8000",
    "127.0.0.1.evil.example",
    "127.0.0.1@evil.example",
    "127.0.0.1:80@evil.example",
    "127.0.0.1, evil.example",
    "127.0.0.1#.evil.example",
    "127.0.0.1:x",
    "[::1",
    "*",
    ".localhost",
    "\xe9vil",
    "",
)
OURS = ("localhost", "127.0.0.1", "LOCALHOST:9999", "[::1]", "[::1]:80", "localhost.")
PAGES = ("/", "/login", "/admin/", "/admin/login/", "/api/docs", "/api/schema", "/api/v1", "/nothing/here")
LISTS = ("/api/v1/endpoints", "/api/v1/mlalgorithms?limit=1", "/api/v1/mlrequests", "/api/v1/keys", "/api/v1/events")


def asked(
    server: Server, path: str, host: str, *, body: Any = None, method: str = "", scope: str = "admin", **more: str
) -> tuple[int, dict[str, str], str]:
    """Status, headers and body of the reply to whoever calls the server `host`; as it is, whatever it is."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    content = b"" if body is None else json.dumps(body).encode()
    connection.putrequest(method or ("GET" if body is None else "POST"), path, skip_host=True)
    headers = {"Host": host, "X-Api-Key": server.home.keys[scope], "Content-Type": "application/json", **more}
    for name, value in {**headers, "Content-Length": str(len(content))}.items():
        connection.putheader(name.replace("_", "-"), value.encode("latin-1"))
    connection.endheaders(content)
    with connection.getresponse() as reply:
        text = reply.read().decode()
        told = {name.lower(): value for name, value in reply.getheaders()}
    connection.close()
    return reply.status, told, text


@pytest.mark.parametrize("host", FOREIGN, ids=repr)
def test_no_page_and_no_list_is_under_a_foreign_name(door: Server, host: str) -> None:
    for path in (*PAGES, *LISTS):
        status, headers, text = asked(door, path, host)
        assert status == 400, (path, status, text)
        assert "evil" not in text
        assert "location" not in headers
        # A server may refuse what is no name at all before anything of ours sees it.
        if headers.get("content-type", "").startswith("application/json"):
            assert json.loads(text)["error"]["code"] == "malformed"


def test_nothing_is_changed_under_a_foreign_name(door: Server) -> None:
    for body, path, scope in (
        ({"name": "foreign"}, "/api/v1/endpoints", "manage"),
        ({"name": "foreign", "scopes": ["read"]}, "/api/v1/keys", "admin"),
        ({"parent_mlalgorithm": 1, "status": "staging"}, "/api/v1/mlalgorithmstatuses", "manage"),
    ):
        assert asked(door, path, "evil.example", body=body, scope=scope)[0] == 400
    with door.client("admin") as client:
        assert client.get("/api/v1/endpoints", params={"name": "foreign"}).json() == []
        assert client.get("/api/v1/keys", params={"name": "foreign"}).json() == []


@pytest.mark.parametrize("host", OURS)
def test_its_own_names_are_answered_however_they_are_spelt(door: Server, host: str) -> None:
    assert asked(door, "/login", host)[0] == 200
    status, headers, _ = asked(door, "/api/v1/mlalgorithms?limit=1", host)
    assert (status, headers["link"].startswith(f"<http://{host}/api/v1/mlalgorithms?")) == (200, True)


def test_what_a_client_writes_beside_the_host_is_no_name(door: Server) -> None:
    forwarded = {
        "X_Forwarded_Host": "evil.example",
        "X_Forwarded_Server": "evil.example",
        "Forwarded": "host=evil.example",
    }
    status, headers, text = asked(door, "/api/v1/mlalgorithms?limit=1", "localhost", **forwarded)
    assert status == 200
    assert "evil" not in headers["link"] + text


def test_what_has_no_pages_and_writes_no_address_is_answered_under_any(door: Server) -> None:
    """A load balancer asks for health by an address that nobody foresaw."""
    host = "10.0.0.7:8000"
    status, headers, text = asked(door, f"/api/v1/{ENDPOINT}/predict", host, body=PERSON, scope="predict")
    assert status == 200
    told = f"/api/v1/mlrequests/{json.loads(text)['request_id']}"
    feedback = asked(door, told, host, body={"feedback": ">50K"}, method="PUT", scope="feedback")
    health = [asked(door, path, host) for path in ("/healthz", "/readyz")]
    assert [one[0] for one in (feedback, *health)] == [200] * 3
    assert "10.0.0.7" not in "".join(str(one) for one in (headers, text, feedback, health))
