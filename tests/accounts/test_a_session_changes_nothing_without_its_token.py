"""A page of somebody else's, opened in a browser with a session, changes nothing; and reading never does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import two_teams
from homes import Home
from operations import OPERATIONS
from servers import Server
from two_teams import OURS, Actor

NAMES = {**OURS, "key": 1, "request": two_teams.THEIRS["request"]}
# A session cannot ask for predictions, and so for none without a token.
WRITING = [one for one in OPERATIONS if one.method != "GET" and one.scope != "predict"]

# Routes that read multipart forms, and the field of their file.
FORMS = {"/mlalgorithms": "artifact", "/batches/feedback": "file"}


@pytest.fixture(scope="module")
def actor(two_teams_server: Server) -> Iterator[Actor]:
    one = two_teams.of_person(two_teams_server, "vera-administrator")
    yield one
    one.client.close()


@pytest.mark.parametrize("kind", ["json", "data"])
def test_every_change_needs_the_token_of_a_page_of_ours(actor: Actor, module_home: Home, kind: str) -> None:
    token = actor.client.headers.pop("X-CSRFToken")
    before = two_teams.rows(module_home)
    for one in WRITING:
        body = one.content(NAMES) if isinstance(one.body, dict) else None
        content = {"files": {FORMS[one.path]: ("a file", b"x")}} if one.path in FORMS else {kind: body}
        reply = actor.client.request(one.method, one.address(NAMES), **content)
        assert (reply.status_code, "CSRF" in reply.text) == (403, True), (one, reply.text)
        # Nor does a name for another method help.
        for name in ("X-HTTP-Method-Override", "X-Method-Override"):
            actor.client.get(one.address(NAMES), headers={name: one.method})
            actor.client.get(one.address(NAMES), params={"_method": one.method})
    actor.client.headers["X-CSRFToken"] = token
    assert two_teams.rows(module_home) == before


def test_a_token_from_elsewhere_is_none(actor: Actor, module_home: Home) -> None:
    before = two_teams.rows(module_home)
    headers = {"X-CSRFToken": "a" * 64}
    for one in WRITING:
        assert actor.client.request(one.method, one.address(NAMES), headers=headers).status_code == 403
    assert two_teams.rows(module_home) == before


def test_reading_changes_nothing(actor: Actor, module_home: Home) -> None:
    before = two_teams.rows(module_home)
    for one in OPERATIONS:
        for method in ("GET", "HEAD", "OPTIONS"):
            for accept in ("application/json", "text/html"):
                actor.client.request(method, one.address(NAMES), headers={"Accept": accept})
    assert two_teams.rows(module_home) == before
