"""A home with two teams: the income classifier is `default`'s; what is `rivals`' has names and ids of its own."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from typing import Any, NamedTuple

import httpx
from homes import ENDPOINT, Home
from operations import Operation
from people import PERSON
from servers import Server
from sessions import token

ROLES = ("viewer", "operator", "administrator")
PASSWORD = "correct horse battery staple"
# Names and ids of what is theirs. None of them may be in what others see.
THEIRS = {
    "endpoint": "rivals_wine",
    "endpoint_id": 7_100_001,
    "algorithm": 7_200_001,
    "step": 7_300_001,
    "alias": "rivals-alias",
    "tag": "rivals-tag",
    "key": 7_400_001,
    "team": "rivals",
    "username": "rita-of-rivals",
    "request": "07000005-0000-7000-8000-000000000000",
    "archived": 7_200_002,
    "abtest": 7_500_001,
    "batch": 7_600_001,
    "feedback_file": 7_700_001,
    "receiver": 7_800_001,
    "delivery": "07800002-0000-4000-8000-000000000000",
    "delivery_id": 7_800_003,
    **{"window": 7_900_001, "alertrule": 7_900_002, "alert": 7_900_003},
}
# What no reply to others may have in it: every name and id of theirs but the ids' digits, which are long enough.
MARKS = re.compile(
    "rivals|7100001|7200001|7300001|7400001|7500001|7600001|7700001|780000[1-3]|790000[1-3]|7200002|07000005",
    re.IGNORECASE,
)
# Of the same kind, and of nobody.
NOBODYS = {
    "endpoint": "nobody_wine",
    "endpoint_id": 8_000_001,
    "algorithm": 8_000_002,
    "step": 8_000_003,
    "alias": "nobody-alias",
    "tag": "nobody-tag",
    "key": 8_000_004,
    "team": "nobody",
    "username": "rita-of-nobody",
    "request": "08000005-0000-7000-8000-000000000000",
    "archived": 8_000_006,
    "abtest": 8_000_005,
    "batch": 8_000_007,
    "feedback_file": 8_000_008,
    "receiver": 8_000_009,
    "delivery": "08000010-0000-4000-8000-000000000000",
    "delivery_id": 8_000_011,
    **{"window": 8_000_012, "alertrule": 8_000_013, "alert": 8_000_014},
}
OURS = {
    "endpoint": ENDPOINT,
    "endpoint_id": 1,
    "algorithm": 1,
    "step": 1,
    "alias": "candidate",
    "tag": "review",
    "team": "default",
    "username": "vera-viewer",
    "archived": 6_200_001,
    "abtest": 6_500_001,
    "batch": 6_600_001,
    "feedback_file": 6_700_001,
    "receiver": 6_800_001,
    "delivery": "06800002-0000-4000-8000-000000000000",
    "delivery_id": 6_800_003,
    **{"window": 6_900_001, "alertrule": 6_900_002, "alert": 6_900_003},
}

# `filled(names, team, word, actor)` is an endpoint of that team with one of each thing that belongs to one, made by the
# actor; what people would write is marked by the word.
FILLED = f"""
import django, json
from uuid import UUID
django.setup()
from django.utils import timezone
from ml_pipeline.apps.abtests.models import ABTest, Arm
from ml_pipeline.apps.accounts import keys
from ml_pipeline.apps.accounts.models import Team
from ml_pipeline.apps.batches.models import BatchJob, FeedbackFile
from ml_pipeline.apps.endpoints import aliases, statuses, tags
from ml_pipeline.apps.endpoints.models import Endpoint, MLAlgorithm, MLAlgorithmStatus, MLRequest
from ml_pipeline.apps.events.models import Delivery, Receiver
from ml_pipeline.apps.monitoring.models import Alarm, Alert, AlertRule, DriftTest, Window
from ml_pipeline.stats.courses import Course
from ml_pipeline.stats.plans import Plan

def archived(pk, one, name, actor):
    one.pk, one._state.adding, one.name = pk, True, name
    one.save()
    statuses.begin(one, actor=actor, reason="")
    statuses.archive(one, actor=actor)
    return one

def ended(pk, endpoint, title, arms, actor):
    test = ABTest.objects.create(
        pk=pk, title=title, parent_endpoint=endpoint, state="finished", result="stayed", created_by=actor,
        created_at=timezone.now(), ended_at=timezone.now(),
        metric={{"name": "accuracy", "cap": None, "low": None, "high": None}},
        plan={{**dict.fromkeys(("alpha", "harm_alpha"), 0.05), **dict.fromkeys(("margin", "min_time_s"), 0.0),
              "min_labels": 0, "max_labels": None, "max_time_s": None, "weights": [1, 1], "guardrails": []}},
        promotes=True, salt="00" * 32, course=Course(Plan()).state())
    for number, arm in enumerate(arms):
        Arm.objects.create(test=test, number=number, parent_mlalgorithm=arm, weight=1)

