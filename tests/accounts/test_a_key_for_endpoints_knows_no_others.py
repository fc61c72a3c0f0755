"""A key that is for some endpoints sees, asks and judges nothing of the others of its own team, behind both doors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import two_teams
from homes import ENDPOINT, Home
from operations import OPERATIONS, Operation
from people import PERSON
from servers import Server
from two_teams import NOBODYS, Actor

SCOPES = ("predict", "feedback", "read", "manage")
# Another endpoint of our own team, which the keys here are not for.
SIBLINGS: dict[str, Any] = {
    "endpoint": "sibling_wine",
    "endpoint_id": 7_500_001,
    "algorithm": 7_500_002,
    "step": 7_500_003,
    "alias": "sibling-alias",
    "tag": "sibling-tag",
    "request": "07500005-0000-7000-8000-000000000000",
    "archived": 7_500_004,
    "abtest": 7_500_005,
    "batch": 7_500_006,
    "feedback_file": 7_500_007,
    "receiver": 7_500_008,
    "delivery": "07500009-0000-4000-8000-000000000000",
    "delivery_id": 7_500_010,
    "window": 7_500_011,
    "alertrule": 7_500_012,
    "alert": 7_500_013,
}
# A key knows no team's people and no keys, and these are not what is asked about here.
NAMES: dict[str, Any] = {"team": "nobody", "username": "nobody", "key": 8_000_004}
MARKS = ("sibling", "75000")

_MAKE = (
    two_teams.FILLED
    + f"""
names, ours = {SIBLINGS!r}, Team.objects.get(name="default")
filled(names, ours, "sibling", "sibling")
bound, both = [1], [1, names["endpoint_id"]]
wanted = {{"of the team": (ours, bound), "of all teams": (None, bound), "for both": (ours, both)}}
print(json.dumps({{
    name: keys.create(name, {SCOPES!r}, actor="tests", team=team, endpoint_ids=ids)[1]
    for name, (team, ids) in wanted.items()
}}))
"""
)


@pytest.fixture(scope="module")
def secrets(module_home: Home) -> dict[str, str]:
    """The keys by name, once the sibling is in the module's home."""
    made: dict[str, str] = json.loads(module_home.python(_MAKE).splitlines()[-1])
    return made


@pytest.fixture(scope="module", params=["asgi", "wsgi"])
def server(request: pytest.FixtureRequest, module_home: Home, secrets: dict[str, str]) -> Iterator[Server]:
    one = Server(request.param, module_home, {}).start()
    yield one
    one.stop()


@pytest.fixture(params=["of the team", "of all teams"])
def bound(request: pytest.FixtureRequest, server: Server, secrets: dict[str, str]) -> Iterator[Actor]:
    """Whoever holds a key for the income classifier alone."""
    actor = two_teams.of_key(server, request.param, secrets[request.param], *SCOPES)
    yield actor
    actor.client.close()


@pytest.fixture
def free(server: Server, secrets: dict[str, str]) -> Iterator[Actor]:
    """Whoever holds a key for both."""
    actor = two_teams.of_key(server, "for both", secrets["for both"], *SCOPES)
    yield actor
    actor.client.close()


def has_mark(reply: httpx.Response) -> bool:
    return any(mark in reply.text for mark in MARKS)


def scoped(operation: Operation) -> bool:
    return operation.scope in SCOPES


# Of one thing that is somebody's.
PARTICULAR = [one for one in OPERATIONS if not one.is_of_all and one.names_something and scoped(one)]


@pytest.mark.parametrize("operation", PARTICULAR, ids=str)
def test_a_sibling_is_told_apart_from_nothing_by_no_operation(bound: Actor, operation: Operation) -> None:
    sibling, nobody = {**SIBLINGS, **NAMES}, {**NOBODYS, **NAMES}
    told = two_teams.asked(bound, operation, sibling)
    assert two_teams.as_told(told, sibling) == two_teams.as_told(two_teams.asked(bound, operation, nobody), nobody)
    # The body of a step names its algorithm, and that of a test its arms.
    assert told.status_code == (422 if operation.path in ("/mlalgorithmstatuses", "/abtests") else 404), told.text


def test_lists_have_what_is_for_the_key_and_no_sibling(bound: Actor, free: Actor) -> None:
    for operation in OPERATIONS:
        if operation.method == "GET" and operation.is_of_all and scoped(operation) and operation.path != "/teams":
            for accept in ("application/json", "text/html"):
                mine = bound.client.get(operation.address({}), headers={"Accept": accept})
                assert mine.status_code == 200
                assert not has_mark(mine), operation
            assert has_mark(free.client.get(operation.address({})))
    assert bound.client.get("/api/v1/teams").json() == []


