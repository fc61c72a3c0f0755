"""Sentences: what an endpoint did in a range, what changed, and above all what is to be looked at."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from ml_pipeline.apps.monitoring.report import shapes, shown
from ml_pipeline.apps.monitoring.report.facts import Facts
from ml_pipeline.charts import figures
from ml_pipeline.stats import intervals

# A larger share of failed requests is looked at.
MOST_ERRORS: Final = 0.01
_NAMED = 3


class Lead(NamedTuple):
    """What stands at the top: a headline, what to look at, and what went on."""

    headline: str
    looks: list[str]
    told: list[str]


def lead(found: Facts) -> Lead:
    """The lead of the page."""
    if not found.requests and not found.told["algorithms"]:
        return Lead("Nothing was asked in this time", [], [*_production(found), *_before(found)])
    looks = [line for tell in (_detector, _performance) for one in found.algorithms for line in tell(one)]
    looks += [*_errors(found), *(line for one in found.algorithms for line in _slices(one))]
    looks += [line for one in found.algorithms for line in _drift(found, one)]
    told = [*_production(found), *_traffic(found), *_before(found), *_knowledge(found)]
    if not looks:
        return Lead("Nothing stands out", [], told)
    many = "One thing" if len(looks) == 1 else f"{len(looks)} things"
    return Lead(f"{many} to look at", looks, told)


def current(found: Facts) -> str:
    """How current the figures are."""
    behind_s = found.told["folded"]["behind_s"]
    if not behind_s:
        return "All requests and outcomes that were logged are counted."
    return f"The oldest request or outcome that is not counted yet has waited for {figures.span(behind_s)}."


def _production(found: Facts) -> list[str]:
    told = [f"{one.name} went into production on {figures.moment(one.created_at)}." for one in found.promotions]
    told = [shown.name(one, 160) for one in told]
    if found.more_promotions:
        told.append(f"Before that there were {figures.counted(found.more_promotions, 'other change')} of that kind.")
    if not found.production:
        return [*told, "None of these algorithms is in production now."]
    names = " and ".join(shown.name(f"{one.name} {one.version}") for one in found.production)
    return [f"In production is {names}.", *told]


def _traffic(found: Facts) -> list[str]:
    rate = intervals.proportion(found.errors, found.requests)
    failed = "none failed" if not found.errors else f"{found.errors:,} failed, {shown.share(rate)}"
    others = len(found.told["algorithms"]) - 1
    by = f" by {others + 1} algorithms" if others > 0 else ""
    return [f"{figures.counted(found.requests, 'request')} came in this time{by}; {failed}."]


def _before(found: Facts) -> list[str]:
    before = found.before
    if not before.requests:
        return ["In the time of the same length before there were none."]
    failed = _part(before.errors, before.requests)
    told = f"In the time of the same length before there were {before.requests:,}, {failed} failed"
    labelled = sum(one["feedback"]["labelled"] for one in found.told["algorithms"])
    if before.labelled and before.correct and labelled:
        right = intervals.proportion(before.correct, before.labelled)
        told += f", and of those with outcomes {shown.share(right)} were right"
    return [f"{told}."]


def _part(part: int, whole: int) -> str:
    return "none" if not part else f"{part:,} ({shown.percent(part / whole, part / whole)})"


def _knowledge(found: Facts) -> list[str]:
    told = []
    for one in found.algorithms:
        name, feedback = shown.algorithm(one), one["feedback"]
        if not feedback["labelled"]:
            rest = " An estimate stands in their place." if _accuracy(one["estimate"]) else ""
            told.append(f"Of no answer of {name} the outcome is known, so nobody knows how right they were.{rest}")
            continue
        covered = shown.percent(feedback["coverage"]["value"], feedback["coverage"]["value"])
        known = f"Of {covered} of the answers of {name} the outcome is known"
        told.append(f"{known}: {_how_right(one)}.")
    return told


def _how_right(one: Mapping[str, Any]) -> str:
    performance = one["performance"] or {}
    if "accuracy" in performance:
        return f"{shown.share(performance['accuracy'])} were right"
    return f"the mean absolute error is {shown.amount(performance.get('mae'))}"


def _errors(found: Facts) -> list[str]:
    rate = intervals.proportion(found.errors, found.requests)
    if rate is None or (rate["low"] or 0.0) <= MOST_ERRORS:
        return []
    codes: dict[str, int] = {}
    for one in found.told["algorithms"]:
        for code, count in one["errors"].items():
            codes[code] = codes.get(code, 0) + count
    most = sorted(codes.items(), key=lambda item: -item[1])[:_NAMED]
    named = ", ".join(f"{code} {count:,}" for code, count in most)
    return [f"Many requests failed: {shown.share(rate)}. By code: {named}."]


def _detector(one: Mapping[str, Any]) -> list[str]:
    watch = one["detector"]
    if watch is None or watch["alarm"] is None:
        return []
    name, alarm = shown.algorithm(one), watch["alarm"]
    of_labels = figures.counted(alarm["of_labels"], "outcome")
    if watch["state"] == "alarmed":
        return [
            f"The accuracy of {name} has dropped, says its detector since {figures.moment(watch['since'])}: of "
            f"{of_labels} then {shown.percent(alarm['accuracy'])} were right{_on_reference(one)}."
        ]
    return []


def _on_reference(one: Mapping[str, Any]) -> str:
    reference = (one["reference"] or {}).get("accuracy")
    return "" if reference is None else f", {shown.percent(reference)} on the reference"


def _performance(one: Mapping[str, Any]) -> list[str]:
    name, performance, reference = shown.algorithm(one), one["performance"] or {}, one["reference"] or {}
    told = []
    accuracy = performance.get("accuracy")
    if accuracy and reference.get("accuracy") is not None and accuracy["high"] < reference["accuracy"]:
        told.append(f"{name} is right less often than on the reference: {shown.share(accuracy)}{_on_reference(one)}.")
    mae = performance.get("mae")
    if mae and reference.get("mae") is not None and mae["low"] is not None and mae["low"] > reference["mae"]:
        told.append(
            f"{name} is farther off than on the reference: a mean absolute error of {shown.amount(mae)}, "
            f"{reference['mae']:.4g} on the reference."
        )
    change = (one["estimate"] or {}).get("change")
    if not accuracy and change and change["high"] < 0:
        told.append(
            f"Without outcomes, {name} is estimated to be right in {shown.share(_accuracy(one['estimate']))} of "
            f"answers{_on_reference(one)}. That is an estimate."
        )
    return told


def _accuracy(estimate: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    return None if estimate is None else estimate["accuracy"]


def _drift(found: Facts, one: Mapping[str, Any]) -> list[str]:
    tests = found.trials.get(one["id"])
    if tests is None or not tests.alarms:
        return []
    latest = [trial for trial in tests.read if trial.is_alarm][-1]
    drifted = [judged for judged in latest.judged if judged.is_drifted]
    named = ", ".join(shown.name(judged.name) for judged in drifted[:_NAMED])
    more = f" and {len(drifted) - _NAMED:,} more" if len(drifted) > _NAMED else ""
    tested = figures.counted(tests.made, "test")
    return [
        f"What {shown.algorithm(one)} is asked has drifted: {tests.alarms:,} of {tested} found it, the latest, until "
        f"{figures.moment(latest.to_at)}, in {named}{more}. Drift is no damage; it says where to look."
    ]


def _slices(one: Mapping[str, Any]) -> list[str]:
    gaps = [(about, about["largest_gap"]) for about in one["slices"] if about.get("largest_gap")]
    gaps = [(about, gap) for about, gap in gaps if gap["is_beyond_chance"]]
    if not gaps:
        return []
    about, gap = max(gaps, key=lambda pair: _size(pair[1]))
    feature, value = shown.name(about["feature"]), shown.name(shapes.value_name(gap))
    name = shown.algorithm(one)
    if about["measure"] == "accuracy":
        own, others = shown.percent(gap["own"]), shown.percent(gap["others"])
        return [f"Where {feature} is {value}, {own} of the answers of {name} are right, of all others {others}."]
    return [
        f"Where {feature} is {value}, the mean absolute error of {name} is {gap['own']:.4g}, of all others "
        f"{gap['others']:.4g}."
    ]


def _size(gap: Mapping[str, Any]) -> float:
    size = abs(gap["own"] - gap["others"])
    return size if math.isfinite(size) else 0.0
