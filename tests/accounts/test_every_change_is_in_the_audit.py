"""Every operation that changes something leaves its event, once, whoever asks; what changes nothing leaves none."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import sessions
import skops.io
from django.db import transaction
from homes import Home
from operations import OPERATIONS, Operation
from servers import Server
from sklearn.linear_model import LogisticRegression

from ml_pipeline.apps.events import audit
from ml_pipeline.apps.events.models import Event

UPLOAD = ("POST", "/mlalgorithms")
# Predictions and feedback have logs of their own, and far too many rows for the audit.
LOGGED_ELSEWHERE = {("POST", "/{endpoint}/predict"), ("POST", "/{endpoint}@{alias}/predict")}
FEEDBACK = "feedback"
BATCH = ("POST", "/batches")
# Asked again, it is another one.
ANEW = {
    BATCH,
    ("POST", "/receivers"),
    ("POST", "/receivers/{receiver}/test"),
    ("POST", "/receivers/{receiver}/rotate"),
}
# What is on its way is on its way already.
RETRIES = ("POST", "/receivers/{receiver}/deliveries/{delivery}/retry")
# It asks for one as well, and waits for the worker, of whom there is none here.
WAITS = ("POST", "/batch-predict")
# It reckons with what there is, and changes nothing.
RECKONS = ("POST", "/abtests/{abtest}/selftest")
TWO_ARMS = {"title": "tests", "parent_mlalgorithm_1": "{first}", "parent_mlalgorithm_2": "{algorithm}"}
RECEIVER = {"kind": "webhook", "address": "https://hooks.example.org/", "events": ["*"]}
RULE = {"name": "quiet", "measure": "requests", "condition": "below", "threshold": 1}
# In an order in which each succeeds: method, route, body, the events that it leaves, and the name for the id in the
# reply. Each is asked twice: the second time it is refused, or changes nothing.
STEPS: list[tuple[str, str, Any, list[str], str]] = [
    ("POST", "/teams", {"name": "{team}"}, ["team.created"], ""),
    ("PATCH", "/teams/{team}", {"description": "tests"}, ["team.changed"], ""),
    ("PUT", "/teams/{team}/members/{username}", {"role": "viewer"}, ["member.put"], ""),
    ("DELETE", "/teams/{team}/members/{username}", None, ["member.removed"], ""),
    ("POST", "/keys", {"name": "{team}", "scopes": ["read"], "team": "{team}"}, ["key.created"], "key"),
    ("PATCH", "/keys/{key}", {"rows_per_day": 1}, ["key.limited"], ""),
    ("POST", "/keys/{key}/revoke", None, ["key.revoked"], ""),
    ("POST", "/receivers", {**RECEIVER, "team": "{team}"}, ["receiver.created"], "receiver"),
    ("PATCH", "/receivers/{receiver}", {"description": "tests"}, ["receiver.changed"], ""),
    ("POST", "/receivers/{receiver}/test", {}, ["receiver.test"], ""),
    ("POST", "/receivers/{receiver}/rotate", {}, ["receiver.rotated"], ""),
    ("DELETE", "/receivers/{receiver}", None, ["receiver.deleted"], ""),
    ("POST", "/endpoints", {"name": "{endpoint}", "team": "{team}"}, ["endpoint.created"], ""),
    ("PUT", "/endpoints/{endpoint}", {"owner": "put"}, ["endpoint.changed"], ""),
    ("PATCH", "/endpoints/{endpoint}", {"owner": "patched"}, ["endpoint.changed"], ""),
    ("DELETE", "/endpoints/{endpoint}", None, ["endpoint.deleted"], ""),
    ("POST", "/endpoints", {"name": "{endpoint}", "team": "{team}"}, ["endpoint.created"], ""),
    ("POST", "/alertrules", {**RULE, "endpoint": "{endpoint}"}, ["alertrule.created"], "alertrule"),
    ("PATCH", "/alertrules/{alertrule}", {"threshold": 2}, ["alertrule.changed"], ""),
    ("DELETE", "/alertrules/{alertrule}", None, ["alertrule.deleted"], ""),
    (*UPLOAD, {"name": "first", "tags": {"review": "done"}}, ["algorithm.registered", "tag.put"], "first"),
    (*UPLOAD, {"name": "second", "tags": {}}, ["algorithm.registered"], "algorithm"),
    ("PUT", "/endpoints/{endpoint}/aliases/{alias}", {"parent_mlalgorithm": "{algorithm}"}, ["alias.put"], ""),
    ("DELETE", "/endpoints/{endpoint}/aliases/{alias}", None, ["alias.removed"], ""),
    ("PUT", "/mlalgorithms/{algorithm}/tags/{tag}", {"value": "tests"}, ["tag.put"], ""),
    ("DELETE", "/mlalgorithms/{algorithm}/tags/{tag}", None, ["tag.removed"], ""),
    *(
        (
            "POST",
            "/mlalgorithmstatuses",
            {"parent_mlalgorithm": which, "status": "production", "created_by": "somebody else"},
            ["algorithm.moved"],
            "",
        )
        for which in ("{first}", "{algorithm}")
    ),
    ("POST", "/endpoints/{endpoint}/rollback", {"reason": "tests"}, ["endpoint.rolled_back"], ""),
    *(
        step
        for stop in ("/abtests/{abtest}/stop", "/stop_ab_test/{abtest}")
        for step in (
            ("POST", "/abtests", TWO_ARMS, ["abtest.started"], "abtest"),
            ("POST", stop, {"reason": "tests"}, ["abtest.ended"], ""),
        )
    ),
    (*BATCH, {"version": "1"}, ["batch.created"], "batch"),
    ("POST", "/batches/{batch}/cancel", None, ["batch.cancelled"], ""),
    ("POST", "/mlalgorithms/{algorithm}/archive", {"reason": "tests"}, ["algorithm.moved"], ""),
]


@pytest.fixture(scope="module")
def server(door: Server) -> Server:
    """Behind each door, with a superuser."""
    sessions.make_superuser(door.home)
    return door


@pytest.fixture
def reader(server: Server) -> Iterator[httpx.Client]:
    with server.client("admin") as client:
        yield client


@pytest.fixture
def person(server: Server) -> Iterator[httpx.Client]:
    """The superuser's browser."""
    with sessions.logged_in(server) as client:
        client.headers.update({"Referer": server.url, "X-CSRFToken": client.cookies["csrftoken"]})
        yield client