def test_filters_find_no_sibling(bound: Actor, free: Actor) -> None:
    asked = [
        ("/api/v1/endpoints", {"name": SIBLINGS["endpoint"]}),
        ("/api/v1/mlalgorithms", {"endpoint": SIBLINGS["endpoint"]}),
        ("/api/v1/mlalgorithms", {"name": "sibling_tree"}),
        ("/api/v1/mlalgorithms", {"tag": SIBLINGS["tag"]}),
        ("/api/v1/mlalgorithmstatuses", {"endpoint": SIBLINGS["endpoint"]}),
        ("/api/v1/mlalgorithmstatuses", {"parent_mlalgorithm": SIBLINGS["algorithm"]}),
        ("/api/v1/abtests", {"endpoint": SIBLINGS["endpoint"]}),
        ("/api/v1/abtests", {"parent_mlalgorithm": SIBLINGS["algorithm"]}),
        ("/api/v1/batches", {"endpoint": SIBLINGS["endpoint"]}),
        ("/api/v1/receivers", {"endpoint": SIBLINGS["endpoint"]}),
        ("/api/v1/alertrules", {"endpoint": SIBLINGS["endpoint"]}),
        ("/api/v1/alertrules", {"name": "sibling"}),
        ("/api/v1/alerts", {"endpoint": SIBLINGS["endpoint"]}),
        ("/api/v1/alerts", {"rule": SIBLINGS["alertrule"]}),
        ("/api/v1/alerts", {"parent_mlalgorithm": SIBLINGS["algorithm"]}),
        ("/api/v1/batches/feedback", {"endpoint": SIBLINGS["endpoint"]}),
        ("/api/v1/batches", {"parent_mlalgorithm": SIBLINGS["algorithm"]}),
        ("/api/v1/mlrequests", {"endpoint": SIBLINGS["endpoint"]}),
        ("/api/v1/mlrequests", {"parent_mlalgorithm": SIBLINGS["algorithm"]}),
        ("/api/v1/mlrequests", {"unit": "sibling unit"}),
    ]
    for address, query in asked:
        mine = bound.client.get(address, params=query)
        assert (mine.status_code, mine.json()) == (200, []), (address, query)
        assert free.client.get(address, params=query).json() != []


def test_predictions_are_for_its_own_endpoint_alone(bound: Actor, free: Actor) -> None:
    assert bound.client.post(f"/api/v1/{ENDPOINT}/predict", json=PERSON).status_code == 200
    for path in ("sibling_wine/predict", "sibling_wine@sibling-alias/predict"):
        for query in ("", "?algorithm=sibling_tree", "?status=production", "?version=0.0.1"):
            assert bound.client.post(f"/api/v1/{path}{query}", json=PERSON).status_code == 404
            assert free.client.post(f"/api/v1/{path}{query}", json=PERSON).status_code == 200


def test_feedback_in_bulk_takes_its_own_and_does_not_know_the_siblings(bound: Actor, free: Actor) -> None:
    def predicted(endpoint: str) -> str:
        return str(free.client.post(f"/api/v1/{endpoint}/predict", json=PERSON).json()["request_id"])

    sibling = predicted(SIBLINGS["endpoint"])
    bulk = [{"request_id": one, "feedback": ">50K"} for one in (predicted(ENDPOINT), sibling)]
    csv = "request_id,feedback\n" + "".join(f"{one},>50K\n" for one in (predicted(ENDPOINT), sibling))
    replies = [
        bound.client.post("/api/v1/mlrequests/feedback", json=bulk),
        bound.client.post("/api/v1/mlrequests/feedback", content=csv, headers={"Content-Type": "text/csv"}),
    ]
    for reply in replies:
        assert reply.json() == {"accepted": 1, "unchanged": 0, "unknown": [sibling], "invalid": []}
    # Plain feedback does not pass Django; what is not plain does.
    for method, body in (
        ("PUT", '{"feedback": ">50K"}'),
        ("PATCH", '{"feedback": "\\u003e50K"}'),
        ("PUT", "feedback=x"),
    ):
        kind = "application/json" if body.startswith("{") else "application/x-www-form-urlencoded"
        address, headers = f"/api/v1/mlrequests/{sibling}", {"Content-Type": kind}
        assert bound.client.request(method, address, content=body, headers=headers).status_code == 404
    assert free.client.get(f"/api/v1/mlrequests/{sibling}").json()["feedback"] is None


def test_what_is_its_own_is_worked_as_ever(bound: Actor) -> None:
    request_id = bound.client.post(f"/api/v1/{ENDPOINT}/predict", json=PERSON).json()["request_id"]
    for address in (
        "endpoints/income_classifier",
        "endpoints/income_classifier/history",
        "endpoints/income_classifier/aliases",
        "endpoints/income_classifier/metrics",
        "endpoints/income_classifier/drift",
        "endpoints/income_classifier/report",
        "mlalgorithms/1",
        "mlalgorithmstatuses/1",
        f"mlrequests/{request_id}",
    ):
        assert bound.client.get(f"/api/v1/{address}").status_code == 200, address
    assert bound.client.put(f"/api/v1/mlrequests/{request_id}", json={"feedback": ">50K"}).status_code == 200
    assert bound.client.patch("/api/v1/endpoints/income_classifier", json={"owner": "bound"}).status_code == 200


def test_an_alias_of_its_own_names_no_algorithm_of_a_sibling(bound: Actor) -> None:
    address = f"/api/v1/endpoints/{ENDPOINT}/aliases/mine"
    sibling, nobody = (bound.client.put(address, json={"parent_mlalgorithm": one}) for one in (7_500_002, 8_000_002))
    assert (sibling.status_code, sibling.text) == (nobody.status_code, nobody.text.replace("8000002", "7500002"))
    assert sibling.status_code in (404, 422)


def test_nothing_is_registered_under_a_sibling(bound: Actor, server: Server) -> None:
    [upload] = [one for one in OPERATIONS if (one.method, one.path) == ("POST", "/mlalgorithms")]
    before = two_teams.rows(server.home)
    told = two_teams.asked(bound, upload, {**SIBLINGS, **NAMES})
    assert told.status_code in (403, 404, 409), told.text
    assert "sibling_tree" not in told.text
    assert two_teams.rows(server.home) == before
