"""Every error that a client can cause: its status, its code, its shape, the same behind both doors."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from homes import ENDPOINT, Home
from people import PERSON
from servers import Server, wait_until
from strange_models import write_strange_bundle

from ml_pipeline.wire import replies

PREDICT = f"/api/v1/{ENDPOINT}/predict"
STRANGE = "/api/v1/strange/predict"
HISTORY = f"/api/v1/endpoints/{ENDPOINT}/history"
JSON = {"Content-Type": "application/json"}
UNKNOWN_ID = "00000000-0000-7000-8000-000000000000"


class Case(NamedTuple):
    name: str
    status: int
    code: str
    method: str
    path: str
    body: Any = None
    headers: dict[str, str] = {}
    scope: str | None = "admin"


def person(**changes: Any) -> str:
    return json.dumps({**PERSON, **changes})


CASES = [
    Case("not JSON", 400, "malformed", "POST", PREDICT, "{"),
    Case("empty body", 400, "malformed", "POST", PREDICT, ""),
    Case("NaN", 400, "malformed", "POST", PREDICT, '{"age": NaN}'),
    Case("number that overflows", 400, "malformed", "POST", PREDICT, '{"age": 1e400}'),
    Case("5,000 digits", 400, "malformed", "POST", PREDICT, '{"age": ' + "9" * 5_000 + "}"),
    Case("duplicate key", 400, "malformed", "POST", PREDICT, '{"age": 1, "age": 2}'),
    Case("lone surrogate", 400, "malformed", "POST", PREDICT, '{"race": "\\ud800"}'),
    Case("NUL", 400, "malformed", "POST", PREDICT, '{"race": "\\u0000"}'),
    Case("nested 10,000 deep", 400, "malformed", "POST", PREDICT, "[" * 10_000 + "]" * 10_000),
    Case("not UTF-8", 400, "malformed", "POST", PREDICT, b'{"race": "\xff"}'),
    Case(
        "bad form", 400, "malformed", "POST", PREDICT, "age=%ff", {"Content-Type": "application/x-www-form-urlencoded"}
    ),
    Case("parameter twice", 400, "malformed", "POST", PREDICT + "?version=1&version=2", person()),
    Case("control plane: not JSON", 400, "malformed", "POST", "/api/v1/endpoints", "{"),
    Case("control plane: NaN", 400, "malformed", "POST", "/api/v1/endpoints", '{"name": NaN}'),
    Case("control plane: bad Host", 400, "malformed", "GET", "/api/v1/endpoints", None, {"Host": "evil.example"}),
    Case("unknown parameter", 400, "unknown_parameter", "POST", PREDICT + "?versoin=1", person()),
    Case("unknown parameter of a write", 400, "unknown_parameter", "POST", "/api/v1/endpoints?a=1", '{"name": "a"}'),
    Case("unknown filter", 400, "unknown_parameter", "GET", "/api/v1/mlrequests?algoritm=1"),
    Case("a health check with much to say", 413, "too_large", "GET", "/healthz", "x" * 2_000, scope=None),
    Case("no key", 401, "unauthenticated", "POST", PREDICT, person(), scope=None),
    Case("wrong key", 401, "unauthenticated", "POST", PREDICT, person(), {"X-Api-Key": "mlp_wrong"}, None),
    Case("not ASCII in the key", 401, "unauthenticated", "POST", PREDICT, person(), {"X-Api-Key": "clé"}, None),
    Case("control plane: no key", 401, "unauthenticated", "GET", "/api/v1/endpoints", scope=None),
    Case(
        "control plane: wrong key", 401, "unauthenticated", "GET", "/api/v1/endpoints", None, {"X-Api-Key": "x"}, None
    ),
    Case("schema without a key", 401, "unauthenticated", "GET", "/api/schema", scope=None),
    Case("read key predicts", 403, "forbidden", "POST", PREDICT, person(), scope="read"),
    Case("predict key reads the log", 403, "forbidden", "GET", "/api/v1/mlrequests", scope="predict"),
    Case("read key promotes", 403, "forbidden", "POST", "/api/v1/mlalgorithmstatuses", "{}", scope="read"),
    Case("read key gives feedback", 403, "forbidden", "PUT", f"/api/v1/mlrequests/{UNKNOWN_ID}", "{}", scope="read"),
    Case("unknown endpoint", 404, "not_found", "POST", "/api/v1/nothing/predict", person()),
    Case("unknown version", 404, "not_found", "POST", PREDICT + "?version=9", person()),
    Case("nothing in that status", 404, "not_found", "POST", PREDICT + "?status=archived", person()),
    Case("reserved name", 404, "not_found", "POST", "/api/v1/mlrequests/predict", person()),
    Case("unknown address", 404, "not_found", "GET", "/nothing/here"),
    Case("unknown endpoint's history", 404, "not_found", "GET", "/api/v1/endpoints/nothing/history"),
    Case("unknown request", 404, "not_found", "GET", f"/api/v1/mlrequests/{UNKNOWN_ID}"),
    Case(
        "feedback on an unknown request", 404, "not_found", "PUT", f"/api/v1/mlrequests/{UNKNOWN_ID}", '{"feedback": 1}'
    ),
    Case("unknown algorithm", 404, "not_found", "GET", "/api/v1/mlalgorithms/999999999999999999"),
    Case("GET on predict", 405, "method_not_allowed", "GET", PREDICT),
    Case("DELETE on the log", 405, "method_not_allowed", "DELETE", "/api/v1/mlrequests"),
    Case("PUT on an algorithm", 405, "method_not_allowed", "PUT", "/api/v1/mlalgorithms/1", "{}"),
    Case("POST on health", 405, "method_not_allowed", "POST", "/healthz"),
    Case("endpoint exists", 409, "conflict", "POST", "/api/v1/endpoints", f'{{"name": "{ENDPOINT}"}}'),
    Case("endpoint in use", 409, "conflict", "DELETE", f"/api/v1/endpoints/{ENDPOINT}"),
    Case("nothing to roll back to", 409, "conflict", "POST", f"/api/v1/endpoints/{ENDPOINT}/rollback", "{}"),
    Case(
        "ab_testing by hand",
        409,
        "conflict",
        "POST",
        "/api/v1/mlalgorithmstatuses",
        '{"parent_mlalgorithm": 1, "status": "ab_testing"}',
    ),
    Case("several fit", 409, "ambiguous", "POST", PREDICT + "?status=testing", person()),
    Case("30 MB", 413, "too_large", "POST", PREDICT, b" " * 30_000_000),
    Case("control plane: 30 MB", 413, "too_large", "POST", "/api/v1/endpoints", b" " * 30_000_000),
    Case("XML", 415, "unsupported_media_type", "POST", PREDICT, "<a/>", {"Content-Type": "application/xml"}),
    Case(
        "latin-1",
        415,
        "unsupported_media_type",
        "POST",
        PREDICT,
        "{}",
        {"Content-Type": "application/json; charset=latin-1"},
    ),
    Case("gzip", 415, "unsupported_media_type", "POST", PREDICT, "x", {**JSON, "Content-Encoding": "gzip"}),
    Case(
        "control plane: XML",
        415,
        "unsupported_media_type",
        "POST",
        "/api/v1/endpoints",
        "<a/>",
        {"Content-Type": "text/xml"},
    ),
    Case("text for a number", 422, "invalid_input", "POST", PREDICT, person(age="old")),
    Case("unknown feature", 422, "invalid_input", "POST", PREDICT, person(shoe=42)),
    Case("a number for a row", 422, "invalid_input", "POST", PREDICT, "5"),
    Case("no rows", 422, "invalid_input", "POST", PREDICT, "[]"),
    Case("10,001 rows", 422, "invalid_input", "POST", PREDICT, json.dumps([{}] * 10_001)),
    Case("unknown status", 422, "invalid_input", "POST", PREDICT + "?status=live", person()),
    Case("unit too long", 422, "invalid_input", "POST", PREDICT + "?unit=" + "u" * 256, person()),
    Case("bad endpoint name", 422, "invalid_input", "POST", "/api/v1/endpoints", '{"name": "Über"}'),
    Case("reserved endpoint name", 422, "invalid_input", "POST", "/api/v1/endpoints", '{"name": "mlrequests"}'),
    Case("no name", 422, "invalid_input", "POST", "/api/v1/endpoints", "{}"),
    Case("unknown field", 422, "invalid_input", "POST", "/api/v1/endpoints", '{"name": "a", "onwer": "b"}'),
    Case("limit too high", 422, "invalid_input", "GET", "/api/v1/mlrequests?limit=1001"),
    Case("bad page", 422, "invalid_input", "GET", "/api/v1/mlrequests?before=yesterday"),
    Case("time before time", 422, "invalid_input", "GET", HISTORY + "?at=0001-01-01T00:00:00%2B14:00"),
    Case("time after time", 422, "invalid_input", "GET", HISTORY + "?at=9999-12-31T23:59:59-14:00"),
    Case("bad time", 422, "invalid_input", "GET", f"/api/v1/endpoints/{ENDPOINT}/history?at=noon"),
    Case(
        "unknown algorithm in a body",
        422,
        "invalid_input",
        "POST",
        "/api/v1/mlalgorithmstatuses",
        '{"parent_mlalgorithm": 999, "status": "production"}',
    ),
    Case("the algorithm raises", 500, "internal", "POST", STRANGE, '{"order": "raise"}'),
    Case("the algorithm returns NaN", 500, "internal", "POST", STRANGE, '{"order": "nan"}'),
    Case("the bundle was corrupted", 503, "not_ready", "POST", PREDICT + "?algorithm=decision_tree", person()),
]


@pytest.fixture(scope="module")
def strange_home(prepared_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Two algorithms in testing, one of them corrupted, and a model that misbehaves on request."""
    home = prepared_home.copy(tmp_path_factory.mktemp("strange") / "home")
    bundle = write_strange_bundle(tmp_path_factory.mktemp("bundle") / "strange")
    home.manage("register", str(bundle), "--endpoint", "strange", "--version", "1")
    home.python(
        """
import django
django.setup()
from django.conf import settings
from ml_pipeline.apps.endpoints import statuses
from ml_pipeline.apps.endpoints.models import MLAlgorithm
statuses.promote(MLAlgorithm.objects.get(name="strange"), actor="tests")
tree = MLAlgorithm.objects.get(name="decision_tree")
statuses.move(tree, "testing", actor="tests")
path = settings.HOME / "artifacts" / "bundles" / f"{tree.artifact_digest}.zip"
content = bytearray(path.read_bytes())
content[len(content) // 2] ^= 1
path.write_bytes(content)
"""
    )
    return home


