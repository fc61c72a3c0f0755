"""A step of somebody's own, importable on the servers under test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin


class Rounded(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Rounds all numbers. Loaded, it writes the file `noticed`: the proof that somebody deserialised it."""

    def __init__(self, noticed: str = "") -> None:
        self.noticed = noticed

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if self.noticed:
            Path(self.noticed).write_text("loaded", encoding="utf-8")

    def fit(self, numbers: Any, classes: Any = None) -> Rounded:
        return self

    def transform(self, numbers: Any) -> Any:
        return np.asarray(numbers, dtype=np.float64).round()
