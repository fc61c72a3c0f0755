"""Rows are counted once and in their own hour: out of order, late, erased, removed or spoilt."""

from __future__ import annotations

import logging
import random
from datetime import timedelta
from uuid import UUID

import pytest
from django.db import connection
from django.db.models import JSONField, Value
from traffic import HOUR, NOON, Log, entry, folded, made_id, sums, tell, watched, windows

from ml_pipeline.apps.abtests import labels
from ml_pipeline.apps.abtests.models import ABTest
from ml_pipeline.apps.batches.models import BatchJob
from ml_pipeline.apps.endpoints.models import Feedback, MLRequest
from ml_pipeline.apps.monitoring import claims, folding, measurements
from ml_pipeline.apps.monitoring.claims import Taken
from ml_pipeline.apps.monitoring.models import Window
from ml_pipeline.apps.predictions.models import JournalBatch

pytestmark = pytest.mark.django_db


def test_a_commit_that_comes_after_later_ones_is_counted() -> None:
    by, draw = watched(), random.Random(1)
    log = Log(draw)
    log.commit([entry(draw, by, NOON)], NOON, pk=7)
    log.commit([entry(draw, by, NOON + HOUR)] * 1, NOON + HOUR, pk=9)
    folded()
    assert sums("requests") == {NOON: 1, NOON + HOUR: 1}
    # Two that had drawn their numbers before, hours late.
    log.commit([entry(draw, by, NOON) for _ in range(3)], NOON + 5 * HOUR, pk=8)
    log.commit([entry(draw, by, NOON - HOUR) for _ in range(4)], NOON + 5 * HOUR, pk=2)
    folded()
    assert sums("requests") == {NOON - HOUR: 4, NOON: 4, NOON + HOUR: 1}
    folded()
    assert sum(sums("requests").values()) == 9
    taken = claims.standing(claims.BATCHES).taken
    assert [(hole.first, hole.last) for hole in taken.holes] == [(1, 1), (3, 6)]


def test_feedback_that_comes_after_later_feedback_is_counted_in_the_hour_of_its_request() -> None:
    by, draw = watched(), random.Random(1)
    entries = [entry(draw, by, NOON + at * HOUR) for at in range(4)]
    Log(draw).commit(entries, NOON + 3 * HOUR)
    for pk, one in ((5, entries[1]), (9, entries[3]), (6, entries[2])):
        Feedback(pk=pk, request_id=UUID(one.id), value="yes", actor="ann", created_at=NOON + 90 * HOUR).save()
        folded()
    assert sums("labelled") == {NOON + at * HOUR: 1 for at in (1, 2, 3)}


def test_feedback_is_counted_whether_its_request_is_or_not() -> None:
    by, draw = watched(), random.Random(1)
    entries = [entry(draw, by, NOON) for _ in range(10)]
    log = Log(draw)
    log.commit(entries[:5], NOON)
    folded()
    log.commit(entries[5:], NOON)
    tell((one, one.response) for one in entries)
    folded()
    assert (sums("requests"), sums("labelled"), sums("correct")) == ({NOON: 10}, {NOON: 10}, {NOON: 10})
    # Corrections, and feedback that says the same.
    tell((one, "no" if one.response == "yes" else "yes") for one in entries)
    tell((one, one.response) for one in entries)
    folded()
    assert (sums("labelled"), sums("correct")) == ({NOON: 10}, {NOON: 10})


def test_feedback_on_what_failed_and_rewards_are_no_outcomes() -> None:
    by, draw = watched(), random.Random(1)
    test = ABTest.objects.create(
        title="t", parent_endpoint=by.parent_endpoint, created_by="ann", created_at=NOON, metric={"name": "reward"},
        plan={}, promotes=False, salt="0" * 64, course={},
    )  # fmt: skip
    entries = [
        entry(draw, by, NOON, outcome="internal", response=None, full_response="{}"),
        entry(draw, by, NOON, test_id=test.pk, arm=0),
        entry(draw, by, NOON),
    ]
    Log(draw).commit(entries, NOON)
    assert labels.of_rewards([test.pk]) == {test.pk}
    values = ("yes", 3.5, "yes")
    for one, value in zip(entries, values, strict=True):
        Feedback(request_id=UUID(one.id), value=value, actor="ann", created_at=NOON).save()
    folded()
    assert (sums("labelled"), sums("unscored"), sums("rewarded")) == ({NOON: 1}, {NOON: 1}, {NOON: 1})


def test_what_was_erased_or_is_gone_is_counted_as_far_as_it_is_there() -> None:
    by, draw = watched(), random.Random(1)
    entries = [entry(draw, by, NOON) for _ in range(10)]
    log = Log(draw)
    log.commit(entries[:5], NOON)
    gone = log.commit(entries[5:], NOON)
    tell((one, one.response) for one in entries)
    erased = [UUID(one.id) for one in entries[:2]]
    # As erasure and pruning leave it; the last commit is not removed yet.
    MLRequest.objects.filter(pk__in=erased).update(
        input_data="null", full_response="null", response=None, probability=None, unit=None
    )
    Feedback.objects.filter(request_id__in=erased).update(value=Value(None, JSONField()))
    MLRequest.objects.filter(batch_id=gone).delete()
    folded()
    (one,) = windows().values()
    assert (one.requests, one.erased, one.labelled, one.correct, one.unreadable) == (5, 4, 3, 3, 0)
    assert Taken(2) == claims.standing(claims.BATCHES).taken
    JournalBatch.objects.all().delete()
    folded()
    assert sums("requests") == {NOON: 5}


