"""Deliveries by a clock that is set, to a real server: in order, again and again, for three days."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest
import told
import verified
from listeners import Answer, Listener, Received
from told import Clock, Worker, happen, leased, receiver, states

from ml_pipeline.apps.events import deliveries, receivers, sweeps, webhooks
from ml_pipeline.apps.events.deliveries import Deliverer
from ml_pipeline.apps.events.models import Delivery, Event, Receiver
from ml_pipeline.apps.events.outcomes import Outcome
from ml_pipeline.apps.jobs.leases import LeaseLost
from ml_pipeline.apps.jobs.models import Job

pytestmark = pytest.mark.django_db
HOUR_S = 3_600.0


def subjects(received: list[Received]) -> list[str]:
    return [json.loads(one.body)["subject"] for one in received]


@pytest.mark.parametrize("failing", ["answers 503", "breaks off", "answers 429"])
def test_an_hour_of_outage_loses_nothing_and_keeps_the_order(listener: Listener, failing: str) -> None:
    answers = {"answers 503": Answer(503), "breaks off": None, "answers 429": Answer(429)}
    listener.answers = lambda _: answers[failing]
    one, secret = receiver(listener.url)
    worker = Worker(Clock())
    wanted = []
    for number in range(30):
        wanted.append(f"tree {number}")
        happen(subject=wanted[-1])
        worker.run(one, HOUR_S / 30)
    # Nothing overtook the first meanwhile.
    assert set(subjects(listener.received)) == {"tree 0"}
    assert states(one) == ["queued"] * 30
    listener.received.clear()
    listener.answers = lambda _: Answer(200)
    worker.run(one, 2 * HOUR_S)
    assert subjects(listener.received) == wanted
    assert states(one) == ["delivered"] * 30
    at_s = int(worker.clock.now.timestamp())
    for request in listener.received:
        verified.verify(secret, request.headers, request.body, at_s)
    assert len({request.headers["webhook-id"] for request in listener.received}) == 30
    assert Receiver.objects.get(pk=one.pk).failures == 0


def test_a_delivery_keeps_its_id_however_often_it_is_tried(listener: Listener) -> None:
    listener.answers = lambda _: Answer(500 if len(listener.received) < 4 else 200)
    one, _ = receiver(listener.url)
    happen()
    Worker(Clock()).run(one, HOUR_S)
    assert len(listener.received) == 4
    assert {request.headers["webhook-id"] for request in listener.received} == {str(Delivery.objects.get().uid)}
    assert len(set(listener.bodies)) == 1
    assert Delivery.objects.get().attempts == 4


def test_pauses_grow_from_five_seconds_to_an_hour_and_differ(listener: Listener) -> None:
    listener.answers = lambda _: Answer(500)
    one, _ = receiver(listener.url)
    happen()
    pauses = Worker(Clock()).run(one, 12 * HOUR_S)
    for number, pause_s in enumerate(pauses):
        planned_s = min(5.0 * 2**number, HOUR_S)
        assert 0.75 * planned_s <= pause_s <= min(1.25 * planned_s, HOUR_S), number
    other = Receiver.objects.get(pk=one.pk)
    Receiver.objects.filter(pk=one.pk).update(failures=0, resumes_at=None)
    again = Worker(Clock(), seed=8).run(other, 12 * HOUR_S)
    assert again[:3] != pauses[:3]


def test_what_is_not_taken_in_three_days_is_given_up_and_can_be_sent_again(listener: Listener) -> None:
    listener.answers = lambda _: Answer(500)
    one, _ = receiver(listener.url)
    for number in range(3):
        happen(subject=f"tree {number}")
    worker = Worker(Clock())
    worker.run(one, 71 * HOUR_S)
    assert states(one) == ["queued"] * 3
    worker.run(one, 3 * HOUR_S)
    assert states(one) == ["failed"] * 3
    first, second, _ = Delivery.objects.order_by("pk")
    assert (first.last_status, first.last_error) == (500, "It answered 500.")
    assert second.last_error == deliveries.GIVEN_UP
    listener.answers = lambda _: Answer(200)
    listener.received.clear()
    assert worker.run(one, HOUR_S) == []
    receivers.retry(second.pk, actor="user:ann")
    worker.run(one, HOUR_S)
    assert subjects(listener.received) == ["tree 1"]
    assert states(one) == ["failed", "delivered", "failed"]


@pytest.mark.parametrize("status", [400, 401, 404, 301, 307])
def test_an_event_that_is_refused_holds_up_no_other(listener: Listener, status: int) -> None:
    def answers(request: Received) -> Answer:
        return Answer(status if json.loads(request.body)["subject"] == "tree 0" else 200)

    listener.answers = answers
    one, _ = receiver(listener.url)
    for number in range(3):
        happen(subject=f"tree {number}")
    worker = Worker(Clock())
    worker.run(one, 60)
    assert states(one) == ["queued", "delivered", "delivered"]
    listener.answers = lambda _: Answer(200)
    worker.run(one, HOUR_S)
    assert states(one) == ["delivered"] * 3


def test_a_receiver_says_when_to_come_again_within_bounds(listener: Listener) -> None:
    wanted = iter(["120", "99999999", "0", "-5", "soon", "1e3"])
    listener.answers = lambda _: Answer(503, (("Retry-After", next(wanted)),))
    one, _ = receiver(listener.url)
    happen()
    worker = Worker(Clock())
    pauses = []
    for _ in range(6):
        again_s = worker.step(one)
        assert again_s is not None
        pauses.append(again_s)
        worker.clock.advance(again_s)
    assert pauses[0] == 120
    assert pauses[1] == HOUR_S
    for number, pause_s in enumerate(pauses[2:], start=2):
        assert 0.75 * 5 * 2**number <= pause_s <= 1.25 * 5 * 2**number


def test_a_date_to_come_again_at_is_understood(listener: Listener) -> None:
    listener.answers = lambda _: Answer(503, (("Retry-After", "Fri, 01 Jan 2100 00:00:00 GMT"),))
    one, _ = receiver(listener.url)
    happen()
    assert Worker(Clock()).step(one) == HOUR_S


def test_who_says_that_it_is_gone_is_switched_off(listener: Listener) -> None:
    listener.answers = lambda _: Answer(410)
    one, _ = receiver(listener.url)
    for number in range(2):
        happen(subject=f"tree {number}")
    worker = Worker(Clock())
    assert worker.step(one) is None
    assert not Receiver.objects.get(pk=one.pk).is_active
    assert len(listener.received) == 1
    event = Event.objects.get(action="receiver.deactivated")
    assert (event.actor, event.team_id) == ("worker", told.team())
    happen(subject="tree 2")
    # Switched on again, it gets what waited.
    listener.answers = lambda _: Answer(200)
    receivers.change(one.pk, {"is_active": True}, actor="user:ann")
    worker.run(one, HOUR_S)
    assert states(one) == ["failed", "delivered"]


def test_one_that_is_down_holds_up_no_other(listener: Listener) -> None:
    down, _ = receiver("http://127.0.0.1:9/hook")
    up, _ = receiver(listener.url)
    happen()
    worker = Worker(Clock())
    assert worker.step(down) is not None
    worker.step(up)
    assert (states(down), states(up)) == (["queued"], ["delivered"])


def test_a_new_address_is_tried_at_once(listener: Listener) -> None:
    one, _ = receiver("http://127.0.0.1:9/hook")
    happen()
    worker = Worker(Clock())
    worker.run(one, 2 * HOUR_S)
    receivers.change(one.pk, {"address": listener.url}, actor="user:ann")
    assert worker.step(one) is None
    assert states(one) == ["delivered"]


@pytest.mark.parametrize("status", [410, 503])
def test_what_the_old_address_answers_late_is_not_held_against_the_new_one(listener: Listener, status: int) -> None:
    one, _ = receiver("http://127.0.0.1:9/hook")
    happen()

    def sent_while_it_moved(receiver: Receiver, delivery: Delivery, now: datetime) -> Outcome:
        if receiver.address == listener.url:
            return webhooks.judged(200)
        receivers.change(receiver.pk, {"address": listener.url}, actor="user:ann")
        return webhooks.judged(status)

    clock = Clock()
    lease = leased("events.delivery", str(one.pk))
    Deliverer(sent_while_it_moved, clock=clock).step(lease)
    one.refresh_from_db()
    assert (one.is_active, one.failures, states(one)) == (True, 0, ["delivered"])


def test_who_says_again_during_an_attempt_makes_its_pause_short(listener: Listener) -> None:
    one, _ = receiver(listener.url)
    happen()
    Receiver.objects.update(failures=9)
    delivery = Delivery.objects.get()

    def sent_while_somebody_said_again(receiver: Receiver, _: Delivery, now: datetime) -> Outcome:
        receivers.retry(delivery.pk, actor="user:ann")
        return webhooks.judged(503)

    again_s = Deliverer(sent_while_somebody_said_again, clock=Clock()).step(leased("events.delivery", str(one.pk)))
    assert again_s is not None
    assert again_s < 10


@pytest.mark.parametrize("status", [404, 503])
def test_what_waited_for_a_worker_for_days_is_not_given_up_at_the_first_failure(
    listener: Listener, status: int
) -> None:
    one, _ = receiver(listener.url)
    for number in range(3):
        happen(subject=f"tree {number}")
    worker = Worker(Clock())
    worker.clock.advance(timedelta(days=deliveries.TRIED_DAYS + 1).total_seconds())
    listener.answers = lambda _: Answer(status)
    worker.step(one)
    assert states(one) == ["queued"] * 3
    listener.answers = lambda _: Answer(200)
    worker.run(one, 60)
    assert states(one) == ["delivered"] * 3


def test_all_that_waits_in_vain_is_given_up_however_much_it_is(listener: Listener) -> None:
    listener.answers = lambda _: Answer(503)
    one, _ = receiver(listener.url)
    happen()
    first = Delivery.objects.get()
    many = 2 * deliveries.ROWS + 7
    for delivery in [Delivery(receiver_id=one.pk, event_id=first.event_id, action=told.ACTION) for _ in range(many)]:
        delivery.created_at = delivery.asked_at = first.asked_at
        delivery.save()
    worker = Worker(Clock())
    worker.clock.advance(timedelta(days=deliveries.TRIED_DAYS, minutes=1).total_seconds())
    happen(subject="tree 2")
    Delivery.objects.filter(pk=Delivery.objects.latest("pk").pk).update(asked_at=worker.clock.now)
    Receiver.objects.update(failures=deliveries.LEAST_TRIES)
    worker.step(one)
    assert states(one) == ["failed"] * (many + 1) + ["queued"]


def test_who_lost_the_lease_writes_nothing(listener: Listener) -> None:
    one, _ = receiver(listener.url)
    happen()
    worker = Worker(Clock())
    lease = leased("events.delivery", str(one.pk))
    send = worker.deliverer._send

    def sent_while_it_was_taken_over(receiver: Receiver, delivery: Delivery, now: datetime) -> Outcome:
        Job.objects.update(token=99)
        return send(receiver, delivery, now)

    with pytest.raises(LeaseLost):
        Deliverer(sent_while_it_was_taken_over, clock=worker.clock).step(lease)
    assert states(one) == ["queued"]
    Job.objects.all().delete()
    worker.step(one)
    assert listener.bodies[0] == listener.bodies[1]
    assert states(one) == ["delivered"]


def test_the_sweep_wakes_what_nobody_woke_and_removes_what_is_over(listener: Listener) -> None:
    clock = Clock()
    one, _ = receiver(listener.url)
    off, _ = receiver(listener.url)
    gone, _ = receiver(listener.url)
    happen()
    Receiver.objects.filter(pk=off.pk).update(is_active=False)
    receivers.remove(gone.pk, actor="tests")
    lease = leased("events.sweep", "")
    assert sweeps.sweep(lease, clock.now) == 60
    assert set(Job.objects.filter(kind="events.delivery").values_list("subject", flat=True)) == {str(one.pk)}
    assert (states(off), states(gone)) == (["queued"], [])
    Worker(clock).step(one)
    lease = leased("events.sweep", "")
    clock.advance(timedelta(days=3, minutes=1).total_seconds())
    sweeps.sweep(lease, clock.now)
    assert (states(one), states(off)) == (["delivered"], ["failed"])
    clock.advance(timedelta(days=sweeps.KEPT_DAYS, minutes=1).total_seconds())
    sweeps.sweep(lease, clock.now)
    assert Delivery.objects.count() == 0
    for each in (one, off):
        receivers.remove(each.pk, actor="tests")
    assert sweeps.sweep(lease, clock.now) is None
