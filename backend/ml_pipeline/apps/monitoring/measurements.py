"""Measurements: the totals of rows of the log, by hour: what was asked and answered, and how right it turned out.

A slice has the rows whose outcome is known and whose feature has one place in the profile. Its sums are, in
classification, the confusion [true][predicted], row after row, where there are at most MOST_LABELS labels, otherwise
[rows, correct]; in regression [rows, Σ|e|, Σe², Σe⁴] with e = predicted - true.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import compress
from operator import itemgetter
from typing import Any, NamedTuple, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from ml_pipeline.apps.ml import profile
from ml_pipeline.apps.monitoring.subjects import UNKNOWN, Part, Places, Subject
from ml_pipeline.apps.monitoring.totals import Numbers, Totals
from ml_pipeline.stats.classifications import Classification
from ml_pipeline.stats.estimates import Estimate
from ml_pipeline.stats.latencies import Latencies
from ml_pipeline.stats.regressions import Regression

# With more, a slice says how many were right, and not which were taken for which.
MOST_LABELS = 5
OK = "ok"
# An hour as its number since 1970.
ByHour: TypeAlias = dict[int, Totals]
_decode = msgspec.json.Decoder().decode


class Asked(NamedTuple):
    """A request as the log has it, or what is left of it.

    `hour` is the number of its hour since 1970, None where its time is none.
    """

    hour: int | None
    outcome: str
    job_id: int | None
    latency_us: int
    input_data: str
    response: str | None
    probability: float | None
    is_erased: bool


class Labelled(NamedTuple):
    """A request that was answered, and the JSON text of the outcome that was told of it first."""

    hour: int
    input_data: str
    response: str | None
    probability: float | None
    full_response: str
    value: str


class Rightness(NamedTuple):
    """Totals of outcomes by hour; and of a classifier, in the order of the rows, whether the answer was right."""

    by_hour: ByHour
    rights: npt.NDArray[np.bool_]


class _Inputs:
    # The cells of the inputs that were kept; `at` are the places of their rows.
    def __init__(self, subject: Subject, texts: Sequence[str]) -> None:
        self._names = [part.name for part in subject.parts]
        self.unreadable: list[int] = []
        found = [self._read(at, text) for at, text in enumerate(texts)] if self._names else []
        self.at = np.array([at for at, row in enumerate(found) if row is not None], dtype=np.int64)
        self._columns = self._cells([row for row in found if row is not None])

    def _read(self, at: int, text: str) -> dict[str, Any] | None:
        try:
            row = _decode(text)
        except (msgspec.DecodeError, TypeError):
            row = text
        if row is None or isinstance(row, dict):
            return row
        self.unreadable.append(at)
        return None

    def _cells(self, rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
        if not rows:
            return [()] * len(self._names)
        try:
            found = (
                map(itemgetter(*self._names), rows)
                if len(self._names) > 1
                else ((row[self._names[0]],) for row in rows)
            )
            return list(zip(*found, strict=True))
        except KeyError:
            return [tuple(row.get(name) for row in rows) for name in self._names]

    def places(self, subject: Subject, *, is_sliced: bool = False) -> Iterator[tuple[Part, Places]]:
        for part, cells in zip(subject.parts, self._columns, strict=True):
            if part.is_sliced or not is_sliced:
                yield part, part.placed(cells)


def requests(subject: Subject, rows: Sequence[Asked]) -> ByHour:
    """The totals of requests that `subject` was asked."""
    hours, outcomes, jobs, latencies, inputs, responses, told, erased = zip(*rows, strict=True)
    hour, is_erased = np.array(hours), np.array(erased, dtype=bool)
    is_ok = np.array([outcome == OK for outcome in outcomes])
    is_alone = np.array([job is None for job in jobs])
    latency_us = np.array(latencies, dtype=np.int64)
    kept = _Inputs(subject, inputs)
    is_unreadable = np.zeros(len(rows), dtype=bool)
    is_unreadable[kept.unreadable] = True
    placed = list(kept.places(subject))
    answers = _Answers(subject, responses, told, is_ok & ~is_erased)
    by_hour = {}
    for one in np.unique(hour).tolist():
        mask = hour == one
        alone = mask & is_alone
        totals = answers.totals(mask)
        totals.whole = {
            "requests": int(mask.sum()),
            "errors": int((mask & ~is_ok).sum()),
            "batched": int((mask & ~is_alone).sum()),
            "erased": int((mask & is_erased).sum()),
            "unreadable": int((mask & (is_unreadable | answers.is_unreadable)).sum()),
        }
        totals.errors = dict(Counter(compress(outcomes, (mask & ~is_ok).tolist())))
        # The rows of a batch job were not answered one by one.
        totals.latencies = Latencies.of(latency_us[alone])
        totals.features = {part.name: _counted(places[mask[kept.at]], part.size) for part, places in placed}
        by_hour[one] = totals
    return by_hour


class _Answers:
    # What was answered, of the rows in `is_answered`; NaN and UNKNOWN elsewhere and for what an algorithm did not say.
    def __init__(
        self, subject: Subject, responses: Sequence[Any], told: Sequence[Any], is_answered: npt.NDArray[np.bool_]
    ) -> None:
        self._subject, self.is_answered = subject, is_answered
        self.labels = np.full(len(responses), UNKNOWN, dtype=np.int64)
        if subject.is_classifier:
            # Responses that are no label of the algorithm are unknown ones.
            place = subject.labels.get
            self.labels = np.array([place(one, UNKNOWN) for one in responses], dtype=np.int64)
            self.labels[~is_answered] = UNKNOWN
            # Rounded to float32 a probability may exceed 1 by its last bit.
            self.scores = np.clip(np.array(told, dtype=np.float64), 0.0, 1.0)
            is_none = self.labels == UNKNOWN
        else:
            self.scores = np.array([_number(one) for one in responses], dtype=np.float64)
            is_none = np.isnan(self.scores)
        self.scores[~is_answered] = np.nan
        # Something was answered that this algorithm never says.
        self.is_unreadable = is_answered & is_none & np.array([one is not None for one in responses])

    @property
    def confidences(self) -> Numbers:
        """The probability of the label that was answered."""
        if len(self._subject.labels) != 2:
            return np.where(self.labels == UNKNOWN, np.nan, self.scores)
        return np.select([self.labels == 1, self.labels == 0], [self.scores, 1.0 - self.scores], np.nan)

    def totals(self, mask: npt.NDArray[np.bool_]) -> Totals:
        """Those of scores, labels and the estimate, of the rows in `mask`."""
        subject, totals = self._subject, Totals()
        mask = mask & self.is_answered
        if subject.scores is not None:
            totals.scores = _counted(subject.scores.placed(self.scores[mask].tolist()), subject.scores.size)
        if subject.is_classifier:
            totals.labels = _counted(self.labels[mask], len(subject.labels))
        if subject.profile is not None and subject.is_calibrated:
            totals.estimate = Estimate.of(profile.calibrated(subject.profile, self.confidences[mask]))
        return totals


def outcomes(subject: Subject, rows: Sequence[Labelled]) -> Rightness:
    """The totals of outcomes that were told of answers of `subject`."""
    hours, inputs, responses, told, replies, values = zip(*rows, strict=True)
    hour = np.array(hours)
    answers = _Answers(subject, responses, told, np.ones(len(rows), dtype=bool))
    truths, is_erased = _truths(subject, values)
    is_known = ~np.isnan(truths)
    is_said = (answers.labels != UNKNOWN) if subject.is_classifier else ~np.isnan(answers.scores)
    is_scored = is_known & is_said
    kept = _Inputs(subject, inputs)
    is_kept = is_scored[kept.at]
    placed = [(part, places[is_kept]) for part, places in kept.places(subject, is_sliced=True)]
    scored = _Scored(subject, answers, truths, replies)
    by_hour = {}
    for one in np.unique(hour).tolist():
        mask = hour == one
        totals = scored.totals(mask & is_scored)
        totals.whole |= {
            # Erased feedback, or feedback on what was erased.
            "erased": int((mask & is_erased).sum()),
            "unreadable": int((mask & ~is_known & ~is_erased).sum()),
            "unscored": int((mask & is_known & ~is_said).sum()),
        }
        chosen = kept.at[is_kept]
        within = mask[chosen]
        totals.slices = {part.name: scored.slices(chosen[within], places[within], part.size) for part, places in placed}
        by_hour[one] = totals
    return Rightness(by_hour, scored.is_right[is_scored] if subject.is_classifier else np.zeros(0, dtype=bool))


class _Scored:
    # Answers beside what was true.
    def __init__(self, subject: Subject, answers: _Answers, truths: Numbers, replies: Sequence[str]) -> None:
        self._subject, self._answers = subject, answers
        if subject.is_classifier:
            self._true = np.where(np.isnan(truths), UNKNOWN, truths).astype(np.int64)
            self.is_right = self._true == answers.labels
            self._probabilities = _probabilities(subject, answers, replies)
            self._sums = self._sums_of_labels
        else:
            self._true_values = truths
            self._sums = self._sums_of_errors

    def totals(self, mask: npt.NDArray[np.bool_]) -> Totals:
        rows = int(mask.sum())
        if not self._subject.is_classifier:
            regression = Regression.of(self._true_values[mask], self._answers.scores[mask])
            return Totals({"labelled": rows}, outcomes=regression)
        correct = int((mask & self.is_right).sum())
        true, labels, given = self._true[mask], self._answers.labels[mask], self._probabilities[mask]
        total = Classification.of(true, labels, given, labels=len(self._subject.labels))
        return Totals({"labelled": rows, "correct": correct}, outcomes=total)

    def slices(self, at: Places, places: Places, size: int) -> Numbers:
        is_known = places != UNKNOWN
        return self._sums(at[is_known], places[is_known], size)

    def _sums_of_labels(self, at: Places, places: Places, size: int) -> Numbers:
        labels = len(self._subject.labels)
        if labels <= MOST_LABELS:
            cells = (places * labels + self._true[at]) * labels + self._answers.labels[at]
            return np.bincount(cells, minlength=size * labels**2).reshape(size, labels**2)
        right = self.is_right[at]
        return np.stack([np.bincount(places, minlength=size), np.bincount(places[right], minlength=size)], axis=1)

    def _sums_of_errors(self, at: Places, places: Places, size: int) -> Numbers:
        with np.errstate(over="ignore"):
            errors = np.abs(self._answers.scores[at] - self._true_values[at])
            powers = (errors**0, errors, errors**2, errors**4)
        return np.stack([np.bincount(places, one, minlength=size) for one in powers], axis=1)


def _truths(subject: Subject, values: Sequence[str]) -> tuple[Numbers, npt.NDArray[np.bool_]]:
    # Places of labels, or numbers; NaN for what is none. And which were erased.
    found = [_value(text) for text in values]
    if subject.is_classifier:
        truths = [subject.labels.get(one, math.nan) if isinstance(one, str) else math.nan for one in found]
    else:
        truths = [_number(one) for one in found]
    return np.array(truths, dtype=np.float64), np.array([one is None for one in found])


def _value(text: str) -> Any:
    try:
        return _decode(text)
    except (msgspec.DecodeError, TypeError):
        return math.nan


def _probabilities(subject: Subject, answers: _Answers, replies: Sequence[str]) -> Numbers:
    # Shape (n, labels), NaN where they are not known.
    if len(subject.labels) == 2:
        return np.stack([1.0 - answers.scores, answers.scores], axis=1)
    missing = [math.nan] * len(subject.labels)
    return np.array([_of_reply(subject, reply) or missing for reply in replies], dtype=np.float64)


def _of_reply(subject: Subject, reply: str) -> list[float] | None:
    found = _value(reply)
    named = found.get("probabilities") if isinstance(found, dict) else None
    if not isinstance(named, dict):
        return None
    numbers = [named.get(label) for label in subject.labels]
    return [_number(one) for one in numbers]


def _number(value: Any) -> float:
    # Responses are texts, outcomes numbers.
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan
    return number if math.isfinite(number) else math.nan


def _counted(places: Places, size: int) -> Numbers:
    counts: Numbers = np.bincount(places[places != UNKNOWN], minlength=size)
    return counts
