"""Two teams, three roles, every scope of a key: what is another team's is as if it were not, behind both doors."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import two_teams
from homes import Home
from operations import OPERATIONS, Operation
from people import PERSON
from servers import Server
from two_teams import MARKS, NOBODYS, OURS, THEIRS, Actor, as_told, asked

ALL = ("predict", "feedback", "read", "manage", "admin")


@pytest.fixture(scope="module")
def actors(two_teams_server: Server, secrets: dict[str, str]) -> Iterator[list[Actor]]:
    some = ("predict", "feedback", "read", "manage")
    found = [
        two_teams.of_person(two_teams_server, "vera-viewer", "read"),
        two_teams.of_person(two_teams_server, "vera-operator", *some),
        two_teams.of_person(two_teams_server, "vera-administrator", *ALL),
        two_teams.of_person(two_teams_server, "nora-nowhere"),
        *(two_teams.of_key(two_teams_server, f"the key for {one}", secrets[one], one) for one in ALL[:-1]),
        two_teams.of_key(two_teams_server, "the key for admin", secrets["admin"], *ALL),
        two_teams.of_key(two_teams_server, "the bound key", secrets["bound"], *some),
    ]
    yield found
    for actor in found:
        actor.client.close()


def may_not_even_ask(actor: Actor, operation: Operation) -> bool:
    # Predictions are for keys.
    return operation.path.startswith("/{endpoint}") and actor.name.startswith(("vera", "nora"))


def marked(text: str) -> list[str]:
    """What stands around each mark."""
    return [text[max(0, one.start() - 100) : one.end() + 50] for one in MARKS.finditer(text)]


def test_the_table_has_every_operation(two_teams_server: Server) -> None:
    with two_teams_server.client("read") as client:
        document = client.get("/api/schema").json()
    known = {
        (method.upper(), re.sub(r"\{[^}]*\}", "*", path.removeprefix("/api/v1")))
        for path, methods in document["paths"].items()
        for method in methods
        if path.startswith("/api/v1/")
    }
    assert known == {(one.method, re.sub(r"\{[^}]*\}", "*", one.path)) for one in OPERATIONS}


@pytest.mark.parametrize("operation", [one for one in OPERATIONS if not one.is_of_all], ids=str)
def test_theirs_is_told_apart_from_nothing_by_nobody(actors: list[Actor], operation: Operation) -> None:
    for actor in actors:
        if may_not_even_ask(actor, operation):
            continue
        theirs, nobodys = asked(actor, operation, THEIRS), asked(actor, operation, NOBODYS)
        assert as_told(theirs, THEIRS) == as_told(nobodys, NOBODYS), actor.name
        assert theirs.status_code in (403, 404, 422), (actor.name, theirs.text)
        if operation.scope in actor.scopes:
            assert theirs.status_code != 403, (actor.name, theirs.text)


def test_no_list_and_no_page_has_anything_of_theirs(actors: list[Actor]) -> None:
    for actor in actors:
        for operation in OPERATIONS:
            if operation.method == "GET" and operation.is_of_all:
                for accept in ("application/json", "text/html"):
                    reply = actor.client.get(operation.address({}), headers={"Accept": accept})
                    assert (reply.status_code == 200) == (operation.scope in actor.scopes), (actor.name, operation)
                    assert not MARKS.search(reply.text), (actor.name, operation, accept)


@pytest.mark.parametrize(
    "scoped",
    [
        *("mlalgorithms", "mlalgorithmstatuses", "mlrequests", "abtests", "batches", "batches/feedback", "receivers"),
        *("alertrules", "alerts"),
    ],
)
def test_filters_by_what_is_theirs_find_what_filters_by_nothing_find(actors: list[Actor], scoped: str) -> None:
    parameters = {"endpoint": "endpoint", "algorithm": "parent_mlalgorithm"}
    by_endpoint = ("mlalgorithms", "batches/feedback", "receivers", "alertrules")
    names = ("endpoint",) if scoped in by_endpoint else ("endpoint", "algorithm")
    for actor in actors:
        if "read" in actor.scopes:
            for name in names:
                for whose in (THEIRS, NOBODYS):
                    reply = actor.client.get(f"/api/v1/{scoped}", params={parameters[name]: whose[name]})
                    assert (reply.status_code, reply.json()) == (200, []), (actor.name, name)


def test_pages_with_forms_offer_nothing_of_theirs(actors: list[Actor]) -> None:
    for actor in actors:
        for operation in OPERATIONS:
            if operation.method != "GET" and not operation.path.startswith("/{endpoint}"):
                address = operation.address({**OURS, "request": NOBODYS["request"], "key": 1})
                page = actor.client.get(address, headers={"Accept": "text/html"})
                assert page.status_code < 500
                assert not MARKS.search(page.text), (actor.name, operation)


def test_a_role_decides_what_may_be_done_with_what_is_ours(actors: list[Actor], two_teams_server: Server) -> None:
    with two_teams_server.client("predict") as client:
        request_id = client.post(f"/api/v1/{OURS['endpoint']}/predict", json=PERSON).json()["request_id"]
    with two_teams_server.client("admin") as client:
        key = client.post(
            "/api/v1/keys", json={"name": f"some-{two_teams_server.door}", "scopes": ["read"], "team": "default"}
        )
    ours = {**OURS, "request": request_id, "key": key.json()["id"]}
    for actor in actors:
        if actor.name == "nora-nowhere":
            continue
        for operation in OPERATIONS:
            if may_not_even_ask(actor, operation):
                continue
            # Whoever gets that far is told that the body is none, and nothing changes.
            has_none = operation.method in ("GET", "DELETE") or operation.path.endswith("revoke")
            body = None if has_none else {"unknown": 1}
            if operation.method == "DELETE" and operation.scope in actor.scopes:
                continue
            if (operation.method, operation.path) == ("POST", "/teams"):
                # A new one is for whoever administers all.
                assert asked(actor, operation, ours).status_code == 403
                continue
            reply = asked(actor, operation, ours, body)
            assert reply.status_code < 500
            assert (reply.status_code != 403) == (operation.scope in actor.scopes), (actor.name, operation, reply.text)


def test_nothing_can_be_made_in_their_team_or_under_their_endpoint(actors: list[Actor]) -> None:
    made = [one for one in OPERATIONS if one.method == "POST" and one.is_of_all and one.body]
    for actor in actors:
        for operation in made:
            reply = asked(actor, operation, THEIRS)
            if operation.path == "/mlrequests/feedback":
                ids = [one for one in (THEIRS["request"],) if "feedback" in actor.scopes]
                assert reply.json().get("unknown", []) == ids, actor.name
            elif operation.path == "/mlalgorithms" and "manage" in actor.scopes:
                # That a name is taken cannot be hidden.
                assert reply.status_code == 409, (actor.name, reply.text)
                assert "taken" in reply.text
            else:
                assert reply.status_code in (403, 404), (actor.name, operation, reply.text)


def test_the_admin_shows_nothing_of_theirs(actors: list[Actor]) -> None:
    pages = {
        "endpoints/endpoint": ("endpoint_id", "read"),
        "endpoints/mlalgorithm": ("algorithm", "read"),
        "endpoints/algorithmtag": ("algorithm", "read"),
        "endpoints/endpointalias": ("algorithm", "read"),
        "endpoints/mlalgorithmstatus": ("step", "read"),
        "endpoints/mlrequest": ("request", "read"),
        "endpoints/feedback": ("step", "read"),
        "accounts/team": ("endpoint_id", "read"),
        "accounts/membership": ("endpoint_id", "admin"),
        "accounts/apikey": ("key", "admin"),
        "batches/batchjob": ("batch", "read"),
        "batches/feedbackfile": ("feedback_file", "read"),
        "monitoring/window": ("window", "read"),
        "monitoring/alarm": ("window", "read"),
        "monitoring/drifttest": ("window", "read"),
        "monitoring/alertrule": ("alertrule", "read"),
        "monitoring/alert": ("alert", "read"),
        "events/event": ("key", "admin"),
        "events/receiver": ("receiver", "admin"),
        "events/delivery": ("delivery_id", "admin"),
    }
    for actor in actors:
        if not actor.name.startswith(("vera", "nora")):
            assert actor.client.get("/admin/").status_code == 302
            continue
        assert not MARKS.search(actor.client.get("/admin/").text)
        for page, (name, scope) in pages.items():
            listed = actor.client.get(f"/admin/{page}/")
            assert (listed.status_code == 200) == (scope in actor.scopes), (actor.name, page)
            assert not MARKS.search(listed.text), (actor.name, page, marked(listed.text))
            for kind in ("change", "history", "delete"):
                theirs = actor.client.get(f"/admin/{page}/{THEIRS[name]}/{kind}/")
                nobodys = actor.client.get(f"/admin/{page}/{NOBODYS[name]}/{kind}/")
                assert as_told(theirs, THEIRS) == as_told(nobodys, NOBODYS), (actor.name, page, kind)
                # The next page says that there is none of this number, of theirs as of nobody's.
                actor.client.get("/admin/")
            assert actor.client.get(f"/admin/{page}/add/").status_code == 403


def test_nothing_of_theirs_was_changed(module_home: Home, actors: list[Actor]) -> None:
    def theirs() -> list[str]:
        logs = (*two_teams.PREDICTIONS, "events_event")
        return [row for row in two_teams.rows(module_home, *logs) if MARKS.search(row)]

    before = theirs()
    assert len(before) >= 10
    for actor in actors:
        for operation in OPERATIONS:
            asked(actor, operation, THEIRS)
    assert theirs() == before


def test_a_key_for_endpoints_sees_no_other_of_its_team(two_teams_server: Server, secrets: dict[str, str]) -> None:
    elsewhere = two_teams.of_key(two_teams_server, "bound elsewhere", secrets["bound-elsewhere"])
    for operation in OPERATIONS:
        if operation.path.startswith(
            (
                *("/endpoints/", "/mlalgorithms/", "/mlalgorithmstatuses/", "/{endpoint}", "/batch", "/receivers/"),
                *("/alertrules/", "/alerts/"),
            )
        ) and operation.path not in ("/batches", "/batches/feedback"):
            reply = asked(elsewhere, operation, {**OURS, "request": NOBODYS["request"]})
            assert reply.status_code == 404, (operation, reply.text)
        elif operation.method == "GET" and operation.is_of_all and operation.scope == "read":
            assert asked(elsewhere, operation, OURS).json() == []
    made = elsewhere.client.post("/api/v1/endpoints", json={"name": "made-by-bound"})
    elsewhere.client.close()
    assert made.status_code == 403
