from __future__ import annotations

import json

import numpy as np
import pytest

from ml_pipeline.stats import latencies
from ml_pipeline.stats.latencies import Latencies

QUANTILES = (0, 0.001, 0.07, 0.25, 0.5, 0.9, 0.95, 0.99, 0.999, 1)
SAMPLES = {
    "usual": np.random.default_rng(1).lognormal(8, 1, 100_000).astype(np.int64),
    "small": np.arange(20),
    "one": np.array([1]),
    "none took any time": np.zeros(10, dtype=np.int64),
    "all sizes": (10 ** np.random.default_rng(2).uniform(0, 18.9, 20_000)).astype(np.int64),
    "edges": np.array([1, 2, 3, 10, 100, 10**6, 2**53, 2**63 - 1]),
    "heavy": (np.random.default_rng(3).pareto(0.7, 30_000) * 100).astype(np.int64),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_each_quantile_is_that_of_numpy(name: str) -> None:
    sample = SAMPLES[name]
    total = Latencies.from_json(json.loads(json.dumps(Latencies.of(sample).to_json())))
    assert total.count == len(sample)
    for q in QUANTILES:
        exact = np.quantile(sample, q, method="inverted_cdf")
        found = total.quantile(q)
        assert found is not None
        assert abs(found - exact) <= latencies.RELATIVE_ERROR * exact, (q, found, exact)


def test_the_mean_is_exact_even_where_the_sum_is_beyond_int64() -> None:
    sample = np.full(1_000, 2**62, dtype=np.int64)
    total = Latencies.of(sample) + Latencies.of([2**62])
    assert total.sum_us == 1_001 * 2**62
    assert total.mean == 2**62
    usual = SAMPLES["usual"]
    assert Latencies.of(usual).mean == pytest.approx(usual.mean(), rel=1e-12)


def test_a_clock_that_was_set_back_counts_as_0() -> None:
    assert Latencies.of([-5, 0, 3]).quantile(0.5) == 0
    assert Latencies.of([-5]).mean == 0


def test_without_any_there_is_no_quantile() -> None:
    for none in (Latencies.zero(), Latencies.of([]), Latencies.summed([])):
        assert (none.count, none.quantile(0.5), none.mean) == (0, None, None)


@pytest.mark.parametrize("q", [-0.1, 1.1, float("nan")])
def test_a_quantile_outside_0_and_1_is_refused(q: float) -> None:
    with pytest.raises(ValueError, match="within"):
        Latencies.of([1]).quantile(q)


def test_its_json_is_small() -> None:
    assert len(json.dumps(Latencies.of(SAMPLES["usual"]).to_json())) < 6_000
