"""`GET /metrics`: who may ask, what each is told, in which format, and by which methods."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest
from homes import ENDPOINT, SCOPES, Home
from people import PERSON
from prometheus_client.openmetrics import parser as openmetrics
from scrapes import Scrape, scraped
from servers import Server

from ml_pipeline.metrics import families

THEIRS = "rivals_income"
_MAKE = f"""
import django, json
django.setup()
from ml_pipeline.apps.accounts import keys, teams
from ml_pipeline.apps.accounts.models import Team
from ml_pipeline.apps.endpoints import endpoints
ours = Team.objects.get()
rivals = teams.create("rivals", {{}}, actor="tests")
endpoints.create({THEIRS!r}, rivals, actor="tests")
print(json.dumps({{
    "ours": keys.create("ours", ["read"], actor="tests", team=ours)[1],
    "theirs": keys.create("theirs", ["read"], actor="tests", team=rivals)[1],
    "other": keys.create("other", ["read"], actor="tests", team=ours, endpoint_ids=[999])[1],
}}))
"""


@pytest.fixture(scope="module", params=["asgi", "wsgi"])
def server(
    request: pytest.FixtureRequest, prepared_home: Home, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    home = prepared_home.copy(tmp_path_factory.mktemp("read") / "home")
    (home.folder / "secrets.json").write_text(home.python(_MAKE))
    running = Server(request.param, home, {}).start()
    assert running.predict(PERSON).status_code == 200
    yield running
    running.stop()


def _secrets(server: Server) -> dict[str, str]:
    secrets: dict[str, str] = json.loads((server.home.folder / "secrets.json").read_text())
    return secrets


def _get(server: Server, secret: str | None, method: str = "GET", **headers: str) -> httpx.Response:
    own = {"Authorization": f"Bearer {secret}"} if secret else {}
    return httpx.request(method, f"{server.url}/metrics", headers={**own, **headers}, timeout=60)


def test_nobody_is_told_without_a_key(server: Server) -> None:
    for secret in (None, "mlp_" + "x" * 43):
        reply = _get(server, secret)
        assert (reply.status_code, reply.json()["error"]["code"]) == (401, "unauthenticated")
        assert "ml_pipeline_" not in reply.text


@pytest.mark.parametrize("scope", SCOPES)
def test_the_scope_read_opens_it(server: Server, scope: str) -> None:
    reply = _get(server, server.home.keys[scope])
    assert reply.status_code == (200 if scope in ("read", "admin") else 403)


def test_a_key_sees_the_endpoints_of_its_team_and_what_is_of_the_process(server: Server) -> None:
    seen = {name: Scrape(_get(server, secret).text) for name, secret in _secrets(server).items()}
    assert ENDPOINT in seen["ours"].label("requests_total", "endpoint")
    for name in ("theirs", "other"):
        assert seen[name].label("requests_total", "endpoint") <= {""}
        assert ENDPOINT not in _get(server, _secrets(server)[name]).text
        assert seen[name].values("build_info") == [1]
        assert seen[name].values("database_up") == [1]
        assert seen[name].sum("commit_duration_seconds_count", log="predictions") >= 1


def test_the_format_is_the_one_that_is_asked_for(server: Server) -> None:
    secret = server.home.keys["read"]
    plain = _get(server, secret, Accept="text/plain")
    assert plain.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert plain.headers["x-content-type-options"] == "nosniff"
    open_text = _get(server, secret, Accept="application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
    assert open_text.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0; charset=utf-8")
    found = {family.name for family in openmetrics.text_string_to_metric_families(open_text.text)}
    assert {name.removesuffix("_total") for name in families.TABLE} <= found


def test_it_is_read_and_nothing_else(server: Server) -> None:
    secret = server.home.keys["read"]
    head = _get(server, secret, "HEAD")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        reply = _get(server, secret, method)
        assert (reply.status_code, reply.headers["allow"]) == (405, "GET, HEAD")
    reply = httpx.get(f"{server.url}/metrics?x=1", headers={"X-Api-Key": secret})
    assert reply.json()["error"]["code"] == "unknown_parameter"


def test_names_and_units_are_those_of_prometheus(server: Server) -> None:
    scrape = scraped(server)
    for name in scrape.names:
        assert name.startswith("ml_pipeline_")
    for family in families.TABLE.values():
        assert not family.name.endswith("_total")
        assert not any(unit in family.name for unit in ("_ms", "_us", "_mb", "milli"))
        if family.kind is families.Kind.HISTOGRAM:
            assert list(family.bounds) == sorted(set(family.bounds))
