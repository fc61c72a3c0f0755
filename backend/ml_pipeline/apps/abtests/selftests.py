"""Self-tests: how often a test's rule promotes on its own labels when they are dealt out anew among its arms.

200 replays of 600 labels take a second of a processor, of 20,000 labels half a minute, nearly all of it Python's: in
a serving process that would hold up predictions, so a worker does it, in steps between which others have their turn.
"""

from __future__ import annotations

import time
from enum import StrEnum
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from ml_pipeline.apps.abtests import standings
from ml_pipeline.apps.abtests.apps import REPLAYING
from ml_pipeline.apps.abtests.models import ABTest, SelfTest, Unit
from ml_pipeline.apps.abtests.terms import Terms
from ml_pipeline.apps.jobs import jobs
from ml_pipeline.apps.jobs.leases import Lease
from ml_pipeline.apps.jobs.models import Job
from ml_pipeline.apps.jobs.models import State as JobState
from ml_pipeline.errors import Complaint, Conflict, InvalidInput, Overloaded
from ml_pipeline.stats import selftest

# The first labels of a test are replayed, so many at most; and so many in all replays together.
MOST_LABELS, MOST_REPLAYED = 20_000, 4_000_000
# Under way at once, of all tests: most of a worker's threads remain for counting.
MOST_AT_ONCE = 2
# After how long a step ends, with the replay that is under way.
STEP_S = 1.0


class Progress(StrEnum):
    """What has become of a self-test."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


def ask(test: ABTest, *, replays: int, seed: int) -> SelfTest:
    """The self-test of `test` as it is now, which a worker goes on with; the one that there is, where it is the same.

    Raises Conflict where another one of the test is under way, or where nothing can be said; InvalidInput for more
    replays than are gone through; Overloaded.
    """
    with transaction.atomic():
        test = ABTest.objects.select_for_update().get(pk=test.pk)
        known = SelfTest.objects.filter(test=test).first()
        is_same = known is not None and (known.replays, known.seed) == (replays, seed)
        if known is not None:
            stands = progress(known)
            if is_same and (stands is Progress.RUNNING or (stands is Progress.DONE and known.counted == test.counted)):
                return known
            if stands is Progress.RUNNING:
                told = f"A self-test of {known.replays:,} replays with the seed {known.seed} is under way"
                raise Conflict(f"{told}; ask again when it is done.")
        wanted = _wanted(test, replays, seed)
        under_way = Job.objects.filter(kind=REPLAYING, state__in=(JobState.QUEUED, JobState.RUNNING))
        if under_way.exclude(subject=str(test.pk)).count() >= MOST_AT_ONCE:
            raise Overloaded("Self-tests of other tests are under way; ask again in a minute.")
        wanted.pk = None if known is None else known.pk
        wanted.save()
        jobs.ask(REPLAYING, str(test.pk))
    return wanted


def progress(one: SelfTest) -> Progress:
    """What has become of it."""
    if one.done >= one.replays:
        return Progress.DONE
    jobs_of = Job.objects.filter(kind=REPLAYING, subject=str(one.test_id))
    return Progress.FAILED if jobs_of.filter(state=JobState.FAILED).exists() else Progress.RUNNING


def to_json(one: SelfTest) -> dict[str, Any]:
    """It as JSON values; the rate of false promotions, and the interval in which it lies with 95 %, once it is done."""
    stands = progress(one)
    found = selftest.found(one.replays, one.promoted) if stands is Progress.DONE else None
    return {
        "state": str(stands),
        **{name: getattr(one, name) for name in ("replays", "done", "promoted")},
        **{name: getattr(found, name, None) for name in ("rate", "low", "high")},
        "alpha": one.test.plan["alpha"],
        **{name: getattr(one, name) for name in ("labels", "counted", "withdrawn", "seed")},
    }


def work(lease: Lease) -> float | None:
    """Goes through some replays of the self-test that the lease is for, and says when to go on; None at its end."""
    one, begun = SelfTest.objects.select_related("test").get(test_id=int(lease.subject)), time.monotonic()
    plan, log = Terms.from_json(one.test.metric, one.test.plan).plan, list(_log(one))
    while one.done < one.replays and time.monotonic() - begun < STEP_S:
        one.promoted += selftest.promoted(plan, log, [one.done], seed=one.seed, withdrawn=one.withdrawn)
        one.done += 1
    with lease.held():
        one.save(update_fields=["done", "promoted"])
    return 0.0 if one.done < one.replays else None


def _wanted(test: ABTest, replays: int, seed: int) -> SelfTest:
    tally = standings.tally_of(test)
    plan = tally.terms.plan
    if plan.margin < 0:
        raise Conflict(
            "The plan's margin is below 0: it promotes on purpose who is as good, so nothing would be false."
        )
    # Labels of an arm that left end somewhere, which shuffling does not mend; where all left, that is the test's end.
    withdrawn = sorted(tally.withdrawn) if tally.withdrawn < set(plan.challengers) else []
    contests = tally.course.totals(0.0).contests
    if not any(contests[arm - 1].pairs for arm in plan.challengers if arm not in withdrawn):
        raise Conflict("There is nothing to shuffle: no label of the champion is paired with one of a challenger.")
    wanted = SelfTest(
        test=test, replays=replays, seed=seed, counted=test.counted, last=test.counted, withdrawn=withdrawn
    )
    positions: list[Any] = list(_log(wanted).values_list("position", flat=True)[:MOST_LABELS])
    wanted.labels, wanted.last = len(positions), positions[-1]
    if wanted.labels < plan.min_labels:
        raise Conflict(
            f"The plan promotes nobody before {plan.min_labels:,} labels, and there are {wanted.labels:,} to shuffle."
        )
    if replays * wanted.labels > MOST_REPLAYED:
        expected = f"at most {MOST_REPLAYED // wanted.labels:,} replays of {wanted.labels:,} labels"
        raise InvalidInput([Complaint(None, "replays", expected, f"{replays:,}")])
    return wanted


def _log(one: SelfTest) -> QuerySet[Unit, Any]:
    observed = Unit.objects.filter(test_id=one.test_id, position__lte=one.last).exclude(arm__in=one.withdrawn)
    return observed.order_by("position").values_list("arm", "score")
