"""Rows of the Adult data for tests."""

from __future__ import annotations

from typing import Any

import pandas as pd
from homes import REPOSITORY

from ml_pipeline.server.demo_guide import PERSON

__all__ = ["PERSON", "as_rows", "held_out_people"]


def held_out_people() -> pd.DataFrame:
    """The 16,281 rows of the test part without their labels, as a notebook reads them: missing is NaN."""
    frame = pd.read_csv(REPOSITORY / "research" / "data" / "adult_test.csv.gz")
    return frame.drop(columns="income")


def as_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The frame's rows as JSON values, None for missing."""
    return frame.astype(object).where(frame.notna(), None).to_dict("records")
