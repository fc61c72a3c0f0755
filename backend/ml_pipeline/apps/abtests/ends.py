"""Ends: tests that a person stops, and what a rollback does to one that runs; each with one decision, however often."""

from __future__ import annotations

import time
from typing import NamedTuple

from django.db import transaction

from ml_pipeline.apps.abtests import counting, standings, verdicts
from ml_pipeline.apps.abtests.counting import Bound
from ml_pipeline.apps.abtests.models import ABTest
from ml_pipeline.apps.endpoints.models import Endpoint, MLAlgorithmStatus
from ml_pipeline.apps.jobs import rests


class Stopped(NamedTuple):
    """A test that is over, and whether this call ended it."""

    test: ABTest
    changed: bool


def stop(test: ABTest, *, actor: str, reason: str = "") -> Stopped:
    """`test` is over: all that had come in was counted, and its rule asked.

    Whoever has the evidence is promoted, else the champion stays. A test that is over stays as it is.
    """
    bound: Bound | None = None
    while True:
        with transaction.atomic():
            begun = time.monotonic()
            standing = standings.locked(test.pk)
            if not standing.is_running:
                return Stopped(standing.test, False)
            # What comes in meanwhile is not waited for.
            bound = bound or counting.newest(standing)
            if not counting.fold(standing, bound):
                # The rule itself may just have ended it.
                if standing.is_running:
                    verdicts.stop(standing, actor=actor, reason=reason)
                return Stopped(standing.test, True)
        rests.give_way(time.monotonic() - begun)


def roll_back(endpoint: Endpoint, actor: str, reason: str) -> MLAlgorithmStatus | None:
    """The step by which the champion of the test that runs on `endpoint` is in production again; None without one.

    What is not counted yet stays so: a rollback does not wait. Belongs in a transaction with `endpoint` locked.
    """
    test = ABTest.objects.filter(running_of=endpoint).first()
    if test is None:
        return None
    return verdicts.roll_back(standings.locked(test.pk), actor=actor, reason=reason)
