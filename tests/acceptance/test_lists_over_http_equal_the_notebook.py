"""Every row of the test data in lists, over HTTP: labels as in a notebook, probabilities within 1e-5."""

from __future__ import annotations

from pathlib import Path

import joblib
import pandas as pd
import pytest
from notebook import ALGORITHMS, assert_equal_to_the_notebook, in_lists, made_up, one_by_one
from people import as_rows, held_out_people
from servers import BY_ASGI, Server

pytestmark = BY_ASGI


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return held_out_people()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_in_lists(door: Server, bundles: Path, frame: pd.DataFrame, algorithm: str) -> None:
    pipeline = joblib.load(bundles / algorithm / "model.joblib")
    assert_equal_to_the_notebook(in_lists(door, as_rows(frame), algorithm), pipeline, frame)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_rows_that_nobody_has_seen(door: Server, bundles: Path, frame: pd.DataFrame, algorithm: str) -> None:
    pipeline = joblib.load(bundles / algorithm / "model.joblib")
    strange = made_up(frame)
    assert_equal_to_the_notebook(in_lists(door, as_rows(strange), algorithm), pipeline, strange)


@pytest.mark.parametrize("algorithm", ALGORITHMS[1:])
def test_the_first_500_one_by_one_by_the_others(
    door: Server, bundles: Path, frame: pd.DataFrame, algorithm: str
) -> None:
    answers = one_by_one(door, as_rows(frame.head(500)), algorithm)
    assert_equal_to_the_notebook(answers, joblib.load(bundles / algorithm / "model.joblib"), frame.head(500))