@pytest.fixture(scope="module", params=["asgi", "wsgi"])
def server(request: pytest.FixtureRequest, strange_home: Home) -> Iterator[Server]:
    server = Server(request.param, strange_home, {"ML_PIPELINE_QUEUE_ROWS": "2"}).start()
    yield server
    server.stop()


def send(server: Server, case: Case) -> httpx.Response:
    headers = {**(JSON if case.body is not None else {}), **case.headers}
    with server.client(case.scope) as client:
        return client.request(
            case.method,
            case.path,
            content=case.body,
            headers=[(name.encode(), value.encode("utf-8")) for name, value in headers.items()],
        )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_error_is_what_the_table_says(server: Server, case: Case) -> None:
    reply = send(server, case)
    assert (reply.status_code, reply.headers["content-type"]) == (case.status, "application/json"), reply.text
    document = reply.json()
    assert set(document) == {"error"}
    assert set(document["error"]) == {"code", "message", "details"}
    assert document["error"]["code"] == case.code, document
    assert document["error"]["message"]
    assert ("retry-after" in reply.headers) == (case.status == 503)
    assert "allow" in reply.headers or case.status != 405
    assert ("www-authenticate" in reply.headers) == (case.status == 401)


def test_nothing_internal_is_told_of_a_failing_algorithm(server: Server) -> None:
    reply = send(server, next(case for case in CASES if case.name == "the algorithm raises"))
    assert "hunter2" not in reply.text
    assert "Traceback" not in reply.text
    request_id = reply.json()["error"]["details"]["request_id"]
    with server.client("read") as client:
        logged = client.get(f"/api/v1/mlrequests/{request_id}").json()
    assert (logged["outcome"], logged["response"], logged["input_data"]) == ("internal", None, {"order": "raise"})
    assert request_id in server.log


