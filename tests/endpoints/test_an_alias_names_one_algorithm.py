"""Aliases: set, moved and removed; what they refuse; that the data plane is told of each change."""

from __future__ import annotations

import pytest
from django.test import Client
from registered import OPERATOR, algorithm, team

from ml_pipeline.apps.accounts import keys
from ml_pipeline.apps.endpoints import aliases, endpoints, statuses
from ml_pipeline.apps.endpoints.models import EndpointAlias
from ml_pipeline.apps.events import revisions
from ml_pipeline.errors import Conflict, InvalidInput, NotFound

pytestmark = pytest.mark.django_db


def named() -> dict[str, str]:
    rows = EndpointAlias.objects.select_related("parent_mlalgorithm")
    return {row.name: row.parent_mlalgorithm.version for row in rows}


def test_it_is_made_moved_and_removed() -> None:
    one, two = algorithm("1"), algorithm("2")
    endpoint = one.parent_endpoint
    assert aliases.put(endpoint, "candidate", one, actor="ann").created
    moved = aliases.put(endpoint, "candidate", two, actor="bob")
    assert (moved.created, moved.alias.created_by) == (False, "bob")
    assert aliases.put(endpoint, "next", two, actor="ann").created
    assert named() == {"candidate": "2", "next": "2"}
    aliases.remove(endpoint, "candidate", actor="ann")
    assert named() == {"next": "2"}
    with pytest.raises(NotFound):
        aliases.remove(endpoint, "candidate", actor="ann")


def reader() -> Client:
    one, other = algorithm("1"), algorithm("1", endpoint="other")
    aliases.put(one.parent_endpoint, "candidate", one, actor="ann")
    assert other.parent_endpoint.name == "other"
    _, secret = keys.create("reader", ["read"], actor="tests")
    return Client(headers={"Authorization": f"Bearer {secret}"})


def test_it_is_read_over_http() -> None:
    browser = reader()
    (listed,) = browser.get("/api/v1/endpoints/demo/aliases").json()
    assert (listed["algorithm"], listed["created_by"]) == ("model", "ann")
    assert browser.get("/api/v1/endpoints/demo/aliases/candidate").json() == listed


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("other/aliases/candidate", 404),
        *((f"demo/aliases/{name}", 404) for name in ("next", "Candidate", "a%00", "a" * 64)),
        ("demo/aliases/candidate?colour=red", 400),
    ],
)
def test_what_is_no_alias_is_refused_over_http(path: str, status: int) -> None:
    assert reader().get(f"/api/v1/endpoints/{path}").status_code == status


def test_every_change_raises_the_revision_and_nothing_else_does() -> None:
    one, two = algorithm("1"), algorithm("2")
    endpoint = one.parent_endpoint
    changes = (
        lambda: aliases.put(endpoint, "candidate", one, actor="ann"),
        lambda: aliases.put(endpoint, "candidate", two, actor="ann"),
        lambda: aliases.remove(endpoint, "candidate", actor="ann"),
        lambda: aliases.put(endpoint, "candidate", two, actor="ann"),
    )
    for change in changes:
        before = revisions.current()
        change()
        assert revisions.current() == before + 1
    before, row = revisions.current(), EndpointAlias.objects.get()
    assert not aliases.put(endpoint, "candidate", two, actor="bob").created
    with pytest.raises(NotFound):
        aliases.remove(endpoint, "unknown", actor="ann")
    with pytest.raises(InvalidInput):
        aliases.put(endpoint, "Candidate", one, actor="bob")
    assert revisions.current() == before
    same = EndpointAlias.objects.get()
    assert (same.created_by, same.created_at) == (row.created_by, row.created_at)


def test_it_names_no_archived_algorithm() -> None:
    one, two = algorithm("1"), algorithm("2")
    aliases.put(one.parent_endpoint, "candidate", one, actor="ann")
    statuses.archive(two, actor="ann")
    with pytest.raises(Conflict, match="archived"):
        aliases.put(one.parent_endpoint, "candidate", two, actor="ann")
    assert named() == {"candidate": "1"}
    statuses.move(two, "testing", actor="ann")
    aliases.put(one.parent_endpoint, "candidate", two, actor="ann")
    assert named() == {"candidate": "2"}


def test_it_names_no_algorithm_of_another_endpoint() -> None:
    one, other = algorithm("1"), algorithm("1", endpoint="other")
    with pytest.raises(Conflict, match="another endpoint"):
        aliases.put(one.parent_endpoint, "candidate", other, actor="ann")
    assert named() == {}


def test_two_endpoints_may_have_one_of_the_same_name() -> None:
    one, other = algorithm("1"), algorithm("2", endpoint="other")
    for each in (one, other):
        assert aliases.put(each.parent_endpoint, "candidate", each, actor="ann").created
    aliases.remove(one.parent_endpoint, "candidate", actor="ann")
    assert named() == {"candidate": "2"}


@pytest.mark.parametrize("name", ["", "A", "1", "a b", "a@b", "a\n", "a" * 64, "é", "a.b", "a\x00"])
def test_its_name_is_made_as_an_endpoints_is(name: str) -> None:
    one = algorithm("1")
    with pytest.raises(InvalidInput):
        aliases.put(one.parent_endpoint, name, one, actor="ann")
    with pytest.raises(NotFound):
        aliases.remove(one.parent_endpoint, name, actor="ann")
    assert aliases.put(one.parent_endpoint, "a" * 63, one, actor="ann").created


def test_an_endpoint_that_was_deleted_takes_none() -> None:
    one = algorithm("1")
    gone = endpoints.create("gone", team(), actor="ann")
    stale = endpoints.named("gone", OPERATOR)
    endpoints.delete(gone, actor="ann")
    one.parent_endpoint_id = stale.pk
    with pytest.raises(NotFound):
        aliases.put(stale, "candidate", one, actor="ann")
