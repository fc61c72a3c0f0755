"""Drifts: whether the rows of some hours come from elsewhere than the reference's, by each feature and by the scores.

What is judged are the counts of the windows against those of the reference profile, by two keys (see `stats.drift`):
beyond chance, and large. Beside it stands what the model's own confidences say of accuracy, as an estimate. A drift is
no damage: it says where to look.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from ml_pipeline.apps.ml.profile import bins
from ml_pipeline.apps.monitoring import figures, pooling, wording
from ml_pipeline.apps.monitoring.pooling import Pair
from ml_pipeline.apps.monitoring.subjects import Part, Subject
from ml_pipeline.apps.monitoring.totals import Totals
from ml_pipeline.stats import drift, intervals
from ml_pipeline.stats.drift import MIN_ROWS, Judgement

# What is read of the windows.
PARTS: Final = ("features", "performance")
WITHOUT_REFERENCE: Final = "The algorithm was registered without reference rows, to which others could be compared."


class Finding(NamedTuple):
    """What a test says: of how many rows, how many features and scores it judged, and what it found, as JSON."""

    rows: int
    tested: int
    is_alarm: bool
    result: dict[str, Any]

    @property
    def drifted(self) -> list[dict[str, Any]]:
        """Those of its features, and the scores, that have drifted, the farthest first."""
        both = [*self.result["features"], *filter(None, [self.result["score"]])]
        return sorted((one for one in both if one["is_drifted"]), key=lambda one: -one["excess"])


def rows(totals: Totals) -> int:
    """How many rows have what is judged: those that were answered, not erased, and whose inputs were kept.

    Where no inputs are kept at all, it is the scores that are judged.
    """
    return min(answered(totals), kept(totals)) if kept(totals) else answered(totals)


def answered(totals: Totals) -> int:
    """How many rows have a score, those that an algorithm said nothing of among them."""
    return 0 if totals.scores is None else int(totals.scores.sum())


def kept(totals: Totals) -> int:
    """Of how many rows a feature is known, of that which is known of most."""
    return max((int(counts.sum()) for counts in totals.features.values()), default=0)


def judged(subject: Subject, totals: Totals) -> Finding:
    """The finding on these totals. ValueError where the algorithm has no reference profile."""
    if subject.profile is None or subject.scores is None:
        raise ValueError(WITHOUT_REFERENCE)
    counts = [(part, totals.features[part.name]) for part in subject.parts if part.name in totals.features]
    if totals.scores is not None:
        counts.append((subject.scores, totals.scores))
    # Of a feature that was redacted for a while fewer rows are known.
    tested = [(part, found) for part, found in counts if found.sum() >= MIN_ROWS]
    pairs = [pooling.pooled(part, _reference(part), found.tolist()) for part, found in tested]
    judgements = drift.judged([before for before, _ in pairs], [now for _, now in pairs])
    parts = [part for part, _ in tested]
    described = [_described(*one) for one in zip(parts, pairs, judgements, strict=True)]
    scores = [one for one, part in zip(described, parts, strict=True) if part is subject.scores]
    features = [one for one, part in zip(described, parts, strict=True) if part is not subject.scores]
    judged_names = {one["name"] for one in features}
    result = {
        "features": features,
        "score": scores[0] if scores else None,
        "untested": [part.name for part in subject.parts if part.name not in judged_names],
        "estimate": _estimate(subject, totals),
    }
    # Where too few inputs were kept, it is the scores that were judged.
    judged_rows = rows(totals) if features else answered(totals)
    return Finding(judged_rows, len(tested), any(one["is_drifted"] for one in described), result)


def told(subject: Subject, totals: Totals) -> dict[str, Any]:
    """A test of any range in JSON: `state` is unavailable, too_few_rows, drifted or alike; and what was found."""
    if subject.profile is None:
        return {"state": "unavailable", "unavailable": WITHOUT_REFERENCE}
    about = {"rows": rows(totals), "needed": MIN_ROWS}
    if about["rows"] < MIN_ROWS:
        return {"state": "too_few_rows", **about}
    finding = judged(subject, totals)
    state = "drifted" if finding.is_alarm else "alike"
    return {"state": state, **about, "tested": finding.tested, "is_alarm": finding.is_alarm, "result": finding.result}


def _reference(part: Part) -> list[int]:
    about = part.about
    return [*about["counts"], *(about[name] for name in bins.OUTSIDE[about["kind"]])]


def _described(part: Part, counts: Pair, one: Judgement) -> dict[str, Any]:
    return {
        "name": part.name or "score",
        "rows": one.rows,
        "p": one.p,
        "q": one.q,
        "psi": one.psi,
        "excess": one.excess,
        "is_drifted": one.is_drifted,
        "words": None if one.place is None else wording.told(part, *counts, one.place),
    }


def _estimate(subject: Subject, totals: Totals) -> dict[str, Any] | None:
    found = figures.estimate(subject, totals)
    if found is None or subject.profile is None:
        return found
    metrics = subject.profile["metrics"]
    known = metrics is not None and subject.accuracy is not None
    interval = intervals.proportion(round(metrics["accuracy"] * metrics["rows"]), metrics["rows"]) if known else None
    return {**found, "reference": interval}