def test_complaints_name_row_and_field_and_nothing_is_logged(server: Server) -> None:
    rows = [PERSON, {**PERSON, "age": "old", "sex": 1}]
    with server.client() as client:
        before = client.get("/api/v1/mlrequests?limit=1").json()
        reply = client.post(PREDICT, json=rows)
        after = client.get("/api/v1/mlrequests?limit=1").json()
    complaints = reply.json()["error"]["details"]
    assert [(one["row"], one["field"]) for one in complaints] == [(1, "age"), (1, "sex")]
    assert complaints[0]["got"] == '"old"'
    assert before == after


def test_a_full_queue_sheds_and_the_rest_is_answered(server: Server, tmp_path: Path) -> None:
    gate = tmp_path / f"gate-{server.door}"

    def ask(*orders: str) -> httpx.Response:
        with server.client("predict") as client:
            return client.post(STRANGE, json=[{"order": order} for order in orders])

    def rows_under_way() -> int:
        with server.client(None) as client:
            return int(client.get("/readyz").json()["queue"]["rows"])

    with ThreadPoolExecutor(3) as pool:
        waiting = pool.submit(ask, f"wait {gate}", "fine")
        wait_until(lambda: rows_under_way() == 2)
        # Behind WSGI one of them may wait for its turn.
        others = [pool.submit(ask, "fine") for _ in range(2)]
        wait_until(lambda: any(other.done() for other in others))
        shed = next(other.result() for other in others if other.done())
        # Each algorithm has a queue of its own.
        neighbour = server.predict(PERSON)
        gate.touch()
        answered = waiting.result()
    assert (shed.status_code, shed.json()["error"]["code"]) == (503, "overloaded")
    assert shed.headers["retry-after"] == "1"
    assert neighbour.status_code == 200
    assert (answered.status_code, len(answered.json())) == (200, 2)


def test_what_cannot_be_logged_is_not_answered(server: Server) -> None:
    database = sqlite3.connect(server.home.folder / "db.sqlite3")
    database.execute("ALTER TABLE endpoints_mlrequest RENAME TO hidden")
    try:
        refused = server.predict(PERSON)
    finally:
        database.execute("ALTER TABLE hidden RENAME TO endpoints_mlrequest")
        database.close()
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "journal_unavailable")
    assert server.predict(PERSON).status_code == 200


def test_the_table_covers_every_code_that_exists() -> None:
    tested = {case.code for case in CASES} | {"overloaded", "journal_unavailable"}
    # Uploads that are refused, algorithms that are late and passwords that are guessed have tests of their own.
    apart = {"invalid_artifact", "deadline_exceeded", "quota_exceeded"}
    assert {reply.code for reply in replies.TABLE.values()} - tested == apart