def told(reader: httpx.Client, **filters: str) -> list[dict[str, Any]]:
    """The events, newest first."""
    reply = reader.get("/api/v1/events", params={"limit": "1000", **filters})
    assert reply.status_code == 200, reply.text
    found: list[dict[str, Any]] = reply.json()
    return found


def asked(client: httpx.Client, method: str, path: str, body: Any, names: dict[str, Any]) -> httpx.Response:
    operation = Operation(method, path, "", body)
    if (method, path) == BATCH:
        files = {"file": ("rows.csv", b"x,y\n-1.0,0.0\n")}
        return client.post(operation.address(names), data={"endpoint": names["endpoint"], **body}, files=files)
    if (method, path) != UPLOAD:
        return client.request(method, operation.address(names), json=operation.content(names))
    model = LogisticRegression().fit([[-1.0, 0.0], [1.0, 0.5]], ["minus", "plus"])
    files = {
        "artifact": ("m.skops", io.BytesIO(skops.io.dumps(model))),
        "sample": ("rows.csv", io.BytesIO(b"x,y\n-1.0,0.0\n1.0,0.5\n")),
    }
    fields = {"endpoint": names["endpoint"], "name": body["name"], "version": "1"}
    metadata = json.dumps({"tags": body["tags"]})
    return client.post(operation.address(names), data={**fields, "metadata": metadata}, files=files)


def test_the_steps_are_all_that_changes_something() -> None:
    writing = {(one.method, one.path) for one in OPERATIONS if one.method != "GET" and one.scope != FEEDBACK}
    assert {step[:2] for step in STEPS} == writing - LOGGED_ELSEWHERE - {RECKONS, WAITS, RETRIES}


@pytest.mark.parametrize("kind", ["key", "user"])
def test_each_leaves_one_event_and_none_when_it_changes_nothing(
    server: Server, reader: httpx.Client, person: httpx.Client, kind: str
) -> None:
    mine = f"audited-{server.door}-{kind}"
    names: dict[str, Any] = {"team": mine, "endpoint": mine, "alias": "tests", "tag": "tests", "username": "ada"}
    client, actor = (reader, "key:admin-key") if kind == "key" else (person, f"user:{sessions.NAME}")
    for method, path, body, actions, name in STEPS:
        last = max(one["id"] for one in told(reader))
        reply = asked(client, method, path, body, names)
        assert reply.is_success, (method, path, reply.text)
        if name:
            names[name] = reply.json()["id"]
        left = [one for one in told(reader) if one["id"] > last]
        assert sorted(one["action"] for one in left) == actions, (method, path)
        assert {(one["actor"], one["address"]) for one in left} == {(actor, "127.0.0.1")}, (method, path)
        if (method, path) in ANEW:
            continue
        again = asked(client, method, path, body, names)
        assert again.status_code < 500, (method, path, again.text)
        assert max(one["id"] for one in told(reader)) == max(one["id"] for one in left), (method, path, again.text)


