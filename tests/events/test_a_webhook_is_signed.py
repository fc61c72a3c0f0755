"""Signatures as Standard Webhooks has them, by a secret that the database does not have."""

from __future__ import annotations

import base64
import json

import pytest
import verified
from django.core import serializers
from listeners import Listener, Received
from pytest_django import Settings
from told import Clock, Worker, happen, receiver

from ml_pipeline.apps.events import receivers, signatures
from ml_pipeline.apps.events.models import Delivery, Event, Receiver
from ml_pipeline.apps.jobs.models import Job

pytestmark = pytest.mark.django_db
HOUR_S = 3_600.0


def one_sent(listener: Listener, worker: Worker, to: Receiver) -> Received:
    """The request that an event becomes now."""
    happen()
    worker.step(to)
    return listener.received[-1]


def test_the_signature_is_that_of_the_specification() -> None:
    """The example of its own libraries, with the secret in its place."""
    secret, body = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b'{"test": 2432232314}'
    headers = {"webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp": "1614265330"}
    headers["webhook-signature"] = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    verified.verify(f"whsec_{secret}", headers, body, 1614265330)
    for altered in ({**headers, "webhook-id": "msg_x"}, {**headers, "webhook-timestamp": "1614265331"}):
        with pytest.raises(ValueError, match="signature"):
            verified.verify(f"whsec_{secret}", altered, body, 1614265330)


def test_whoever_has_the_secret_verifies_what_comes(listener: Listener) -> None:
    one, secret = receiver(listener.url)
    _, another = receiver(listener.url)
    worker = Worker(Clock())
    request = one_sent(listener, worker, one)
    now_s = worker.clock.now.timestamp()
    verified.verify(secret, request.headers, request.body, now_s)
    assert request.headers["webhook-signature"].count("v1,") == 1
    assert secret.startswith("whsec_")
    assert 24 <= len(base64.b64decode(secret.removeprefix("whsec_"))) <= 64
    with pytest.raises(ValueError, match="signature"):
        verified.verify(another, request.headers, request.body, now_s)
    with pytest.raises(ValueError, match="signature"):
        verified.verify(secret, request.headers, request.body + b" ", now_s)
    with pytest.raises(ValueError, match="too long ago"):
        verified.verify(secret, request.headers, request.body, now_s + 301)


def test_for_a_day_a_changed_secret_signs_beside_the_new_one(listener: Listener) -> None:
    one, before = receiver(listener.url)
    _, after = receivers.rotate(one.pk, actor="user:ann")
    assert before != after
    worker = Worker(Clock())
    worker.clock.advance(23 * HOUR_S)
    request = one_sent(listener, worker, one)
    for secret in (before, after):
        verified.verify(secret, request.headers, request.body, worker.clock.now.timestamp())
    worker.clock.advance(1.1 * HOUR_S)
    request = one_sent(listener, worker, one)
    verified.verify(after, request.headers, request.body, worker.clock.now.timestamp())
    with pytest.raises(ValueError, match="signature"):
        verified.verify(before, request.headers, request.body, worker.clock.now.timestamp())


def test_the_database_has_no_secret_and_its_reader_cannot_make_one(listener: Listener, settings: Settings) -> None:
    one, before = receiver(listener.url, administration=True)
    _, after = receivers.rotate(one.pk, actor="user:ann")
    request = one_sent(listener, Worker(Clock()), one)
    rows = [*Receiver.objects.all(), *Delivery.objects.all(), *Event.objects.all(), *Job.objects.all()]
    stored = serializers.serialize("json", rows)
    told = json.dumps([request.headers, request.body.decode()])
    for secret in (before, after):
        raw = base64.b64decode(secret.removeprefix("whsec_"))
        for text in (secret, secret.removeprefix("whsec_"), raw.hex()):
            assert text not in stored
            assert text not in told
    # What the database has makes another secret under another key of the server.
    salt = Receiver.objects.get(pk=one.pk).salt
    assert signatures.shown(salt) == after
    settings.SECRET_KEY = "another-secret-key-for-tests-0123456789"
    assert signatures.shown(salt) not in (before, after)
