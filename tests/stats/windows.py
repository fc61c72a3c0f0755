"""Windows of the Adult data: a reference profile, held-out rows in its bins, and what can happen to a feature."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from homes import REPOSITORY
from numpy.typing import NDArray
from people import as_rows

from ml_pipeline.apps.ml.profile import bins
from ml_pipeline.apps.ml.signature import Signature, inferred_feature
from ml_pipeline.stats import drift
from ml_pipeline.stats.drift import Judgement

Places = dict[str, NDArray[np.int64]]
Column = NDArray[Any]


def people() -> pd.DataFrame:
    """All 48,842 rows, without their labels."""
    parts = [pd.read_csv(REPOSITORY / "research" / "data" / f"adult_{part}.csv.gz") for part in ("train", "test")]
    return pd.concat(parts, ignore_index=True).drop(columns="income")


class World:
    """A reference of so many rows drawn from `frame`, its profile, and the rest, of which windows of `n` are drawn."""

    def __init__(self, frame: pd.DataFrame, seed: int, reference: int, n: int) -> None:
        self.n, self.rng = n, np.random.default_rng(seed)
        rows = as_rows(frame.head(2_000))
        signature = Signature(
            tuple(inferred_feature(name, [row[name] for row in rows], nullable=True) for name in frame), "regression"
        )
        order = self.rng.permutation(len(frame))
        self.columns = signature.columns(as_rows(frame.iloc[order[reference:]]))
        drawn = signature.columns(as_rows(frame.iloc[order[:reference]]))
        self.parts = {feature.name: bins.frozen(feature, drawn[feature.name]) for feature in signature.features}
        self.reference = [_counts(part) for part in self.parts.values()]
        self.places: Places = {name: bins.placed(part, self.columns[name]) for name, part in self.parts.items()}

    def drawn(self) -> NDArray[np.int64]:
        """Held-out rows, none twice."""
        return self.rng.choice(len(self.places["age"]), self.n, replace=False)

    def judged(self, rows: NDArray[np.int64], **changed: NDArray[np.int64]) -> dict[str, Judgement]:
        """By feature; `changed` are the places of features that are not as in `rows`."""
        counts = [
            np.bincount(changed.get(name, places[rows]), minlength=len(self.reference[at]))
            for at, (name, places) in enumerate(self.places.items())
        ]
        return dict(zip(self.parts, drift.judged(self.reference, counts), strict=True))

    def alarms(self, windows: int) -> int:
        """How many windows without drift have a feature that has drifted."""
        return sum(any(one.is_drifted for one in self.judged(self.drawn()).values()) for _ in range(windows))

    def found(self, name: str, column: Column, windows: int) -> float:
        """The share of windows in which `name` is said to have drifted where its column is this one."""
        places = bins.placed(self.parts[name], column)
        return self._share(name, windows, lambda rows: places[rows])

    def found_where_replaced(self, name: str, outside: str, windows: int) -> float:
        """As `found` where 15 % of a window's rows are "null" or of an "other" category."""
        part = self.parts[name]
        size = len(part["edges"] if part["kind"] == "numeric" else part["categories"])
        place = size + bins.OUTSIDE[part["kind"]].index(outside)

        def replaced(rows: NDArray[np.int64]) -> NDArray[np.int64]:
            places = self.places[name][rows]
            places[self.rng.choice(self.n, round(0.15 * self.n), replace=False)] = place
            return places

        return self._share(name, windows, replaced)

    def found_where_doubled(self, name: str, place: int, windows: int) -> float:
        """As `found` where a category has twice its share of the rows."""
        is_one = self.places[name] == place
        size = round(2 * is_one.mean() * self.n)
        found = 0
        for _ in range(windows):
            ones = self.rng.choice(np.flatnonzero(is_one), size, replace=size > is_one.sum())
            others = self.rng.choice(np.flatnonzero(~is_one), self.n - size, replace=False)
            found += self.judged(np.concatenate([ones, others]))[name].is_drifted
        return found / windows

    def common(self) -> list[tuple[str, int]]:
        """The categories that have 15 % or more of the held-out rows and can have twice as many."""
        return [
            (name, place)
            for name, part in self.parts.items()
            if part["kind"] == "categorical"
            for place in range(len(part["categories"]))
            if 0.15 <= (self.places[name] == place).mean() <= 0.5
        ]

    def _share(self, name: str, windows: int, changed: Any) -> float:
        found = 0
        for _ in range(windows):
            rows = self.drawn()
            found += self.judged(rows, **{name: changed(rows)})[name].is_drifted
        return found / windows


def _counts(part: dict[str, Any]) -> list[int]:
    return [*part["counts"], *(part[name] for name in bins.OUTSIDE[part["kind"]])]
