"""Statuses, history and lists through the client, each test on a registry of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from homes import ENDPOINT, Home
from people import PERSON
from servers import Server, wait_until

from ml_pipeline.client import Client
from ml_pipeline.errors import AmbiguousAlgorithm, InvalidInput, NotFound, Refused


@pytest.fixture(params=["asgi", "wsgi"])
def own(request: pytest.FixtureRequest, start: Callable[..., Server]) -> Iterator[Client]:
    server = start(request.param)
    with Client(server.url, server.home.keys["admin"]) as one:
        yield one


def serving(client: Client) -> str:
    name: str = client.predict(ENDPOINT, PERSON)["algorithm"]
    return name


def test_promotion_rollback_and_history(own: Client) -> None:
    before = datetime.now(UTC)
    step = own.promote(ENDPOINT, "0.0.1", algorithm="decision_tree", reason="better")
    assert (step["status"], step["reason"], step["created_by"], step["changed"]) == (
        "production",
        "better",
        "key:admin-key",
        True,
    )
    wait_until(lambda: serving(own) == "decision_tree")
    assert not own.promote(ENDPOINT, "0.0.1", algorithm="decision_tree")["changed"]
    assert own.rollback(ENDPOINT, "worse")["reason"] == "worse"
    wait_until(lambda: serving(own) == "random_forest")

    steps = own.history(ENDPOINT)
    assert [step["algorithm"] for step in steps if step["status"] == "production"] == [
        "random_forest",
        "decision_tree",
        "random_forest",
    ]
    assert own.history(ENDPOINT, limit=2) == steps[:2]
    assert own.history(ENDPOINT, at=before)["production"]["algorithm"] == "random_forest"
    between = own.history(ENDPOINT, at=step["created_at"])
    assert between["production"]["algorithm"] == "decision_tree"
    assert own.history(ENDPOINT, at="2020-01-01T00:00:00+02:00")["production"] is None
    with pytest.raises(Refused, match="a time with its offset"):
        own.history(ENDPOINT, at=datetime(2026, 1, 1))
    with pytest.raises(Refused) as caught:
        own.rollback(ENDPOINT)
    assert (caught.value.status, caught.value.code) == (409, "conflict")


def test_an_algorithm_is_archived_and_comes_back(own: Client) -> None:
    assert own.archive(ENDPOINT, "0.0.1", algorithm="extra_trees", reason="old")["status"] == "archived"
    assert not own.archive(ENDPOINT, "0.0.1", algorithm="extra_trees")["changed"]
    with pytest.raises(Refused, match="testing first"):
        own.promote(ENDPOINT, "0.0.1", algorithm="extra_trees")
    assert own.move(ENDPOINT, "0.0.1", "testing", algorithm="extra_trees")["status"] == "testing"
    with pytest.raises(Refused) as caught:
        own.move(ENDPOINT, "0.0.1", "flying", algorithm="extra_trees")
    assert caught.value.code == "invalid_input"


def test_an_alias_is_named_asked_and_taken_away(own: Client) -> None:
    alias = own.alias(ENDPOINT, "next", "0.0.1", algorithm="extra_trees")
    assert (alias["name"], alias["algorithm"], alias["version"]) == ("next", "extra_trees", "0.0.1")
    assert own.predict(ENDPOINT, PERSON, alias="next")["algorithm"] == "extra_trees"
    own.alias(ENDPOINT, "next", "0.0.1", algorithm="decision_tree")
    wait_until(lambda: own.predict(ENDPOINT, PERSON, alias="next")["algorithm"] == "decision_tree")
    assert [one["aliases"] for one in own.algorithms(ENDPOINT, name="decision_tree")] == [["next"]]
    own.unalias(ENDPOINT, "next")
    with pytest.raises(Refused) as caught:
        own.unalias(ENDPOINT, "next")
    assert caught.value.status == 404


def test_a_tag_is_put_filtered_by_and_removed(own: Client) -> None:
    tree = {"version": "0.0.1", "algorithm": "decision_tree"}
    assert own.tag(ENDPOINT, name="team", value="credit", **tree) == {"name": "team", "value": "credit"}
    own.tag(ENDPOINT, name="reviewed", **tree)
    assert [one["tags"] for one in own.algorithms(tag="team:credit")] == [{"reviewed": "", "team": "credit"}]
    own.untag(ENDPOINT, name="team", **tree)
    assert own.algorithms(tag="team") == []
    with pytest.raises(Refused) as caught:
        own.untag(ENDPOINT, name="team", **tree)
    assert caught.value.status == 404


def test_who_is_meant_must_be_clear(own: Client) -> None:
    with pytest.raises(AmbiguousAlgorithm, match="decision_tree, extra_trees, random_forest"):
        own.promote(ENDPOINT, "0.0.1")
    with pytest.raises(NotFound, match=r"no version '9' under 'income_classifier'"):
        own.promote(ENDPOINT, "9")
    with pytest.raises(NotFound, match=r"'nobody' '0\.0\.1'"):
        own.promote(ENDPOINT, "0.0.1", algorithm="nobody")
    assert serving(own) == "random_forest"


def test_algorithms_are_listed_and_filtered(own: Client) -> None:
    names = [one["name"] for one in own.algorithms()]
    assert sorted(names) == ["decision_tree", "extra_trees", "random_forest"]
    assert [one["name"] for one in own.algorithms(ENDPOINT, status="staging")] == ["decision_tree"]
    assert own.algorithms("nothing") == []
    with pytest.raises(Refused) as caught:
        own.algorithms(colour="red")
    assert caught.value.code == "unknown_parameter"


def test_lists_are_followed_over_their_pages(start: Callable[..., Server], home: Home) -> None:
    # Each move is a step; more of them than a page holds.
    home.python(
        "import django; django.setup()\n"
        "from ml_pipeline.apps.endpoints.models import MLAlgorithmStatus as Step\n"
        "step = Step.objects.filter(active_of=None).first() or Step.objects.first()\n"
        "values = {f.attname: getattr(step, f.attname) for f in Step._meta.concrete_fields if f.attname != 'id'}\n"
        "values |= {'active_of_id': None, 'production_of_id': None}\n"
        "Step.objects.bulk_create(Step(**values) for _ in range(2100))\n"
    )
    server = start("asgi")
    with Client(server.url, home.keys["read"]) as reader:
        ids = [step["id"] for step in reader.history(ENDPOINT)]
        assert len(ids) > 2100
        assert ids == sorted(set(ids), reverse=True)
        assert [step["id"] for step in reader.history(ENDPOINT, limit=1500)] == ids[:1500]


def test_ready_needs_no_key_and_says_what_is_not(start: Callable[..., Server], home: Home) -> None:
    bare = Home(home.folder.parent / "bare")
    bare.folder.mkdir()
    (bare.folder / "secret_key").write_text("0123456789" * 4)
    for at, expected in ((home, True), (bare, False)):
        with Client(start("asgi", at=at).url) as stranger:
            assert stranger.ready()["ready"] is expected


def test_a_name_that_would_lead_elsewhere_is_refused_before_it_is_sent(own: Client) -> None:
    for name in ("", ".", ".."):
        with pytest.raises(InvalidInput):
            own.history(name)
    with pytest.raises(Refused) as caught:
        own.history("../mlalgorithms?x=")
    assert caught.value.status == 404
