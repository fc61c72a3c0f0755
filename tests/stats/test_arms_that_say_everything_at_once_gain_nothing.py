"""Chances that do not add up to 1, and shares that nobody can pair, are no way to be promoted."""

from __future__ import annotations

import pytest

from ml_pipeline.stats import pairing
from ml_pipeline.stats.metrics import Answer, Metric


def test_a_high_chance_for_every_label_scores_as_no_knowledge() -> None:
    metric = Metric("log_loss")
    everything = Answer(probabilities={"a": 1.0, "b": 1.0})
    knows_nothing = Answer(probabilities={"a": 0.5, "b": 0.5})
    for truth in ("a", "b"):
        assert metric.score(everything, truth) == metric.score(knows_nothing, truth)


def test_shares_that_never_make_a_pair_are_refused() -> None:
    with pytest.raises(ValueError, match="share"):
        pairing.block_sizes(0.99995, 0.00005)