def queued(pk, algorithm, word, actor):
    BatchJob.objects.create(
        pk=pk, uid=UUID(int=pk), parent_endpoint=algorithm.parent_endpoint, parent_mlalgorithm=algorithm,
        digest=algorithm.artifact_digest, runtime="onnx", created_by=actor, created_at=timezone.now(),
        file_name=word + ".csv", input_bytes=1, input_format="csv", output_format="csv", probabilities=False,
        log_requests=True)

def sent(pk, endpoint, word, actor):
    FeedbackFile.objects.create(
        pk=pk, uid=UUID(int=pk), parent_endpoint=endpoint, created_by=actor, created_at=timezone.now(),
        file_name=word + ".csv", input_bytes=1)

def told(names, endpoint, word, actor):
    Receiver.objects.create(
        pk=names["receiver"], team_id=endpoint.team_id, endpoint_id=endpoint.pk, kind="webhook",
        address="https://" + word + ".example.org/", events=["receiver.deactivated"], salt="00" * 32, created_by=actor,
        created_at=timezone.now())
    Delivery.objects.create(
        pk=names["delivery_id"], uid=names["delivery"], receiver_id=names["receiver"], event_id=names["receiver"],
        action="tag.put", payload=word, created_at=timezone.now(), asked_at=timezone.now())

def folded(pk, algorithm, word):
    of_this = {{"pk": pk, "parent_mlalgorithm": algorithm}}
    now = timezone.now()
    hour = now.replace(minute=0, second=0, microsecond=0)
    texts = {{"traffic": json.dumps({{"errors": {{word: 1}}, "latencies": None}}), "performance": "{{}}",
             "features": json.dumps({{"features": {{}}, "scores": None, "labels": None}}), "slices": "{{}}"}}
    Window.objects.create(**of_this, hours=1, begins_at=hour, requests=1, errors=1, **texts)
    DriftTest.objects.create(
        **of_this, from_at=hour, to_at=now, rows=500, tested=0, is_alarm=False, created_at=now,
        result=json.dumps({{"features": [], "score": None, "untested": [word], "estimate": None}}))
    Alarm.objects.create(**of_this, kind="drop", labelled=1, accuracy=0.5, of_labels=1, created_at=timezone.now())

def alerted(names, algorithm, word, actor):
    about = {{"name": word, "measure": "requests", "condition": "below", "threshold": 1.0}}
    about["parent_endpoint"] = algorithm.parent_endpoint
    rule = AlertRule.objects.create(
        pk=names["alertrule"], **about, window_hours=1, min_rows=0, created_by=actor, created_at=timezone.now(),
        standing=json.dumps([{{"algorithm": word}}]))
    seen = {{"value": 0.0, "rows": 0, "worst": 0.0, "opened_at": timezone.now()}}
    Alert.objects.create(pk=names["alert"], **about, **seen, rule=rule, parent_mlalgorithm=algorithm)

def filled(names, team, word, actor):
    endpoint = Endpoint(pk=names["endpoint_id"], team=team, name=names["endpoint"], created_at=timezone.now())
    endpoint.save(force_insert=True)
    row = MLAlgorithm.objects.get(name="decision_tree", parent_endpoint__name={ENDPOINT!r})
    row.pk, row._state.adding, row.parent_endpoint, row.name = names["algorithm"], True, endpoint, word + "_tree"
    row.save()
    statuses.begin(row, actor=actor, reason=word + " reason")
    statuses.promote(row, actor=actor, reason=word + " reason")
    MLAlgorithmStatus.objects.create(
        pk=names["step"], parent_mlalgorithm=row, status="testing", created_by=actor, created_at=timezone.now())
    aliases.put(endpoint, names["alias"], row, actor=actor)
    tags.put(row, names["tag"], word + " value", actor=actor)
    MLRequest.objects.create(
        pk=names["request"], parent_mlalgorithm=row, outcome="ok", revision=1, batch_id=0, position=0,
        input_data=json.dumps({PERSON!r}), full_response=json.dumps({{"label": word + " answer"}}), response="<=50K",
        latency_us=1, unit=word + " unit", created_at=timezone.now())
    rest = archived(names["archived"], MLAlgorithm.objects.get(pk=row.pk), word + "_archived", actor)
    ended(names["abtest"], endpoint, word + " test", (row, rest), actor)
    queued(names["batch"], row, word, actor)
    sent(names["feedback_file"], endpoint, word, actor)
    told(names, endpoint, word, actor)
    folded(names["window"], row, word)
    alerted(names, row, word, actor)
"""

_MAKE = (
    FILLED
    + f"""
from django.contrib.auth.models import User
from ml_pipeline.apps.accounts import teams
from ml_pipeline.apps.accounts.models import ApiKey
from ml_pipeline.apps.endpoints.models import Feedback
theirs, ours_too, password = {THEIRS!r}, {OURS!r}, {PASSWORD!r}
ours = Team.objects.get(name="default")
rivals = teams.create(theirs["team"], {{}}, actor="tests")
for role in {ROLES!r}:
    User.objects.create_user(f"vera-{{role}}", password=password, is_staff=True)
    teams.put_member(ours, f"vera-{{role}}", role, actor="tests")
