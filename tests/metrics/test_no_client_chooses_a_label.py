"""However hostile names, methods and paths are: no label has their text, and no more series come of them."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import httpx
import pytest
from homes import ENDPOINT, Home
from people import PERSON
from scrapes import scraped
from servers import Server

HOSTILE = ['x"} 1\nforged{a="', "a\\", "{{ 7*7 }}", "<script>", "é\u202e", "x" * 3_000, "../../etc", "%n%s"]


@pytest.fixture(scope="module", params=["asgi", "wsgi"])
def server(
    request: pytest.FixtureRequest, prepared_home: Home, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    home = prepared_home.copy(tmp_path_factory.mktemp("hostile") / "home")
    running = Server(request.param, home, {}).start()
    yield running
    running.stop()


def _attack(server: Server, text: str) -> None:
    name = quote(text, safe="")
    with server.client("admin") as client:
        for path in (f"/api/v1/{name}/predict", f"/api/v1/endpoints/{name}", f"/{name}", f"/api/v1/{name}"):
            client.post(path, json=PERSON)
            client.get(path)
        client.request("PROPFIND", "/api/v1/endpoints")
        client.request("X" * 20, "/api/v1/endpoints")
        for parameter in ("algorithm", "version", "status", "unit", "probabilities", "other"):
            client.post(f"/api/v1/{ENDPOINT}/predict", params={parameter: text}, json=PERSON)
        client.post(f"/api/v1/{ENDPOINT}/predict", json={text: text})
        client.put(f"/api/v1/mlrequests/{name}", json={"feedback": text})
    httpx.post(f"{server.url}/api/v1/{ENDPOINT}/predict", json=PERSON, headers={"X-Api-Key": name})


def test_hostile_names_make_no_series(server: Server) -> None:
    for text in [*HOSTILE, "plain"]:
        _attack(server, text)
    before = scraped(server)
    for number in range(20):
        _attack(server, f"another-{number}")
    after = scraped(server)
    assert [(one.name, one.labels) for one in after.samples] == [(one.name, one.labels) for one in before.samples]
    assert after.label("requests_total", "endpoint") == {"", ENDPOINT}
    assert after.label("http_requests_total", "method") <= {"GET", "POST", "PUT", "PATCH", "OPTIONS", "HEAD", "other"}
    told = str([sample.labels for sample in after.samples])
    for text in ("forged", "script", "7*7", "xxxx", "etc", "another", "PROPFIND"):
        assert text not in told
    codes = after.label("requests_total", "code")
    assert {"ok", "not_found", "invalid_input", "unauthenticated", "unknown_parameter"} <= codes
