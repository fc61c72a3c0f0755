"""The accuracy-drop detector: what it promises, on simulated labels with seeds; `-s` shows the figures."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
import streams
from hypothesis import given, settings
from hypothesis import strategies as some

from ml_pipeline.stats import detectors
from ml_pipeline.stats.detectors import AccuracyDrop, AccuracyRise, AccuracyWatch

repeatable = settings(derandomize=True, deadline=None, max_examples=60)


def labels(seed: int, *phases: tuple[int, float]) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.random(count) < accuracy for count, accuracy in phases])


def test_it_is_the_recursion_that_it_says() -> None:
    level = 0.85 - detectors.margin_of(0.85)
    evidence, expected = np.full(4, detectors.HEAD_START), None
    rights = labels(1, (800, 0.85), (2_000, 0.75))
    for at, is_right in enumerate(rights):
        evidence = (evidence + 1) * (1 + streams.lambdas(level) * (level - is_right))
        if evidence.mean() >= detectors.BOUND:
            expected = at
            break
    assert expected is not None
    assert expected > 800
    assert AccuracyDrop(0.85).observe(rights) == expected


def test_a_fall_to_075_is_found_after_300_labels_on_average() -> None:
    for name, before in (("at once", 0), ("after 5,000 labels", 5_000)):
        found = streams.first_alarms(np.random.default_rng(2), 0.85, [(before, 0.85), (20_000, 0.75)], 2_000)
        print(f"0.85 to 0.75 {name}: found after a mean of {found.mean():.0f} labels")
        assert (found >= 0).all()
        assert found.mean() <= 300


def test_a_fall_to_080_is_found_after_a_thousand_labels_on_average() -> None:
    found = streams.first_alarms(np.random.default_rng(3), 0.85, [(5_000, 0.85), (60_000, 0.80)], 1_000)
    print(f"0.85 to 0.80: found after a mean of {found.mean():.0f} labels")
    assert (found >= 0).all()
    assert found.mean() <= 1_100


def test_without_a_fall_one_run_of_20000_labels_in_a_hundred_gives_an_alarm_at_most() -> None:
    found = streams.first_alarms(np.random.default_rng(4), 0.85, [(20_000, 0.85)], 4_000)
    print(f"0.85: a false alarm within 20,000 labels in {(found >= 0).mean():.2%} of runs")
    assert (found >= 0).mean() <= 0.01


def test_simulated_alarms_are_those_of_the_detector() -> None:
    class Replayed:
        """The same labels for the formula, run by run, as for the product."""

        def __init__(self, rights: np.ndarray) -> None:
            self.columns = iter(rights.T)

        def random(self, size: int, dtype: type) -> np.ndarray:
            return np.where(next(self.columns), 0.0, 1.0)

    for seed in range(20):
        rights = labels(seed, (1_500, 0.8))
        alone = streams.first_alarms(Replayed(rights[None]), 0.85, [(1_500, 0.8)], 1)[0]  # type: ignore[arg-type]
        assert (AccuracyDrop(0.85).observe(rights) if alone >= 0 else -1) == alone


@repeatable
@given(some.lists(some.integers(1, 4_000), max_size=8), some.integers(0, 1_000))
def test_alarms_are_the_same_however_labels_are_cut(cuts: list[int], seed: int) -> None:
    rights = labels(seed, (500, 0.85), (1_200, 0.7), (1_500, 0.9), (800, 0.6))
    whole = AccuracyWatch(0.85)
    changes = whole.observe(rights)
    assert [change.is_drop for change in changes][:2] == [True, False]
    parts, found, begun = AccuracyWatch(0.85), [], 0
    for part in np.split(rights, sorted(set(cuts))):
        for change in parts.observe(part):
            found.append((begun + change.at, change.is_drop, change.accuracy, change.labels))
        begun += len(part)
        parts = AccuracyWatch.from_state(json.loads(json.dumps(parts.state(), allow_nan=False)))
    assert found == [(change.at, change.is_drop, change.accuracy, change.labels) for change in changes]
    # To the last bit.
    assert parts.state() == whole.state()
    assert parts.is_down == whole.is_down


def test_after_an_alarm_it_begins_anew_with_the_rest() -> None:
    rights = labels(5, (6_000, 0.6))
    detector, begun, alarms = AccuracyDrop(0.85), 0, []
    while (at := detector.observe(rights[begun:])) is not None:
        begun += at + 1
        alarms.append(at)
    assert len(alarms) > 20
    assert 40 < np.mean(alarms) < 120
    fresh = AccuracyDrop(0.85)
    fresh.observe(rights[begun:])
    assert detector.state() == fresh.state()


def test_an_alarm_says_about_how_far_accuracy_fell() -> None:
    said = []
    for seed in range(30):
        (change, *_) = AccuracyWatch(0.85).observe(labels(seed, (3_000, 0.85), (3_000, 0.7)))
        assert change.is_drop
        assert 0 < change.labels <= change.at + 1
        said.append(change.accuracy)
    # A little too much: chance has its part in an alarm.
    assert 0.64 <= np.mean(said) <= 0.7


def test_recovery_is_found_and_a_drop_that_lasts_is_not_called_one() -> None:
    back, never = [], 0
    for seed in range(20):
        watch = AccuracyWatch(0.85)
        watch.observe(labels(seed, (3_000, 0.85), (2_000, 0.75)))
        assert watch.is_down
        changes = watch.observe(labels(100 + seed, (8_000, 0.85)))
        assert not changes[0].is_drop
        back.append(changes[0].at)
        lasting = AccuracyWatch(0.85)
        never += len(lasting.observe(labels(200 + seed, (12_000, 0.75 if seed % 2 else 0.8)))) > 1
    print(f"recovery to 0.85 from 0.75: found after a mean of {np.mean(back):.0f} labels")
    assert np.mean(back) < 2_000
    assert never == 0


def test_a_rise_is_the_mirror_of_a_drop() -> None:
    rights = labels(6, (3_000, 0.7))
    drop, rise = AccuracyDrop(0.81, 0.01), AccuracyRise(1 - (0.81 - 0.01))
    at = drop.observe(rights)
    assert at is not None
    assert rise.observe(~rights) == at


def test_evidence_is_a_share_of_what_gives_an_alarm() -> None:
    detector = AccuracyDrop(0.85)
    begun = detector.evidence
    assert begun == detectors.HEAD_START / detectors.BOUND
    detector.observe(np.zeros(5, dtype=bool))
    assert begun < detector.evidence < 1
    detector.observe(np.ones(100_000, dtype=bool))
    assert 0 < detector.evidence < begun


@pytest.mark.parametrize("reference", [0.002, 0.5, 0.999, 1.0])
def test_any_reference_has_a_detector(reference: float) -> None:
    detector = AccuracyDrop(reference)
    assert detector.observe(np.ones(1_000)) is None
    json.dumps(detector.state(), allow_nan=False)
    assert detector.observe(np.zeros(100_000)) is not None


@pytest.mark.parametrize(("reference", "margin"), [(0.0, None), (0.001, 0.001), (1.1, 0.01), (0.5, 0.0)])
def test_a_reference_that_nothing_can_fall_below_is_refused(reference: float, margin: float | None) -> None:
    with pytest.raises(ValueError, match="margin"):
        AccuracyDrop(reference, margin)


def test_a_million_labels_take_some_seconds_at_most() -> None:
    rights = labels(7, (300_000, 0.87))
    begun = time.perf_counter()
    assert AccuracyDrop(0.85).observe(rights) is None
    speed = len(rights) / (time.perf_counter() - begun)
    # A million a second on the machine this was written on; others work on it too.
    print(f"{speed:,.0f} labels a second")
    assert speed > 100_000
