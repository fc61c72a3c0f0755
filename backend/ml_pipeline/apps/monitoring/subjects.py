"""Subjects: algorithms as they are watched: their signatures, and where their reference profiles place values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from ml_pipeline.apps.endpoints.input_rules import REDACTED
from ml_pipeline.apps.endpoints.models import MLAlgorithm
from ml_pipeline.apps.ml import profile
from ml_pipeline.apps.ml.profile import bins
from ml_pipeline.apps.ml.signature import Signature
from ml_pipeline.errors import InvalidArtifact

Places: TypeAlias = npt.NDArray[np.int64]
# Features with no more categories make slices.
MOST_SLICES = 20
# The place of a value that is not known: it was redacted.
UNKNOWN = -1


class Part(NamedTuple):
    """The part of a reference profile that places the values of one feature; `size` is its number of places."""

    name: str
    about: dict[str, Any]
    size: int
    # Where the values of a categorical feature go that are no other value; None for numbers.
    known: dict[Any, int] | None

    @classmethod
    def of(cls, about: dict[str, Any]) -> Part:
        """That of a feature, or of the scores, in a profile."""
        outside = len(bins.OUTSIDE[about["kind"]])
        name = about.get("name", "")
        if about["kind"] == "numeric":
            return cls(name, about, len(about["edges"]) + outside, None)
        size = len(about["categories"])
        places: dict[Any, int] = {REDACTED: UNKNOWN, None: size, "": size}
        is_boolean = about["type"] == "boolean"
        for place, category in enumerate(about["categories"]):
            places[category == "true" if is_boolean else category] = place
        return cls(name, about, size + outside, places)

    @property
    def is_sliced(self) -> bool:
        """Whether its categories are few enough to be looked at one by one."""
        return self.known is not None and len(self.about["categories"]) <= MOST_SLICES

    def placed(self, cells: Sequence[Any]) -> Places:
        """The place of each of the JSON values `cells`, as `bins.placed` has it; UNKNOWN for what was redacted."""
        if self.known is None:
            return self._among_edges(cells)
        place, other = self.known.get, self.size - 1
        try:
            found = [place(cell, other) for cell in cells]
        except TypeError:
            found = [place(cell, other) if isinstance(cell, str | bool | None) else other for cell in cells]
        return np.array(found, dtype=np.int64)

    def _among_edges(self, cells: Sequence[Any]) -> Places:
        try:
            return bins.placed(self.about, np.array(cells, dtype=np.float64))
        except (TypeError, ValueError, OverflowError):
            numbers = [float(cell) if isinstance(cell, int | float) and abs(cell) < 1e300 else None for cell in cells]
        places = bins.placed(self.about, np.array(numbers, dtype=np.float64))
        is_unknown = [cell is not None and number is None for cell, number in zip(cells, numbers, strict=True)]
        return np.where(is_unknown, UNKNOWN, places)


class Subject(NamedTuple):
    """One algorithm. Without a reference profile `profile` is None, and nothing has a place."""

    pk: int
    signature: Signature
    labels: dict[str, int]
    profile: dict[str, Any] | None
    parts: tuple[Part, ...]
    scores: Part | None

    @property
    def is_classifier(self) -> bool:
        """Whether it answers with labels."""
        return self.signature.task == "classification"

    @property
    def accuracy(self) -> float | None:
        """Its accuracy on the reference rows, where that is known."""
        metrics = None if self.profile is None else self.profile["metrics"]
        return metrics["accuracy"] if metrics is not None and self.is_classifier else None

    @property
    def is_calibrated(self) -> bool:
        """Whether it is known how often it is right at which confidence."""
        return self.profile is not None and self.profile["calibrator"] is not None


def found(pks: Iterable[int]) -> dict[int, Subject]:
    """Those of the algorithms with these ids that are there and can be read."""
    rows = MLAlgorithm.objects.filter(pk__in=set(pks)).values_list("pk", "signature", "reference_profile")
    subjects = {}
    for pk, document, about in rows:
        try:
            signature = Signature.from_json(document)
        except InvalidArtifact:
            continue
        subjects[pk] = _subject(pk, signature, about)
    return subjects


def _subject(pk: int, signature: Signature, about: dict[str, Any] | None) -> Subject:
    labels = {label: place for place, label in enumerate(signature.labels)}
    if about is None or about.get("format") != profile.FORMAT:
        return Subject(pk, signature, labels, None, (), None)
    parts = tuple(Part.of(one) for one in about["features"])
    return Subject(pk, signature, labels, about, parts, Part.of(about["scores"]))
