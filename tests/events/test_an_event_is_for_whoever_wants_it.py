"""Who is told of an event: its team, its endpoint, who asked for it; in the transaction that makes it."""

from __future__ import annotations

import json

import pytest
import told
from django.db import transaction
from pytest_django import DjangoAssertNumQueries, DjangoCaptureOnCommitCallbacks
from told import happen, receiver

from ml_pipeline.apps.accounts import teams
from ml_pipeline.apps.events import audit, catalogue, receivers
from ml_pipeline.apps.events.models import Delivery, Event, Receiver
from ml_pipeline.apps.events.receivers import Place
from ml_pipeline.apps.jobs.models import Job
from ml_pipeline.errors import Conflict, InvalidInput

pytestmark = pytest.mark.django_db
URL = "https://hooks.example.org/private-part"


def of(event: Event) -> set[int]:
    """The receivers that are told."""
    return set(Delivery.objects.filter(event_id=event.pk).values_list("receiver_id", flat=True))


@pytest.mark.parametrize(
    ("patterns", "wanted"),
    [
        (["abtest.ended"], {"abtest.ended"}),
        (["abtest.*"], {"abtest.started", "abtest.withdrawn", "abtest.ended"}),
        (["batch.failed", "accuracy.*"], {"batch.failed", "accuracy.dropped", "accuracy.recovered"}),
        (["*"], set(catalogue.ACTIONS)),
    ],
)
def test_patterns_choose_events(patterns: list[str], wanted: set[str]) -> None:
    assert {action for action in catalogue.ACTIONS if catalogue.is_wanted(action, patterns)} == wanted


def test_an_event_goes_to_its_team_its_endpoint_and_whoever_has_all() -> None:
    rivals = teams.create("rivals", {}, actor="tests")
    ours, _ = receiver(URL)
    of_one, _ = receiver(URL, place=Place(told.team(), 1))
    of_another, _ = receiver(URL, place=Place(told.team(), 2))
    theirs, _ = receiver(URL, place=Place(rivals.pk))
    of_all, _ = receiver(URL, place=Place(None))
    other, _ = receiver(URL, "batch.*")
    assert of(happen()) == {ours.pk, of_one.pk, of_all.pk}
    assert of(happen(endpoint_id=2)) == {ours.pk, of_another.pk, of_all.pk}
    assert of(happen(team_id=rivals.pk, endpoint_id=9)) == {theirs.pk, of_all.pk}
    assert of(happen("batch.failed")) == {ours.pk, of_one.pk, of_all.pk, other.pk}


def test_what_concerns_no_endpoint_is_for_administration_alone() -> None:
    receiver(URL)
    receiver(URL, place=Place(None))
    administrators, _ = receiver(URL, administration=True)
    of_all, _ = receiver(URL, place=Place(None), administration=True)
    assert of(happen("key.created", "ci", endpoint_id=None)) == {administrators.pk, of_all.pk}
    assert of(happen("person.created", "ann", endpoint_id=None, team_id=None)) == {of_all.pk}


def test_who_is_switched_off_is_told_of_nothing_new() -> None:
    one, _ = receiver(URL)
    receivers.change(one.pk, {"is_active": False}, actor="tests")
    assert of(happen()) == set()


def test_a_change_that_is_rolled_back_tells_nobody() -> None:
    receiver(URL)

    def fail() -> None:
        with transaction.atomic():
            audit.record(told.ACTION, "tree 1", actor="tests", team_id=told.team(), endpoint_id=1)
            assert Delivery.objects.count() == 1
            raise InvalidInput([], "no")

    with pytest.raises(InvalidInput):
        fail()
    assert (Delivery.objects.count(), Event.objects.filter(action=told.ACTION).count()) == (0, 0)


def test_workers_are_woken_once_it_is_committed(
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    one, _ = receiver(URL)
    with django_capture_on_commit_callbacks(execute=True):
        happen()
        assert not Job.objects.filter(kind="events.delivery").exists()
    assert Job.objects.get(kind="events.delivery").subject == str(one.pk)
    assert Job.objects.filter(kind="events.sweep", state="queued").exists()


def test_an_event_without_receivers_costs_one_question(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    team = told.team()
    with transaction.atomic(), django_assert_num_queries(2):
        audit.record(told.ACTION, "tree 1", actor="tests", team_id=team, endpoint_id=1)


def test_many_receivers_cost_no_more_questions_than_one(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    team = told.team()
    wanted = {receiver(URL)[0].pk for _ in range(20)}
    # The event, who wants it, the names of its team and endpoint, and all of its deliveries.
    with transaction.atomic(), django_assert_num_queries(5):
        event = audit.record(told.ACTION, "tree 1", actor="tests", team_id=team, endpoint_id=1)
    assert of(event) == wanted


def test_its_text_stays_as_it_was_then() -> None:
    one, _ = receiver(URL)
    event = happen(details_of="älter", subject="tree 1")
    text = Delivery.objects.get(receiver_id=one.pk).payload
    teams.Team.objects.filter(pk=told.team()).update(name="renamed")
    assert Delivery.objects.get(receiver_id=one.pk).payload == text
    payload = json.loads(text)
    assert payload.pop("timestamp").endswith("Z")
    assert payload == {
        "id": event.pk,
        "type": told.ACTION,
        "team": "default",
        "endpoint": None,
        "subject": "tree 1",
        "actor": "user:ann",
        "details": {"details_of": "älter"},
    }


def test_a_test_is_for_the_one_that_is_tested() -> None:
    one, _ = receiver(URL, administration=True)
    receiver(URL, administration=True)
    delivery = receivers.test(one.pk, actor="user:ann")
    assert (delivery.action, delivery.receiver_id) == ("receiver.test", one.pk)
    assert Delivery.objects.filter(action="receiver.test").count() == 1


def test_events_about_receivers_tell_no_path_of_a_url() -> None:
    receiver(URL, administration=True)
    two, _ = receiver(URL, "tag.*")
    receivers.change(two.pk, {"address": f"{URL}/more"}, actor="tests")
    receivers.rotate(two.pk, actor="tests")
    receivers.remove(two.pk, actor="tests")
    said = list(Event.objects.filter(action__startswith="receiver.").values_list("subject", "details"))
    assert len(said) == 5
    assert "private-part" not in json.dumps(said)
    assert "private-part" not in "".join(Delivery.objects.values_list("payload", flat=True))


def test_an_action_that_the_catalogue_lacks_is_no_event() -> None:
    with pytest.raises(ValueError, match="catalogue"):
        happen("tests.unknown")


@pytest.mark.parametrize("pattern", ["abtest", "abtest.*.x", "nothing.*", "ABTEST.ended", "", "**", ".*", "abtest."])
def test_a_pattern_that_chooses_nothing_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidInput, match="events"):
        receiver(URL, pattern)


def test_a_team_has_so_many_receivers_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receivers, "MOST_OF_A_TEAM", 2)
    for _ in range(2):
        receiver(URL)
    with pytest.raises(Conflict, match="as many as there may be"):
        receiver(URL)
    assert Receiver.objects.count() == 2
