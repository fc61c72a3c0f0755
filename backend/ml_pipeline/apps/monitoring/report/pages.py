"""Pages: the report of an endpoint as one HTML text that needs nothing else, neither script nor file nor network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.template.loader import render_to_string
from django.utils import timezone

from ml_pipeline import __version__
from ml_pipeline.apps.endpoints.models import Endpoint
from ml_pipeline.apps.monitoring import drifts, sql
from ml_pipeline.apps.monitoring.metrics import Entrant
from ml_pipeline.apps.monitoring.readings import Range
from ml_pipeline.apps.monitoring.report import facts, sentences, shapes, shown, tables, timelines
from ml_pipeline.apps.monitoring.report.facts import Facts
from ml_pipeline.apps.monitoring.report.timelines import Step
from ml_pipeline.charts import figures, pages


def written(endpoint: Endpoint, chosen: Sequence[Entrant], asked: Range, slices: Sequence[str]) -> str:
    """The page on these algorithms. It costs the same however many requests there were."""
    return render_to_string("monitoring/report.html", _context(facts.of(endpoint, chosen, asked, slices)))


def _context(found: Facts) -> dict[str, Any]:
    steps = timelines.of_all(found)
    others = len(found.told["algorithms"]) - len(found.algorithms)
    return {
        "style": pages.style(),
        "endpoint": found.endpoint.name,
        "begins_at": figures.moment(found.asked.begins_at),
        "ends_at": figures.moment(found.asked.ends_at),
        "current": sentences.current(found),
        "lead": sentences.lead(found),
        "by": found.by,
        "traffic": timelines.traffic("traffic-chart", found, steps) if steps else None,
        "traffic_table": tables.traffic(steps, _names(found, steps)),
        "errors": tables.errors(found),
        "versions": tables.algorithms(found),
        "algorithms": [_algorithm(found, one, place) for place, one in enumerate(found.algorithms)],
        "others": others,
        "made_at": figures.moment(timezone.now()),
        "version": __version__,
    }


def _names(found: Facts, steps: Sequence[Step]) -> list[str]:
    moments = [sql.begins_at(int(step.begin)) for step in steps]
    return [figures.moment(at) if found.by == "hour" else f"{at.day} {at:%B %Y}" for at in moments]


def _algorithm(found: Facts, one: Mapping[str, Any], place: int) -> dict[str, Any]:
    steps, name = timelines.of(found, one["id"]), shown.algorithm(one)
    has_latency = any(step.figures["latency_us"] for step in steps)
    performance = one["performance"] or {}
    return {
        "place": place,
        "name": f"{one['algorithm']} {one['version']}",
        "is_classifier": one["labels"] is not None or "accuracy" in performance,
        "rightness": timelines.rightness(f"rightness-{place}", found, steps, one),
        "is_labelled": bool(one["feedback"]["labelled"]),
        "latencies": timelines.latencies(f"latency-{place}", found, steps, name) if has_latency else None,
        "course": tables.course(f"course-{place}", steps, _names(found, steps), f"{name} over time"),
        "note": (one["estimate"] or {}).get("note"),
        "labels": tables.labels(f"labels-{place}", one, f"Labels of {name}"),
        **_calibration(one, place, name),
        **_scores(one, place, name),
        "has_reference": one["scores"] is not None or bool(one["features"]),
        "missing": tables.missing(f"missing-{place}", one, f"Features of {name}"),
        "slices": [_sliced(one, its, f"{place}-{number}") for number, its in enumerate(one["slices"])],
        **_drift(found, one, place, name),
        "detector": _detector(one),
    }


def _calibration(one: Mapping[str, Any], place: int, name: str) -> dict[str, Any]:
    table = (one["performance"] or {}).get("calibration")
    if table is None:
        return {"calibration": None}
    return {
        "calibration": shapes.calibration(f"calibration-chart-{place}", table, name),
        "calibration_table": tables.calibration(f"calibration-{place}", table, f"Calibration of {name}"),
    }


def _scores(one: Mapping[str, Any], place: int, name: str) -> dict[str, Any]:
    about = one["scores"]
    if about is None or not sum(share for _, share, _ in shapes.score_columns(about)):
        return {"scores": None}
    return {
        "scores": shapes.scores(f"scores-chart-{place}", about, name),
        "scores_table": tables.scores(f"scores-{place}", about, f"Scores of {name}"),
    }


def _sliced(one: Mapping[str, Any], about: Mapping[str, Any], key: str) -> dict[str, Any]:
    feature, name = about["feature"], shown.algorithm(one)
    if "unavailable" in about:
        return {"feature": feature, "words": about["unavailable"], "chart": None}
    if not about["slices"]:
        return {"feature": feature, "words": "No outcome is known of any value.", "chart": None}
    title = f"{name} by {shown.name(feature)}"
    overall = ((one["performance"] or {}).get(about["measure"]) or {}).get("value")
    return {
        "feature": feature,
        "words": _gap(about),
        "chart": shapes.slices(f"slices-chart-{key}", about, overall, title),
        "table": tables.slices(f"slices-{key}", about, title),
    }


def _gap(about: Mapping[str, Any]) -> str:
    gap = about["largest_gap"]
    if gap is None:
        return "There are no two values to be compared."
    value = shown.name(shapes.value_name(gap))
    digits = figures.places(abs(gap["own"] - gap["others"]) * 10) if gap["own"] != gap["others"] else 2
    own, others = (
        (shown.percent(gap["own"]), shown.percent(gap["others"]))
        if about["measure"] == "accuracy"
        else (figures.number(gap["own"], digits), figures.number(gap["others"], digits))
    )
    said = f"The value that is farthest from all others is {value}: {own}, and {others} of all others"
    if gap["is_beyond_chance"]:
        return f"{said}. That is beyond chance (p, times {about['comparisons']} comparisons: {shown.chance(gap['q'])})."
    return f"{said}. That may be chance."


def _drift(found: Facts, one: Mapping[str, Any], place: int, name: str) -> dict[str, Any]:
    tests = found.trials.get(one["id"])
    if tests is None:
        known = one["scores"] is not None or bool(one["features"])
        none = "No test for drift ended in this time: a window is tested when it has 500 rows."
        return {"drift": None, "drift_words": none if known else drifts.WITHOUT_REFERENCE}
    left = len(shapes.drift_names(tests)) - shapes.MOST_ROWS
    newest = tests.read[-1]
    words = f"{figures.counted(tests.made, 'test')} reached into this time, {tests.alarms:,} found drift."
    if left > 0:
        words += f" Those {shapes.MOST_ROWS} features are drawn that went farthest; {left:,} more did not."
    if len(tests.read) < tests.made:
        words += f" Of the tests {len(tests.read)} are drawn, of neighbours one that found drift where one did."
    about = f"The newest test, of {newest.rows:,} rows from {figures.moment(newest.from_at)}"
    return {
        "drift": shapes.drift(f"drift-chart-{place}", tests, found.asked, name),
        "drift_words": words,
        "drift_table": tables.drift(f"drift-{place}", tests, f"{about} to {figures.moment(newest.to_at)}"),
        "tests_table": tables.tests(f"tests-{place}", tests, f"Tests of {name}"),
    }


def _detector(one: Mapping[str, Any]) -> str:
    watch = one["detector"]
    if watch is None:
        return "Its accuracy is not watched: that takes a classifier with reference labels, and outcomes."
    seen = figures.counted(watch["labelled"], "outcome")
    if watch["alarm"] is None:
        return f"It watches, and has seen {seen} since the first; it never rang."
    alarm = watch["alarm"]
    at = f"{shown.percent(alarm['accuracy'])} of {figures.counted(alarm['of_labels'], 'outcome')} were right then"
    if watch["state"] == "alarmed":
        return f"It is alarmed since {figures.moment(watch['since'])}: {at}. It has seen {seen}."
    return f"Accuracy had dropped and is back since {figures.moment(watch['since'])}: {at}. It has seen {seen}."
