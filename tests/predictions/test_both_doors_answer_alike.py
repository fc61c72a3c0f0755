"""One table of requests against both doors on one database: the replies are equal, byte for byte but for their ids."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx
import pytest
from homes import ENDPOINT, Home
from people import PERSON
from servers import Server
from test_errors_have_one_shape_behind_both_doors import CASES, Case, send

PREDICT = f"/api/v1/{ENDPOINT}/predict"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
ID = re.compile(rb"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# What a server says of itself and of the connection.
OWN = {"server", "date", "connection", "transfer-encoding"}


class Doors(NamedTuple):
    asgi: Server
    wsgi: Server


ANSWERED = [
    Case("a row", 200, "", "POST", PREDICT, json.dumps(PERSON)),
    Case("spaces and another order", 200, "", "POST", PREDICT, json.dumps(dict(reversed(PERSON.items())), indent=3)),
    Case("escapes", 200, "", "POST", PREDICT, json.dumps(PERSON).replace("sex", "\\u0073ex")),
    Case("a whole number with a fraction", 200, "", "POST", PREDICT, json.dumps({**PERSON, "age": 39.0})),
    Case("missing values", 200, "", "POST", PREDICT, '{"age": null, "workclass": "", "sex": "Male"}'),
    Case("letters of any kind", 200, "", "POST", PREDICT, json.dumps({"race": "Ünïcode ☃ 😀"}, ensure_ascii=False)),
    Case("a list", 200, "", "POST", PREDICT, json.dumps([PERSON] * 3)),
    Case("a long list", 200, "", "POST", PREDICT, json.dumps([PERSON] * 2_000)),
    Case("a form", 200, "", "POST", PREDICT, "age=39&sex=Male&hours-per-week=40", FORM),
    Case("no type", 200, "", "POST", PREDICT, json.dumps(PERSON), {"Content-Type": ""}),
    Case("probabilities", 200, "", "POST", PREDICT + "?probabilities=1&unit=ann", json.dumps(PERSON)),
    Case("by version", 200, "", "POST", PREDICT + "?algorithm=extra_trees&version=0.0.1", json.dumps(PERSON)),
    Case("alive", 200, "", "GET", "/healthz"),
    Case("alive, without a body", 200, "", "HEAD", "/healthz"),
]
# The others need algorithms that this home has not.
COMPARED = [case for case in CASES if "strange" not in case.path and case.name != "the bundle was corrupted"]


@pytest.fixture(scope="module")
def doors(module_home: Home) -> Iterator[Doors]:
    asgi, wsgi = Server("asgi", module_home, {}).start(), Server("wsgi", module_home, {}).start()
    yield Doors(asgi, wsgi)
    asgi.stop()
    wsgi.stop()


def compared(reply: httpx.Response) -> tuple[int, bytes, dict[str, str]]:
    headers = {name: value for name, value in reply.headers.items() if name not in OWN}
    # Each request has its own.
    headers |= {"x-request-id": "an id"} if "x-request-id" in headers else {}
    return reply.status_code, ID.sub(b"an id", reply.content), headers


@pytest.mark.parametrize("case", [*ANSWERED, *COMPARED], ids=lambda case: case.name)
def test_the_replies_are_equal(doors: Doors, case: Case) -> None:
    asgi, wsgi = (compared(send(server, case)) for server in doors)
    assert asgi == wsgi
    assert case.code or asgi[0] == 200, asgi


def told(doors: Doors, body: bytes, **headers: str) -> list[tuple[int, bytes, dict[str, str]]]:
    """What each door replies to feedback on a request of its own."""
    replies = []
    for server in doors:
        request_id = server.predict(PERSON).json()["request_id"]
        with server.client("feedback") as client:
            path = f"/api/v1/mlrequests/{request_id}"
            sent = {"Content-Type": "application/json", **headers}
            replies += [compared(client.put(path, content=body, headers=sent)) for _ in range(2)]
    return replies


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b'{"feedback": ">50K"}', {}, 200),
        (b'{"feedback": ">50K"}'.ljust(10_001), {}, 200),
        (b"feedback=%3E50K", FORM, 200),
        (b'{"feedback": "perhaps"}', {}, 422),
        (b'{"feedback": ">50K", "more": 1}', {}, 422),
        (b"{}", {}, 422),
        (b"[1]", {}, 422),
        (b'{"feedback": NaN}', {}, 400),
        # Django alone looks at the host, so this is judged by it: a long body is never read where others wait.
        (b'{"feedback": ">50K"}'.ljust(10_001), {"Host": "evil.example"}, 400),
        (b"<a/>", {"Content-Type": "text/xml"}, 415),
    ],
)
def test_feedback_is_answered_alike(doors: Doors, body: bytes, headers: dict[str, Any], status: int) -> None:
    first, again, *others = told(doors, body, **headers)
    assert [first, again] == others
    assert (first[0], again[0]) == (status, status)
    if status == 200:
        assert [json.loads(one[1])["status"] for one in (first, again)] == ["accepted", "unchanged"]