def test_a_spoilt_row_is_counted_as_such_and_keeps_no_other_from_being_folded(
    caplog: pytest.LogCaptureFixture,
) -> None:
    by, draw = watched(), random.Random(1)
    good = [entry(draw, by, NOON) for _ in range(20)]
    spoilt = [
        entry(draw, by, NOON, input_data="{never closed"),
        entry(draw, by, NOON, input_data='["a list"]'),
        entry(draw, by, NOON, response="none of its labels"),
        entry(draw, by, NOON, latency_us="slow"),
        entry(draw, by, NOON, created_at="some day"),
    ]
    strange = [
        entry(draw, by, NOON, {"age": "[redacted]", "job": ["a"], "member": {}}),
        entry(draw, by, NOON, {"age": 10**400, "unheard of": 1}),
        entry(draw, by, NOON, algorithm_id=999),
    ]
    Log(draw).commit([*good[:10], *spoilt, *strange, *good[10:]], NOON)
    with connection.cursor() as cursor:
        for one, text in ((good[0], '"none of its labels"'), (good[1], "{never closed"), (good[2], "17")):
            insert = "INSERT INTO endpoints_feedback (request_id, value, actor, created_at) VALUES (%s, %s, '', %s)"
            cursor.execute("PRAGMA ignore_check_constraints = ON")
            cursor.execute(insert, [one.id, text, "2026-03-04 12:00:00"])
            cursor.execute("PRAGMA ignore_check_constraints = OFF")
    tell((one, one.response) for one in good[3:])
    with caplog.at_level(logging.WARNING, folding.__name__):
        folded()
    (one,) = windows().values()
    assert (one.requests, one.labelled, one.correct) == (27, 17, 17)
    assert one.unreadable == len(spoilt) + 3
    assert [record.levelname for record in caplog.records].count("WARNING") == 2
    assert "algorithm 999" in caplog.text


def test_what_was_redacted_is_in_no_bin_and_what_was_not_kept_neither() -> None:
    by, draw = watched(), random.Random(1)
    told = {"age": 30, "job": "cook", "member": True}
    redacted = {"age": "[redacted]", "job": "[redacted]", "member": True}
    entries = [entry(draw, by, NOON, told), entry(draw, by, NOON, redacted), entry(draw, by, NOON, input_data="null")]
    Log(draw).commit(entries, NOON)
    folded()
    (one,) = windows().values()
    assert (one.requests, one.unreadable, one.erased) == (3, 0, 0)
    from ml_pipeline.apps.monitoring import totals

    features = totals.summed([{"features": one.features}]).features
    assert {name: int(counts.sum()) for name, counts in features.items()} == {"age": 1, "job": 1, "member": 2}


def test_rows_are_found_however_long_before_its_commit_they_were_made() -> None:
    by, draw = watched(), random.Random(1)
    ago = [timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=400)]
    log = Log(draw)
    entries = [entry(draw, by, NOON)._replace(id=made_id(draw, NOON - one)) for one in ago]
    log.commit(entries, NOON)
    # A clock that was set back.
    log.commit([entry(draw, by, NOON)._replace(id=made_id(draw, NOON + timedelta(days=3)))], NOON)
    folded()
    assert sums("requests") == {NOON: 5}


def test_rows_of_a_batch_job_are_found_by_when_it_was_made() -> None:
    by, draw = watched(), random.Random(1)
    log = Log(draw)
    made_at = NOON - 9 * HOUR
    BatchJob.objects.create(
        uid=log.writer, parent_endpoint=by.parent_endpoint, parent_mlalgorithm=by, created_by="ann",
        created_at=made_at, file_name="f.csv", input_format="csv", output_format="csv", digest="0" * 64,
        runtime="onnx", revision=1, probabilities=False, log_requests=True, input_bytes=1,
    )  # fmt: skip
    ids = sorted(made_id(draw, made_at) for _ in range(60))
    entries = [entry(draw, by, NOON, job_id=1)._replace(id=one) for one in ids]
    for begin in (0, 20):
        log.commit(entries[begin : begin + 20], NOON)
    folded()
    # A later look goes on behind what was found.
    log.commit(entries[40:], NOON + HOUR)
    folded()
    assert (sums("requests"), sums("batched")) == ({NOON: 60}, {NOON: 60})


def test_hours_and_algorithms_are_kept_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding, "MOST_HOURS", 4)
    monkeypatch.setattr(folding, "MOST_ROWS", 30)
    draw = random.Random(1)
    algorithms = [watched("1"), watched("2")]
    log, expected = Log(draw), {}
    for hour in range(12):
        counts = [draw.randint(1, 20) for _ in algorithms]
        expected |= {(by.pk, NOON + hour * HOUR): count for by, count in zip(algorithms, counts, strict=True)}
        # The last moment of the hour and the first of the next.
        made = [
            entry(draw, by, NOON + hour * HOUR + draw.choice([timedelta(), HOUR - timedelta(microseconds=1)]))
            for by, count in zip(algorithms, counts, strict=True)
            for _ in range(count)
        ]
        for one in made:
            log.commit([one], NOON + (hour + 1) * HOUR)
    assert folded() > 5
    assert {key: one.requests for key, one in windows().items()} == expected


def test_a_window_is_small_however_many_rows_it_has() -> None:
    by, draw = watched(), random.Random(1)
    log = Log(draw)
    for _ in range(5):
        entries = [entry(draw, by, NOON) for _ in range(1_000)]
        log.commit(entries, NOON)
        tell((one, one.response) for one in entries)
    folded()
    one = Window.objects.get(hours=1)
    assert one.labelled == 5_000
    assert sum(len(text) for text in (one.traffic, one.performance, one.features, one.slices)) < 25_000
    assert measurements.MOST_LABELS == 5
