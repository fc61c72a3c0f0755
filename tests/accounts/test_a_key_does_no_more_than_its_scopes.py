"""What a key may not do it is refused, and the attempt changes nothing; no key is given more than its maker has."""

from __future__ import annotations

import pytest
import two_teams
from operations import OPERATIONS
from servers import Server
from two_teams import OURS


@pytest.mark.parametrize("scope", ["predict", "feedback", "read", "manage"])
def test_what_its_scope_does_not_allow_is_forbidden_and_changes_nothing(
    two_teams_server: Server, secrets: dict[str, str], scope: str
) -> None:
    actor = two_teams.of_key(two_teams_server, scope, secrets[scope], scope)
    ours = {**OURS, "key": 1, "request": "07000005-0000-7000-8000-000000000000"}
    before = two_teams.rows(two_teams_server.home)
    with actor.client as client:
        for one in OPERATIONS:
            if one.scope == scope:
                continue
            if (one.method, one.path) == ("POST", "/mlalgorithms"):
                files = {"artifact": ("m.onnx", b"x"), "endpoint": (None, ours["endpoint"])}
                reply = client.post(one.address(ours), files=files)
            else:
                reply = client.request(one.method, one.address(ours), json=one.content(ours))
            assert reply.status_code == 403, (one, reply.text)
    assert two_teams.rows(two_teams_server.home) == before


def test_an_administrator_gives_nothing_in_other_teams_nor_in_all(
    two_teams_server: Server, secrets: dict[str, str]
) -> None:
    names = {"name": "more", "scopes": ["read"]}
    before = two_teams.rows(two_teams_server.home)
    with two_teams.of_key(two_teams_server, "admin", secrets["admin"]).client as client:
        assert client.post("/api/v1/keys", json={**names, "team": "rivals"}).status_code == 404
        # There is no way to say "all teams".
        assert client.post("/api/v1/keys", json={**names, "team": None}).status_code == 422
        assert client.post("/api/v1/teams", json={"name": "mine"}).status_code == 403
        assert client.patch("/api/v1/teams/default", json={"rows_per_day": 10}).status_code == 403
        assert client.put("/api/v1/teams/rivals/members/vera-viewer", json={"role": "viewer"}).status_code == 404
        assert client.get("/api/v1/keys", params={"team": "rivals"}).json() == []
        assert client.get("/api/v1/events", params={"team": "rivals"}).status_code == 404
    assert two_teams.rows(two_teams_server.home) == before


def test_a_key_of_an_administrator_is_of_his_team(two_teams_server: Server, secrets: dict[str, str]) -> None:
    name = f"made-by-admin-{two_teams_server.door}"
    with two_teams.of_key(two_teams_server, "admin", secrets["admin"]).client as client:
        made = client.post("/api/v1/keys", json={"name": name, "scopes": ["admin"]})
        assert (made.status_code, made.json()["team"]) == (201, "default")
        bound = client.post("/api/v1/keys", json={"name": f"{name}-bound", "scopes": ["admin"], "endpoints": [1]})
        assert bound.status_code == 422


def test_whoever_is_bound_to_endpoints_makes_nothing_new(two_teams_server: Server, secrets: dict[str, str]) -> None:
    before = two_teams.rows(two_teams_server.home)
    with two_teams.of_key(two_teams_server, "bound", secrets["bound"]).client as client:
        assert client.post("/api/v1/endpoints", json={"name": "new"}).status_code == 403
        files = dict.fromkeys(("endpoint", "name", "version"), (None, "new")) | {"artifact": ("m.onnx", b"x")}
        assert client.post("/api/v1/mlalgorithms", files=files).status_code == 403
    assert two_teams.rows(two_teams_server.home) == before
