"""To a pipeline NaN, None, the empty string and a category never seen are one thing, row by row and all together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import trained
from people import PERSON, held_out_people

from ml_pipeline.apps.ml.bundles import Bundle

TEXTS = [name for name, value in PERSON.items() if isinstance(value, str)]
NUMBERS = [name for name in PERSON if name not in TEXTS]


@pytest.fixture(scope="module", params=["random_forest", "extra_trees", "decision_tree"])
def pipeline(request: pytest.FixtureRequest, bundles: Path) -> Any:
    return trained.pipeline(Bundle(bundles / request.param))


@pytest.fixture(scope="module")
def incomplete() -> pd.DataFrame:
    """People of the test part who left something out, in columns that hold any object."""
    frame = held_out_people()
    return frame[frame.isna().any(axis=1)].astype(object)


def spelled(frame: pd.DataFrame, missing: Any) -> pd.DataFrame:
    """`frame` with `missing` for every missing text, as object columns hold it."""
    result = frame.copy()
    for name in TEXTS:
        cells = [missing if pd.isna(cell) else cell for cell in frame[name]]
        result[name] = pd.Series(cells, index=frame.index, dtype=object)
    return result


@pytest.mark.parametrize("missing", [np.nan, None, "", "?", "never seen"], ids=repr)
def test_missing_texts_are_alike(pipeline: Any, incomplete: pd.DataFrame, missing: Any) -> None:
    expected = pipeline.predict_proba(held_out_people().loc[incomplete.index])
    np.testing.assert_array_equal(pipeline.predict_proba(spelled(incomplete, missing)), expected)


def test_missing_numbers_are_alike(pipeline: Any, incomplete: pd.DataFrame) -> None:
    people = spelled(incomplete, None)[:20]
    for name in NUMBERS:
        first, second = (pipeline.predict_proba(people.assign(**{name: missing})) for missing in (np.nan, None))
        np.testing.assert_array_equal(first, second)


def test_nothing_known_is_still_a_person(pipeline: Any) -> None:
    nobody = pd.DataFrame([dict.fromkeys(PERSON)])
    probabilities = pipeline.predict_proba(nobody)
    assert probabilities.shape == (1, 2)
    assert np.isfinite(probabilities).all()
