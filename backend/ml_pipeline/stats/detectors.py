"""Detectors: from one true outcome after the other, when accuracy has fallen, and when it is back.

The Shiryaev-Roberts e-detector (Shin, Ramdas & Rinaldo 2024, "E-detectors: a nonparametric framework for sequential
change detection"): R ← (R + 1)(1 + λ(m - y)), where y is 1 for a right answer and m the level. It bets against
"accuracy is m or more" with four λ at once and gives an alarm where the mean of the four R reaches A. While accuracy is
at least m the mean of R grows by 1 a label at most, so that, however often one looks,

    P(a false alarm within T labels) ≤ (T + HEAD_START)/A.

λ = (m - q)/(m(1 - m)) makes 1 + λ(m - y) the likelihood ratio of accuracy q to accuracy m, which grows fastest where
accuracy fell to q. Each q has the odds of m divided by one of `_ODDS`: from 0.85 that is 0.82, 0.79, 0.76 and 0.74.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

# By how much accuracy may be below the reference's, as a share of the variance of one label, and at least.
MARGIN_SHARE, LEAST_MARGIN = 0.014, 1e-4
# A. With 10⁶ and no margin 1.7 % of simulated runs of 20,000 labels at 0.85 gave an alarm.
BOUND = 1.4e6
# What R begins with (as in the SR-r procedure of Tartakovsky, Moustakides & Polunchenko 2011): a drop at the first
# label is found as soon as a later one, which costs as much of the bound above as 500 labels do.
HEAD_START = 500.0
_ODDS = np.array([1.25, 1.6, 1.8, 2.0])


def margin_of(reference: float) -> float:
    """The margin where none is named: 0.0018 for a reference of 0.85, 0.0034 for 0.6, 0.0001 for 0.99."""
    return max(MARGIN_SHARE * reference * (1 - reference), LEAST_MARGIN)


@dataclass(frozen=True, slots=True)
class Change:
    """An alarm at the label of place `at` in its batch.

    `accuracy` is that of the last `labels` labels, since the evidence began to rise. It exaggerates, for chance has its
    part in an alarm: after a fall from 0.85 to 0.75 it is 0.72.
    """

    at: int
    is_drop: bool
    accuracy: float
    labels: int


class _Detector:
    """Evidence against a level, from labels in their order; the same however they are cut into batches."""

    _is_drop: ClassVar[bool]

    def __init__(self, level: float, bound: float = BOUND) -> None:
        if not 0 < level < 1:
            raise ValueError("a level of accuracy is above 0 and below 1")
        if not bound > HEAD_START:
            raise ValueError(f"a bound is above {HEAD_START:g}, which R begins with")
        self.level, self.bound = level, bound
        odds = level / (1 - level) * (1 / _ODDS if self._is_drop else _ODDS)
        accuracies = odds / (1 + odds)
        self._right: list[float] = (accuracies / level).tolist()
        self._wrong: list[float] = ((1 - accuracies) / (1 - level)).tolist()
        self._restart()

    def _restart(self) -> None:
        self._evidence = [HEAD_START] * len(_ODDS)
        # Labels since the evidence was last below its beginning, and how many of them were right.
        self._labels = self._rights = 0

    @property
    def evidence(self) -> float:
        """The mean of R as a share of A: 1 would be an alarm."""
        return sum(self._evidence) / len(_ODDS) / self.bound

    def observe(self, rights: ArrayLike) -> int | None:
        """The place of the label, of those of shape (n,), that gives an alarm: whether each answer was right, in order.

        None if none does; then all are counted. After an alarm it begins anew, and the labels after that place are
        not looked at yet: give it the rest.
        """
        change = self._change(np.asarray(rights, dtype=np.bool_).tolist())
        return change.at if change else None

    def _change(self, rights: list[bool]) -> Change | None:
        """As `observe`. A plain loop: in its order every sum is the same whatever the cut, to the last bit."""
        a, b, c, d = self._evidence
        right_a, right_b, right_c, right_d = self._right
        wrong_a, wrong_b, wrong_c, wrong_d = self._wrong
        bound, low = self.bound * len(_ODDS), HEAD_START * len(_ODDS)
        since, found = -1, None
        for at, is_right in enumerate(rights):
            if is_right:
                a, b, c, d = (a + 1) * right_a, (b + 1) * right_b, (c + 1) * right_c, (d + 1) * right_d
            else:
                a, b, c, d = (a + 1) * wrong_a, (b + 1) * wrong_b, (c + 1) * wrong_c, (d + 1) * wrong_d
            total = a + b + c + d
            if total < low:
                since = at
            elif total >= bound:
                found = at
                break
        self._evidence = [a, b, c, d]
        seen = rights[since + 1 : None if found is None else found + 1]
        if since >= 0:
            self._labels = self._rights = 0
        self._labels += len(seen)
        self._rights += sum(seen)
        if found is None:
            return None
        change = Change(found, self._is_drop, self._rights / self._labels, self._labels)
        self._restart()
        return change

    def state(self) -> dict[str, Any]:
        """What JSON keeps exactly, and `from_state` goes on from."""
        return {
            "level": self.level,
            "bound": self.bound,
            "evidence": list(self._evidence),
            "since": [self._labels, self._rights],
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """The detector that had this state."""
        detector = cls.__new__(cls)
        _Detector.__init__(detector, state["level"], state["bound"])
        detector._evidence = list(state["evidence"])
        detector._labels, detector._rights = state["since"]
        return detector


class AccuracyDrop(_Detector):
    """Whether accuracy has fallen below the reference's less a margin.

    With the defaults, while accuracy is the reference's, 0.6 to 0.8 % of runs of 20,000 labels have an alarm, whatever
    it is (1.5 % are proven). A drop from 0.85 to 0.75 is found after 296 labels on average, 255 if it is there from the
    first label on; one to 0.80 after 1,030. `margin` is by default `margin_of` the reference.
    """

    _is_drop = True

    def __init__(self, reference: float, margin: float | None = None, bound: float = BOUND) -> None:
        margin = margin_of(reference) if margin is None else margin
        if not 0 < margin < reference <= 1:
            raise ValueError("an accuracy is at most 1 and above its margin, which is above 0")
        super().__init__(reference - margin, bound)


class AccuracyRise(_Detector):
    """The mirror of `AccuracyDrop`: whether accuracy is above a level, R ← (R + 1)(1 + λ(y - m))."""

    _is_drop = False


class AccuracyWatch:
    """Drops and recoveries in turn: after the alarm of a drop, whether accuracy is back; then whether it falls again.

    It is back where it is above the level that it fell below less a third of the fall. Nearer to the level, a model as
    good as its reference would prove it after 100,000s of labels only; farther, a drop would be called over while it
    lasts, since what an alarm says of it is a little too much. From 0.75 back to 0.85 that takes 1,400 labels.
    """

    def __init__(self, reference: float, margin: float | None = None, bound: float = BOUND) -> None:
        self._drop = AccuracyDrop(reference, margin, bound)
        self._rise: AccuracyRise | None = None

    @property
    def is_down(self) -> bool:
        """Whether a drop was found and no recovery since."""
        return self._rise is not None

    def observe(self, rights: ArrayLike) -> list[Change]:
        """All changes among n labels, of shape (n,), in order: the same however labels are cut into batches."""
        rest = np.asarray(rights, dtype=np.bool_).tolist()
        changes: list[Change] = []
        begun = 0
        while (change := (self._rise or self._drop)._change(rest)) is not None:
            changes.append(Change(begun + change.at, change.is_drop, change.accuracy, change.labels))
            level = self._drop.level - (self._drop.level - change.accuracy) / 3
            self._rise = AccuracyRise(level, self._drop.bound) if change.is_drop else None
            begun, rest = begun + change.at + 1, rest[change.at + 1 :]
        return changes

    def state(self) -> dict[str, Any]:
        """What JSON keeps exactly, and `from_state` goes on from."""
        return {"drop": self._drop.state(), "rise": self._rise.state() if self._rise else None}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> AccuracyWatch:
        """The watch that had this state."""
        watch = cls.__new__(cls)
        watch._drop = AccuracyDrop.from_state(state["drop"])
        watch._rise = AccuracyRise.from_state(state["rise"]) if state["rise"] else None
        return watch
