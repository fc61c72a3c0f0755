from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_pipeline.stats.metrics import Answer, Metric, cap_of

YES = Answer("yes", {"no": 0.2, "yes": 0.8})
OF_LABELS = [Metric("accuracy"), Metric("brier"), Metric("log_loss")]
OF_VALUES = [Metric("absolute_error", cap=5.0), Metric("squared_error", cap=25.0)]
REWARD = Metric("reward", low=-10.0, high=30.0)


@pytest.mark.parametrize(
    ("metric", "answer", "outcome", "score"),
    [
        (Metric("accuracy"), YES, "yes", 1.0),
        (Metric("accuracy"), YES, "no", 0.0),
        (Metric("brier"), YES, "yes", 1 - 0.2**2),
        (Metric("brier"), YES, "no", 1 - 0.8**2),
        (Metric("brier"), Answer(probabilities={"a": 0.5, "b": 0.3, "c": 0.2}), "a", 1 - (0.25 + 0.09 + 0.04) / 2),
        (Metric("brier"), Answer(probabilities={"a": 1.0, "b": 0.0}), "c", 0.0),
        (Metric("log_loss"), Answer(probabilities={"yes": 0.99, "no": 0.01}), "yes", 1.0),
        (Metric("log_loss"), Answer(probabilities={"yes": 1.0, "no": 0.0}), "yes", 1.0),
        (Metric("log_loss"), Answer(probabilities={"yes": 1.0, "no": 0.0}), "no", 0.0),
        (Metric("log_loss"), YES, "yes", math.log(80) / math.log(99)),
        (OF_VALUES[0], Answer(value=12.0), 10.0, 0.6),
        (OF_VALUES[0], Answer(value=100.0), 10.0, 0.0),
        (OF_VALUES[1], Answer(value=12.0), 10, 1 - 4 / 25),
        (OF_VALUES[1], Answer(value=1e300), 10, 0.0),
        (REWARD, Answer(), 20.0, 0.75),
        (REWARD, Answer(), 31.0, 1.0),
        (REWARD, Answer(), -11.0, 0.0),
    ],
)
def test_scores_are_what_their_definitions_say(metric: Metric, answer: Answer, outcome: Any, score: float) -> None:
    assert metric.score(answer, outcome) == pytest.approx(score, abs=1e-12)


def test_a_difference_of_log_losses_is_that_of_the_scores_by_log_99() -> None:
    first, second = 0.3, 0.65
    scores = [Metric("log_loss").score(Answer(probabilities={"yes": p}), "yes") for p in (first, second)]
    assert scores[1] - scores[0] == pytest.approx((math.log(second) - math.log(first)) / math.log(99))


@pytest.mark.parametrize("metric", [*OF_LABELS, *OF_VALUES, REWARD])
def test_a_failed_answer_gets_the_worst_score_and_no_outcome_gets_none(metric: Metric) -> None:
    assert metric.score(None, 10.0 if metric in (*OF_VALUES, REWARD) else "yes") == 0
    assert metric.score(YES, None) is None
    assert metric.score(None, None) is None


@pytest.mark.parametrize("metric", [*OF_LABELS, *OF_VALUES])
@pytest.mark.parametrize("answer", [Answer(), Answer(None, {"yes": math.nan, "no": math.nan}, math.nan)])
def test_an_answer_that_is_not_a_number_gets_the_worst_score(metric: Metric, answer: Answer) -> None:
    assert metric.score(answer, 10.0 if metric in OF_VALUES else "yes") == 0


@pytest.mark.parametrize("metric", [*OF_VALUES, REWARD])
@pytest.mark.parametrize("outcome", [math.nan, math.inf, "nan", "many"])
def test_an_outcome_that_is_not_a_number_is_refused(metric: Metric, outcome: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        metric.score(Answer(value=1.0), outcome)


ANY = st.floats(allow_nan=True, allow_infinity=True)


@given(st.sampled_from([*OF_VALUES, REWARD]), ANY, st.floats(allow_nan=False, allow_infinity=False))
def test_values_score_within_bounds(metric: Metric, value: float, outcome: float) -> None:
    score = metric.score(Answer(value=value), outcome)
    assert score is not None
    assert 0 <= score <= 1


@given(st.sampled_from(OF_LABELS), st.dictionaries(st.sampled_from("abc"), ANY), st.sampled_from("abc"))
def test_chances_score_within_bounds(metric: Metric, probabilities: dict[str, float], outcome: str) -> None:
    score = metric.score(Answer("a", probabilities), outcome)
    assert score is not None
    assert 0 <= score <= 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "f1"},
        {"name": "accuracy", "cap": 1.0},
        {"name": "absolute_error"},
        {"name": "absolute_error", "cap": 0.0},
        {"name": "absolute_error", "cap": math.nan},
        {"name": "reward"},
        {"name": "reward", "low": 0.0},
        {"name": "reward", "low": 1.0, "high": 1.0},
        {"name": "reward", "low": 0.0, "high": math.inf},
        # Their difference is infinite, and every score would be 0.
        {"name": "reward", "low": -1e308, "high": 1e308},
        {"name": "brier", "low": 0.0, "high": 1.0},
    ],
)
def test_a_metric_that_contradicts_itself_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        Metric(**wrong)


def test_a_cap_is_what_nearly_all_answers_of_a_reference_stay_below() -> None:
    losses = np.arange(1001)
    assert cap_of(losses) == 995
    assert cap_of([0.0] * 999 + [3.0]) == 3
    for wrong in ([], [0.0, 0.0], [1.0, math.nan]):
        with pytest.raises(ValueError, match="losses"):
            cap_of(wrong)
