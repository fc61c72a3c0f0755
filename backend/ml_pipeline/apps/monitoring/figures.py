"""Figures: what one algorithm's totals say, in JSON for people and programs.

Numbers that people act on come as `{"value", "low", "high"}` at 95 %. None stands for what is not known or not defined.
"""

from __future__ import annotations

from typing import Any, Final

from ml_pipeline.apps.ml.profile import bins
from ml_pipeline.apps.monitoring.subjects import Part, Subject
from ml_pipeline.apps.monitoring.totals import Numbers, Totals
from ml_pipeline.stats import intervals
from ml_pipeline.stats.classifications import Classification
from ml_pipeline.stats.latencies import RELATIVE_ERROR, Latencies

BLIND: Final = (
    "An estimate from the model's own confidences, calibrated on the reference: it sees what other inputs do to "
    "accuracy, and is blind to a change of what is true of an input (concept drift)."
)
QUANTILES: Final = {"p50": 0.50, "p90": 0.90, "p99": 0.99}


def told(subject: Subject, totals: Totals) -> dict[str, Any]:
    """Everything but slices and what the detector says."""
    return {
        **traffic(totals),
        "labels": _labels(subject, totals.labels),
        "scores": _scores(subject.scores, totals.scores),
        "features": [
            _feature(part, totals.features[part.name]) for part in subject.parts if part.name in totals.features
        ],
        "feedback": feedback(totals),
        "performance": performance(subject, totals),
        "reference": _reference(subject),
        "estimate": estimate(subject, totals),
    }


def traffic(totals: Totals) -> dict[str, Any]:
    """Requests, errors and latencies."""
    requests, errors = totals.whole.get("requests", 0), totals.whole.get("errors", 0)
    return {
        "requests": requests,
        "batched": totals.whole.get("batched", 0),
        "errors": dict(sorted(totals.errors.items())),
        "error_rate": intervals.proportion(errors, requests),
        "erased": totals.whole.get("erased", 0),
        "unreadable": totals.whole.get("unreadable", 0),
        "latency_us": _latency(totals.latencies),
    }


def feedback(totals: Totals) -> dict[str, Any]:
    """How many outcomes are known. Only the first of a request counts, corrections do not."""
    whole = totals.whole
    labelled = whole.get("labelled", 0)
    # Outcomes can be in before their requests are.
    answered = max(whole.get("requests", 0) - whole.get("errors", 0), labelled)
    return {
        "labelled": labelled,
        "coverage": intervals.proportion(labelled, answered),
        "unscored": whole.get("unscored", 0),
        "rewarded": whole.get("rewarded", 0),
    }


def performance(subject: Subject, totals: Totals) -> dict[str, Any] | None:
    """How right the answers were whose outcome is known; None where none is."""
    if totals.outcomes is None or not totals.whole.get("labelled", 0):
        return None
    found = totals.outcomes.metrics()
    if isinstance(totals.outcomes, Classification):
        names = subject.signature.labels
        found["labels"] = [{"label": name, **one} for name, one in zip(names, found["labels"], strict=True)]
    return found


def quantiles(latencies: Latencies) -> dict[str, float | None]:
    """The latencies in µs that half, nine in ten and 99 in 100 answers did not exceed."""
    return {name: latencies.quantile(q) for name, q in QUANTILES.items()}


def estimate(subject: Subject, totals: Totals) -> dict[str, Any] | None:
    """The accuracy to be expected without outcomes; None where the reference has no calibration."""
    if totals.estimate is None:
        return None
    return {**totals.estimate.metrics(subject.accuracy), "is_estimate": True, "note": BLIND}


def _reference(subject: Subject) -> dict[str, Any] | None:
    metrics = None if subject.profile is None else subject.profile["metrics"]
    return None if metrics is None else {name: value for name, value in metrics.items() if name != "caps"}


def _latency(latencies: Latencies | None) -> dict[str, Any] | None:
    # Rows of batch jobs have none.
    if latencies is None or not latencies.count:
        return None
    return {**quantiles(latencies), "mean": latencies.mean, "relative_error": RELATIVE_ERROR}


def _labels(subject: Subject, counts: Numbers | None) -> list[dict[str, Any]] | None:
    if counts is None:
        return None
    total = int(counts.sum())
    return [
        {"label": label, "count": count, "share": _share(count, total)}
        for label, count in zip(subject.signature.labels, counts.tolist(), strict=True)
    ]


def _scores(part: Part | None, counts: Numbers | None) -> dict[str, Any] | None:
    if part is None or counts is None:
        return None
    about = part.about
    size = len(about["edges"])
    names = bins.OUTSIDE["numeric"]
    return {
        "of": about["of"],
        "low": about["low"],
        "edges": about["edges"],
        "counts": counts[:size].tolist(),
        **dict(zip(names, counts[size:].tolist(), strict=True)),
        "reference": {name: about[name] for name in ("counts", *names)},
    }


def _feature(part: Part, counts: Numbers) -> dict[str, Any]:
    outside = bins.OUTSIDE[part.about["kind"]]
    reference = [sum(part.about["counts"]), *(part.about[name] for name in outside)]
    found = counts.tolist()
    size = len(found) - len(outside)
    return {
        "name": part.name,
        **_outside(outside, [sum(found[:size]), *found[size:]]),
        "reference": _outside(outside, reference),
    }


def _outside(names: tuple[str, ...], counts: list[int]) -> dict[str, Any]:
    # `counts` begins with what is in a bin.
    rows = sum(counts)
    shares = {name: _share(count, rows) for name, count in zip(names, counts[1:], strict=True)}
    missing = shares.pop("null")
    return {"rows": rows, "missing": missing, "unseen": _share(sum(counts[2:]), rows), **shares}


def _share(count: int, total: int) -> float | None:
    return count / total if total else None