User.objects.create_user(theirs["username"], password=password, is_staff=True)
teams.put_member(rivals, theirs["username"], "administrator", actor="tests")
User.objects.create_user("nora-nowhere", password=password, is_staff=True)
filled(theirs, rivals, "rivals", "rita-of-rivals")
aliases.put(Endpoint.objects.get(pk=1), "candidate", MLAlgorithm.objects.get(pk=1), actor="tests")
tags.put(MLAlgorithm.objects.get(pk=1), "review", "", actor="tests")
ours_one = MLAlgorithm.objects.get(pk=1)
ours_rest = archived(ours_too["archived"], MLAlgorithm.objects.get(pk=1), "archived_tree", "tests")
queued(ours_too["batch"], ours_one, "ours", "tests")
sent(ours_too["feedback_file"], ours_one.parent_endpoint, "ours", "tests")
told(ours_too, ours_one.parent_endpoint, "ours", "tests")
alerted(ours_too, ours_one, "ours", "tests")
ended(ours_too["abtest"], ours_one.parent_endpoint, "ours", (ours_one, ours_rest), "tests")
Feedback.objects.create(request_id=theirs["request"], value=">50K", actor="rita-of-rivals", created_at=timezone.now())
made, rivals_key = keys.create("rivals-key", ["admin"], actor="tests", team=rivals)
ApiKey.objects.filter(pk=made.pk).update(id=theirs["key"])
found = {{"rivals": rivals_key}}
for scope in ("predict", "feedback", "read", "manage", "admin"):
    found[scope] = keys.create(f"our-{{scope}}", [scope], actor="tests", team=ours)[1]
found["bound"] = keys.create(
    "our-bound", ["predict", "feedback", "read", "manage"], actor="tests", team=ours, endpoint_ids=[1])[1]
found["bound-elsewhere"] = keys.create(
    "our-bound-elsewhere", ["predict", "feedback", "read", "manage"], actor="tests", endpoint_ids=[999])[1]
print(json.dumps(found))
"""
)


# Written by whoever asks, and by what goes on in the background.
LOGS = {"django_session", "accounts_logintries", "accounts_quotarate", "events_servingprocess", "sqlite_sequence"}
PREDICTIONS = {"endpoints_mlrequest", "predictions_journalbatch"}
SEEN = {"last_used_at", "last_login"}


def rows(home: Home, *leaving_out: str) -> list[str]:
    """Every row of `home` as text, but of LOGS and of tables left out; when somebody was seen is not in it."""
    found = []
    with closing(sqlite3.connect(home.folder / "db.sqlite3", timeout=30)) as database:
        database.row_factory = sqlite3.Row
        for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1").fetchall():
            if table not in LOGS and table not in leaving_out:
                for row in database.execute(f'SELECT * FROM "{table}"'):
                    found.append(f"{table} {[(name, row[name]) for name in row.keys() if name not in SEEN]}")  # noqa: SIM118
    return sorted(found)


class Actor(NamedTuple):
    """Somebody who acts, by a key or with a session, and the scopes that he has in `default`."""

    name: str
    scopes: frozenset[str]
    client: httpx.Client


def make(home: Home) -> dict[str, str]:
    """Both teams are in `home` now; the secrets of the keys that it has then, by name."""
    secrets: dict[str, str] = json.loads(home.python(_MAKE).splitlines()[-1])
    return secrets


def of_key(server: Server, name: str, secret: str, *scopes: str) -> Actor:
    """Whoever holds the key."""
    client = httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {secret}"}, timeout=60)
    return Actor(name, frozenset(scopes), client)


def of_person(server: Server, name: str, *scopes: str) -> Actor:
    """The person, logged in, who sends the token that pages carry."""
    return Actor(name, frozenset(scopes), logged_in(server.url, name))


def logged_in(url: str, name: str) -> httpx.Client:
    """What the person asks the server at `url` with."""
    client = httpx.Client(base_url=url, headers={"Referer": url}, timeout=60)
    reply = client.post("/login", data={"username": name, "password": PASSWORD, **token(client)})
    assert reply.status_code == 302, reply.text
    client.headers["X-CSRFToken"] = client.cookies["csrftoken"]
    return client


def asked(actor: Actor, operation: Operation, names: dict[str, Any], body: Any = None) -> httpx.Response:
    """What the actor is told who does `operation` with what `names` says."""
    content = operation.content(names) if body is None else body
    if operation.path == "/mlalgorithms" and operation.method == "POST":
        files = {"artifact": ("m.onnx", b"x"), **{one: (None, str(value)) for one, value in content.items()}}
        files |= {"name": (None, "m"), "version": (None, "1")}
        return actor.client.post(operation.address(names), files=files)
    if operation.method == "POST" and operation.path in ("/batches", "/batches/feedback", "/batch-predict"):
        form = {one: (None, str(value)) for one, value in content.items()}
        return actor.client.post(operation.address(names), files={"file": ("people.csv", b"age\n39\n"), **form})
    return actor.client.request(operation.method, operation.address(names), json=content)


def as_told(reply: httpx.Response, names: dict[str, Any]) -> tuple[int, str]:
    """Status and body, in which what was asked for has the same name whatever it is called."""
    text = reply.text
    for one in names.values():
        text = text.replace(str(one), "…")
    return reply.status_code, text
