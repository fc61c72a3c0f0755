"""Mass assignment: every field of every model is sent to every operation that writes; only writable ones change."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import two_teams
from django.apps import apps
from homes import Home
from operations import OPERATIONS, Operation
from people import PERSON
from servers import Server
from two_teams import OURS

STRANGE = 987_654_321
# What each operation may be sent, beside what its body in the table has.
WRITABLE = {
    "/endpoints": {"name", "team", "owner", "description"},
    "/endpoints/{endpoint}": {"owner", "description", "settings"},
    "/teams": {"name", "description", "requests_per_s", "rows_per_day"},
    "/teams/{team}": {"description", "requests_per_s", "rows_per_day"},
    "/keys": {"name", "scopes", "team", "endpoints", "owner", "expires_at", "requests_per_s", "rows_per_day"},
    "/keys/{key}": {"requests_per_s", "rows_per_day"},
    "/abtests": {
        *("title", "parent_mlalgorithm_1", "parent_mlalgorithm_2", "arms", "metric", "cap", "low", "high", "alpha"),
        *("harm_alpha", "margin", "min_labels", "max_labels", "min_time_s", "max_time_s", "guardrails", "promotes"),
    },
    "/abtests/{abtest}/selftest": {"replays", "seed"},
    "/abtests/{abtest}/stop": {"reason"},
    "/stop_ab_test/{abtest}": {"reason"},
    "/mlalgorithmstatuses": {"parent_mlalgorithm", "status", "reason"},
    "/endpoints/{endpoint}/aliases/{alias}": {"parent_mlalgorithm"},
    "/endpoints/{endpoint}/rollback": {"reason"},
    "/mlalgorithms/{algorithm}/archive": {"reason"},
    "/mlalgorithms/{algorithm}/tags/{tag}": {"value"},
    "/mlrequests/{request}": {"feedback"},
    "/batches/feedback/{feedback_file}/cancel": set(),
    "/teams/{team}/members/{username}": {"role"},
    "/receivers": {
        *("kind", "address", "events", "team", "endpoint", "administration", "description", "is_active"),
    },
    "/receivers/{receiver}": {"address", "events", "administration", "description", "is_active"},
    "/alertrules": {
        *("endpoint", "name", "measure", "condition", "threshold", "recovers_at", "window_hours", "min_rows"),
        *("beyond_chance", "is_active", "feature", "label", "algorithm", "version"),
    },
    "/alertrules/{alertrule}": {
        *("threshold", "recovers_at", "window_hours", "min_rows", "beyond_chance", "is_active"),
    },
    "/receivers/{receiver}/test": set(),
    "/receivers/{receiver}/rotate": set(),
    "/receivers/{receiver}/deliveries/{delivery}/retry": set(),
}


@pytest.fixture(scope="module")
def server(module_home: Home) -> Iterator[Server]:
    two_teams.make(module_home)
    one = Server("asgi", module_home, {}).start()
    yield one
    one.stop()


def every_field() -> set[str]:
    """The names, and attributes, of every field of every model."""
    fields = [field for model in apps.get_models() for field in model._meta.get_fields()]
    return {name for field in fields for name in (field.name, getattr(field, "attname", field.name))}


def ours(client: httpx.Client, server: Server) -> dict[str, Any]:
    with server.client("predict") as predictor:
        request_id = predictor.post(f"/api/v1/{OURS['endpoint']}/predict", json=PERSON).json()["request_id"]
    key = client.post("/api/v1/keys", json={"name": f"key-{request_id}", "scopes": ["read"]}).json()["id"]
    return {**OURS, "request": request_id, "key": key}


WRITING = [one for one in OPERATIONS if one.path in WRITABLE and one.method in ("POST", "PUT", "PATCH")]


def test_every_operation_that_writes_fields_is_tried() -> None:
    elsewhere = {"/mlrequests/feedback", "/batches/feedback", "/mlalgorithms", "/keys/{key}/revoke"}
    writing = {one.path for one in OPERATIONS if one.method in ("POST", "PUT", "PATCH") and one.scope != "predict"}
    assert writing == set(WRITABLE) | elsewhere


@pytest.mark.parametrize("operation", WRITING, ids=lambda one: f"{one.method} {one.path}")
def test_a_field_that_is_not_writable_is_refused_or_ignored(server: Server, operation: Operation) -> None:
    with server.client("admin") as client:
        names = ours(client, server)
        for field in sorted(every_field() - WRITABLE[operation.path]):
            body = {**operation.content(names), field: STRANGE}
            if operation.path in ("/endpoints", "/teams", "/keys"):
                body["name"] = f"made-{field.replace('_', '-')}"[:40].rstrip("-").lower()
            reply = client.request(operation.method, operation.address(names), json=body)
            assert reply.status_code in (200, 201, 409, 422), (field, reply.text)
            if reply.status_code == 422:
                assert field in reply.text
    # Wherever it could have gone, it is nowhere, as a number or within a text.
    assert str(STRANGE) not in "".join(two_teams.rows(server.home))
