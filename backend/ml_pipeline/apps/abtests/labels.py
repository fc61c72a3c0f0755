"""Labels: feedback on requests of tests, put aside to be counted in the transaction that appends it."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ml_pipeline.apps.abtests.apps import COUNTING
from ml_pipeline.apps.abtests.models import ABTest, State, UncountedLabel
from ml_pipeline.apps.endpoints.hooks import Learnt
from ml_pipeline.apps.jobs import jobs


def put_aside(learnt: Sequence[Learnt]) -> None:
    """All of it is there to be counted; of a test that is over, to see whether it corrects what was counted."""
    ids = {one.test_id for one in learnt}
    # First, as in counting: who has the job's row takes labels' away, and on MySQL waits for those not committed yet.
    over = set(ABTest.objects.filter(pk__in=ids, state=State.FINISHED).values_list("pk", flat=True))
    # Of one that runs whatever kept it from being counted may be mended by now.
    given_up = {int(one) for one in jobs.given_up(COUNTING, map(str, ids))}
    for test_id in sorted(over | given_up):
        jobs.ask(COUNTING, str(test_id))
    UncountedLabel.objects.bulk_create([UncountedLabel(**one._asdict()) for one in learnt], batch_size=500)


def of_rewards(test_ids: Collection[int]) -> set[int]:
    """Those of `test_ids` that are told rewards."""
    return set(ABTest.objects.filter(pk__in=test_ids, metric__name="reward").values_list("pk", flat=True))