def test_what_is_refused_leaves_none(server: Server, reader: httpx.Client) -> None:
    names = {"team": "default", "endpoint": "income_classifier", "alias": "a", "tag": "t", "username": "ada", "key": 1}
    before = told(reader)
    with server.client("read") as client:
        for method, path, body, _, _ in STEPS:
            reply = asked(
                client,
                method,
                path,
                body,
                {**names, "first": 1, "algorithm": 1, "abtest": 1, "batch": 1, "receiver": 1, "alertrule": 1},
            )
            assert reply.status_code == 403, (method, path, reply.text)
    for body in ({"name": "Bad Name"}, {"name": "good-name", "actor": "somebody else"}):
        assert reader.post("/api/v1/endpoints", json=body).status_code == 422
    assert told(reader) == before


def test_a_person_made_and_changed_in_the_admin_is_in_it(
    server: Server, reader: httpx.Client, person: httpx.Client
) -> None:
    name = f"pat-{server.door}"
    passwords = {"password1": sessions.PASSWORD, "password2": sessions.PASSWORD, "usable_password": "true"}
    made = person.post("/admin/auth/user/add/", data={"username": name, **passwords})
    assert made.status_code == 302, made.text
    form = {"username": name, "email": "pat@example.org", "date_joined_0": "2026-01-01", "date_joined_1": "00:00:00"}
    changed = person.post(made.headers["Location"], data=form)
    assert changed.status_code == 302, changed.text
    events = [(one["action"], one["actor"], one["address"]) for one in told(reader, subject=name)]
    who = (f"user:{sessions.NAME}", "127.0.0.1")
    assert events == [("person.changed", *who), ("person.created", *who)]


def test_the_servers_own_commands_are_in_it_without_an_address(server: Server, reader: httpx.Client) -> None:
    name = f"command-{server.door}"
    server.home.manage("keys", "create", name, "--scope", "read")
    server.home.manage("keys", "revoke", name)
    server.home.manage("teams", "create", name)
    events = told(reader, subject=name)
    assert [one["action"] for one in events] == ["team.created", "key.revoked", "key.created"]
    assert all(one["actor"].startswith("operator") and one["address"] == "" for one in events)


def test_filters_narrow_it(reader: httpx.Client) -> None:
    every = told(reader)
    middle = every[len(every) // 2]["created_at"]
    assert told(reader, since=middle) == [one for one in every if one["created_at"] >= middle]
    assert told(reader, until=middle) == [one for one in every if one["created_at"] < middle]
    for field in ("action", "actor"):
        wanted = every[-1][field]
        assert told(reader, **{field: wanted}) == [one for one in every if one[field] == wanted]
    team = reader.get("/api/v1/teams/default").json()["id"]
    assert told(reader, team="default") == [one for one in every if one["team_id"] == team]


def test_the_command_prints_what_the_api_has(server: Server, reader: httpx.Client) -> None:
    command = (str(Path(sys.executable).parent / "ml-pipeline"), "events", "--json")
    home = Home(server.home.folder)
    settings = ("env", f"ML_PIPELINE_URL={server.url}", f"ML_PIPELINE_API_KEY={home.keys['admin']}")
    assert json.loads(home.run(*settings, *command).stdout) == told(reader)[:50]
    middle = told(reader)[len(told(reader)) // 2]["created_at"]
    for bound in ("since", "until"):
        printed = home.run(*settings, *command, f"--{bound}", middle, "--limit", "1000")
        assert json.loads(printed.stdout) == told(reader, **{bound: middle})


def test_what_is_registered_on_the_server_is_told_of_too(server: Server, reader: httpx.Client) -> None:
    """The classifiers of the home were registered by the server's own command."""
    made = [one for one in told(reader, action="algorithm.registered") if one["actor"].startswith("operator")]
    assert {one["subject"] for one in made} == {
        f"{name} 0.0.1" for name in ("random_forest", "extra_trees", "decision_tree")
    }
    assert {(one["address"], one["details"]["endpoint"]) for one in made} == {("", "income_classifier")}


def test_no_route_and_no_page_writes_it(reader: httpx.Client, person: httpx.Client) -> None:
    before = told(reader)
    one = before[0]["id"]
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert reader.request(method, "/api/v1/events").status_code == 405
        assert reader.request(method, f"/api/v1/events/{one}").status_code == 404
    for page in ("add", f"{one}/change", f"{one}/delete"):
        assert person.post(f"/admin/events/event/{page}/", data={"actor": "nobody"}).status_code == 403
    assert told(reader) == before


@pytest.mark.django_db
def test_an_event_is_never_changed_and_never_deleted() -> None:
    with transaction.atomic():
        audit.record("person.changed", "something", actor="tests")
    event = Event.objects.get(action="person.changed")
    rows = Event.objects.filter(pk=event.pk)
    for attempt in (event.save, event.delete, rows.delete, lambda: rows.update(actor="nobody")):
        with pytest.raises(TypeError):
            attempt()
    assert Event.objects.get(pk=event.pk).actor == "tests"
