"""Receivers over HTTP: who sees which, who changes which, what is shown once, what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
import told
from django.db import transaction
from pytest_django import Settings
from rest_framework.response import Response
from rest_framework.test import APIClient
from told import LOOPBACK, Clock, Worker, happen

from ml_pipeline.apps.accounts import keys, teams
from ml_pipeline.apps.accounts.models import Team
from ml_pipeline.apps.endpoints import endpoints
from ml_pipeline.apps.events import receivers
from ml_pipeline.apps.events.models import Delivery, Event, Receiver

pytestmark = pytest.mark.django_db
URL = "https://hooks.example.org/private-part?token=x"
BODY: dict[str, Any] = {"kind": "webhook", "address": URL, "events": ["abtest.*"]}


class Caller:
    """Whoever holds a key with these scopes, in the default team unless said otherwise."""

    def __init__(self, *scopes: str, team: Team | str | None = "default", **more: Any) -> None:
        where = Team.objects.get(name=team) if isinstance(team, str) else team
        self.name = f"{'-'.join(scopes)} {Event.objects.count()}"
        _, secret = keys.create(self.name, scopes, actor="tests", team=where, **more)
        self._client = APIClient(HTTP_X_API_KEY=secret)

    def ask(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        # What is refused is rolled back, as far as this.
        with transaction.atomic():
            reply: Response = self._client.generic(
                method, f"/api/v1/receivers{path}", json.dumps(body or {}), content_type="application/json"
            )
        assert reply.status_code == status, reply.content
        return json.loads(reply.content) if reply.content else None

    def make(self, **changes: Any) -> Any:
        return self.ask("POST", "", {**BODY, **changes}, 201)


@pytest.fixture
def operator() -> Caller:
    """A key to manage with."""
    return Caller("read", "manage")


def test_a_receiver_is_made_read_changed_and_removed(operator: Caller) -> None:
    made = operator.make(description="what for")
    assert made.pop("secret").startswith("whsec_")
    created_at = made.pop("created_at")
    assert made == {
        **{"id": made["id"], "kind": "webhook", "address": URL, "events": ["abtest.*"], "team": "default"},
        **{"endpoint": None, "administration": False, "description": "what for", "is_active": True, "failures": 0},
        **{"resumes_at": None, "previous_until_at": None, "created_by": f"key:{operator.name}"},
    }
    path = f"/{made['id']}"
    assert operator.ask("GET", path) == {**made, "created_at": created_at}
    assert operator.ask("GET", "") == [{**made, "created_at": created_at}]
    changed = operator.ask("PATCH", path, {"events": ["*"], "is_active": False})
    assert changed == {**made, "created_at": created_at, "events": ["*"], "is_active": False}
    operator.ask("DELETE", path, status=204)
    operator.ask("GET", path, status=404)
    actions = Event.objects.filter(action__startswith="receiver.").order_by("pk").values_list("action", flat=True)
    assert list(actions) == ["receiver.created", "receiver.changed", "receiver.deleted"]


def test_a_secret_is_shown_once_and_again_when_it_is_another(operator: Caller) -> None:
    made = operator.make()
    path = f"/{made['id']}"
    for shown in (operator.ask("GET", path), operator.ask("GET", "")[0], operator.ask("PATCH", path, {})):
        assert "secret" not in shown
        assert "salt" not in json.dumps(shown)
    rotated = operator.ask("POST", f"{path}/rotate")
    assert rotated["secret"] not in ("", made["secret"])
    assert rotated["previous_until_at"] is not None


def test_the_path_of_a_url_is_for_whoever_may_change_it(operator: Caller) -> None:
    made = operator.make()
    reader, administrator = Caller("read"), Caller("admin")
    assert reader.ask("GET", f"/{made['id']}")["address"] == "https://hooks.example.org/"
    assert reader.ask("GET", "")[0]["address"] == "https://hooks.example.org/"
    told_of_all = administrator.make(administration=True)
    assert operator.ask("GET", f"/{told_of_all['id']}")["address"] == "https://hooks.example.org/"
    assert administrator.ask("GET", f"/{told_of_all['id']}")["address"] == URL


def test_administration_is_for_administrators(operator: Caller) -> None:
    operator.ask("POST", "", {**BODY, "administration": True}, 403)
    mine = operator.make()
    operator.ask("PATCH", f"/{mine['id']}", {"administration": True}, 403)
    theirs = Caller("admin").make(administration=True)
    for method, path, body in (
        ("PATCH", "", {"address": "https://evil.example.org/"}),
        ("PATCH", "", {"administration": False}),
        ("DELETE", "", None),
        ("POST", "/test", None),
        ("POST", "/rotate", None),
    ):
        operator.ask(method, f"/{theirs['id']}{path}", body, 403)
    assert Receiver.objects.get(pk=theirs["id"]).address == URL


def test_one_of_all_teams_needs_the_scope_in_all(operator: Caller) -> None:
    everywhere = Caller("read", "manage", team=None)
    operator.ask("POST", "", {**BODY, "team": None}, 403)
    of_all = everywhere.make(team=None)
    assert of_all["team"] is None
    assert everywhere.make()["team"] == "default"
    assert everywhere.make(team="default")["team"] == "default"
    assert len(everywhere.ask("GET", "")) == 3
    assert len(operator.ask("GET", "")) == 2
    operator.ask("GET", f"/{of_all['id']}", status=404)


def test_another_teams_does_not_exist(operator: Caller) -> None:
    teams.create("rivals", {}, actor="tests")
    theirs = Caller("read", "manage", team="rivals").make()
    assert operator.ask("GET", "") == []
    assert operator.ask("GET", "?team=rivals") == []
    for method, path in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/test"), ("POST", "/rotate")):
        operator.ask(method, f"/{theirs['id']}{path}", status=404)
    operator.ask("GET", f"/{theirs['id']}/deliveries", status=404)
    operator.ask("POST", "", {**BODY, "team": "rivals"}, 404)


def test_an_endpoints_receiver_is_of_its_team_and_for_keys_of_that_endpoint(operator: Caller) -> None:
    team = Team.objects.get(name="default")
    wine, corn = (endpoints.create(name, team, actor="tests") for name in ("wine", "corn"))
    made = operator.make(endpoint="wine")
    assert (made["endpoint"], made["team"]) == ("wine", "default")
    operator.make(endpoint="corn")
    operator.make()
    bound = Caller("read", "manage", endpoint_ids=[wine.pk])
    assert [one["endpoint"] for one in bound.ask("GET", "")] == ["wine"]
    assert bound.make(endpoint="wine")["endpoint"] == "wine"
    bound.ask("POST", "", {**BODY, "endpoint": "corn"}, 404)
    bound.ask("POST", "", BODY, 403)
    bound.ask("POST", "", {**BODY, "team": None}, 403)
    operator.ask("POST", "", {**BODY, "endpoint": "wine", "team": "rivals"}, 422)
    event = happen(endpoint_id=corn.pk, action="abtest.ended")
    payload = json.loads(Delivery.objects.filter(event_id=event.pk)[0].payload)
    assert (payload["endpoint"], payload["team"]) == ("corn", "default")
    assert operator.ask("GET", "?endpoint=wine")[-1]["id"] == made["id"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("address", "http://hooks.example.org/"),
        ("address", "https://127.0.0.1/"),
        ("address", "https://[::1]/"),
        ("address", "https://169.254.169.254/latest/meta-data/"),
        ("address", "https://user:password@hooks.example.org/"),
        ("address", "nobody"),
        ("address", 7),
        ("events", []),
        ("events", ["no.such"]),
        ("events", "abtest.ended"),
        ("events", ["*"] * 51),
        ("kind", "pigeon"),
        ("kind", "email"),
        ("salt", "0" * 64),
        ("team", "no-such"),
        ("is_active", "perhaps"),
    ],
)
def test_what_makes_no_receiver_is_refused(operator: Caller, field: str, value: Any) -> None:
    operator.ask("POST", "", {**BODY, field: value}, 404 if field == "team" else 422)
    assert not Receiver.objects.exists()
    if field not in ("kind", "team"):
        made = operator.make()
        operator.ask("PATCH", f"/{made['id']}", {field: value}, 422)


def test_a_test_arrives_and_its_delivery_says_so(operator: Caller, listener: Any) -> None:
    made = operator.make(address=listener.url)
    delivery = operator.ask("POST", f"/{made['id']}/test", status=201)
    assert (delivery["type"], delivery["state"], delivery["receiver"]) == ("receiver.test", "queued", made["id"])
    Worker(Clock()).step(Receiver.objects.get(pk=made["id"]))
    assert listener.received[0].headers["webhook-id"] == delivery["uid"]
    assert json.loads(listener.bodies[0])["type"] == "receiver.test"
    (now,) = operator.ask("GET", f"/{made['id']}/deliveries?state=delivered&type=receiver.test")
    assert (now["uid"], now["attempts"], now["last_status"], now["last_error"]) == (delivery["uid"], 1, 204, "")
    assert operator.ask("GET", f"/{made['id']}/deliveries?state=queued") == []
    operator.ask("GET", f"/{made['id']}/deliveries?state=lost", status=422)
    operator.ask("GET", f"/{made['id']}/deliveries?nothing=1", status=400)
    assert "payload" not in now


def test_a_delivery_is_sent_again_when_somebody_says_so(operator: Caller, listener: Any) -> None:
    made = operator.make(address=listener.url)
    delivery = operator.ask("POST", f"/{made['id']}/test", status=201)
    path = f"/{made['id']}/deliveries/{delivery['uid']}/retry"
    # It is on its way.
    assert operator.ask("POST", path) == delivery
    receiver, worker = Receiver.objects.get(pk=made["id"]), Worker(Clock())
    worker.step(receiver)
    assert operator.ask("POST", path)["state"] == "queued"
    worker.step(receiver)
    assert len({one.headers["webhook-id"] for one in listener.received}) == 1
    assert len(listener.received) == 2
    assert Event.objects.filter(action="delivery.retried").count() == 1
    other = operator.make(address=listener.url)
    operator.ask("POST", f"/{other['id']}/deliveries/{delivery['uid']}/retry", status=404)
    receivers.change(receiver.pk, {"is_active": False}, actor="tests")
    operator.ask("POST", path, status=409)
    operator.ask("POST", f"/{made['id']}/test", status=409)


def test_deliveries_come_in_pages(operator: Caller, settings: Settings) -> None:
    settings.WEBHOOK_ALLOW = LOOPBACK
    made = operator.make(events=["*"])
    for number in range(5):
        happen(subject=str(number))
    first = operator.ask("GET", f"/{made['id']}/deliveries?limit=2")
    second = operator.ask("GET", f"/{made['id']}/deliveries?limit=10&before={first[-1]['id']}")
    assert [one["id"] for one in [*first, *second]] == sorted((one["id"] for one in [*first, *second]), reverse=True)
    assert len({one["id"] for one in [*first, *second]}) == 5


def test_an_email_has_no_secret(operator: Caller, settings: Settings) -> None:
    from ml_pipeline.server import readers

    settings.EMAIL_SERVER = readers.mail_server("smtp://127.0.0.1:9?tls=0")
    made = operator.make(kind="email", address="ops@example.org")
    assert made["secret"] is None
    operator.ask("POST", f"/{made['id']}/rotate", status=409)


def test_the_same_again_is_no_event(operator: Caller) -> None:
    made = operator.make()
    before = Event.objects.count()
    operator.ask("PATCH", f"/{made['id']}", {"events": ["abtest.*"], "address": URL})
    assert Event.objects.count() == before
    assert told.team() == Receiver.objects.get(pk=made["id"]).team_id
