"""Tables: the numbers of the charts, exact, and those of which there is no chart."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from django.utils.safestring import SafeString, mark_safe

from ml_pipeline.apps.monitoring.report import shapes, shown
from ml_pipeline.apps.monitoring.report.facts import MOST_LISTED, Facts
from ml_pipeline.apps.monitoring.report.timelines import Step
from ml_pipeline.apps.monitoring.report.trials import Trials
from ml_pipeline.charts import figures
from ml_pipeline.charts.pages import Cell

# Rows of labels, of features, and of errors.
MOST_LABELS: Final = 20
MOST_FEATURES: Final = 15
MOST_CODES: Final = 10
# From so many letters on a cell is a wide one.
_LONG = 40


class Table(NamedTuple):
    """A table: its columns, the first of names; its rows, each a name and cells; how many more rows there are."""

    key: str
    about: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Cell | str]]]
    more: int = 0

    @property
    def heads(self) -> list[tuple[str, bool]]:
        """The columns, and whether they are of numbers."""
        cells = self.rows[0][1] if self.rows else [""] * (len(self.columns) - 1)
        are_numbers = [False, *(isinstance(one, Cell) for one in cells)]
        return list(zip(self.columns, are_numbers, strict=True))

    @property
    def body(self) -> SafeString:
        """The rows in HTML. There are hundreds of cells, of which a template would make ten times the work."""
        return mark_safe("".join(map(_row, self.rows)))  # noqa: S308  (texts are escaped in `_row`)


def _row(row: tuple[str, Sequence[Cell | str]]) -> str:
    name, cells = row
    drawn = [f'<tr><th scope="row"><bdi>{html.escape(name)}</bdi></th>']
    for cell in cells:
        if isinstance(cell, Cell):
            exact, text = html.escape(cell.exact), html.escape(cell.shown)
            drawn.append(f'<td class="number"><data value="{exact}">{text}</data></td>')
        else:
            kind = "phrase words" if len(cell) > _LONG else "phrase"
            drawn.append(f'<td class="{kind}"><bdi>{html.escape(cell)}</bdi></td>')
    return "".join([*drawn, "</tr>\n"])


def algorithms(found: Facts) -> Table:
    """Performance by version."""
    told = found.told["algorithms"]
    columns = ["Algorithm", "Status", "Requests", "With outcome", "Right, or error", "Reference"]
    columns += ["Estimate", "Failed", "p50", "p99"]
    rows = [_algorithm(one) for one in told[:MOST_LISTED]]
    return Table("algorithms", "Each algorithm", columns, rows, max(len(told) - MOST_LISTED, 0))


def _algorithm(one: Mapping[str, Any]) -> tuple[str, list[Cell | str]]:
    latency, performance, reference = one["latency_us"] or {}, one["performance"] or {}, one["reference"] or {}
    estimate = (one["estimate"] or {}).get("accuracy")
    if one["labels"] is not None or "accuracy" in performance:
        right, before = shown.cell(performance.get("accuracy")), reference.get("accuracy")
        expected = Cell(before, "–" if before is None else shown.percent(before))
    else:
        right, before = shown.cell(performance.get("mae"), shown.amount), reference.get("mae")
        expected = Cell(before, "–" if before is None else f"{before:.4g}")
    return f"{one['algorithm']} {one['version']}", [
        one["current_status"] or "–",
        shown.count(one["requests"]),
        shown.count(one["feedback"]["labelled"]),
        right,
        expected,
        shown.cell(estimate) if estimate else Cell(None, "–"),
        shown.cell(one["error_rate"]),
        *(_latency(latency.get(name)) for name in ("p50", "p99")),
    ]


def _latency(us: float | None) -> Cell:
    return Cell(us, shown.latency(us))


def errors(found: Facts) -> Table | None:
    """Failed requests by code; None where none failed."""
    codes: dict[str, int] = {}
    for one in found.told["algorithms"]:
        for code, count in one["errors"].items():
            codes[code] = codes.get(code, 0) + count
    if not codes:
        return None
    ordered = sorted(codes.items(), key=lambda item: (-item[1], item[0]))
    rows = [
        (
            code,
            [
                shown.count(count),
                Cell(count / found.requests, shown.percent(count / found.requests, count / found.requests)),
            ],
        )
        for code, count in ordered[:MOST_CODES]
    ]
    return Table("errors", "Failed requests", ["Code", "Requests", "Of all"], rows, max(len(codes) - MOST_CODES, 0))


def traffic(steps: Sequence[Step], names: Sequence[str]) -> Table:
    """Requests and errors, step by step, the latest first."""
    rows = [
        (name, [shown.count(step.figures["requests"]), shown.count(step.figures["errors"])])
        for step, name in zip(steps, names, strict=True)
    ]
    return Table("traffic", "Requests and errors over time", ["From", "Requests", "Failed"], rows[::-1])


def course(key: str, steps: Sequence[Step], names: Sequence[str], about: str) -> Table:
    """Latencies and how right answers were, step by step, the latest first."""
    measure = "mae" if steps and "mae" in steps[0].figures else "accuracy"
    words = shown.amount if measure == "mae" else shown.share
    title = "Mean absolute error" if measure == "mae" else "Right"
    columns = ["From", "Requests", "p50", "p90", "p99", "With outcome", title]
    columns += ["Estimate, without outcomes"] if measure == "accuracy" else []
    rows = []
    for step, name in zip(steps, names, strict=True):
        one, latency = step.figures, step.figures["latency_us"] or {}
        cells = [shown.count(one["requests"])]
        cells += [
            Cell(latency.get(quantile), shown.latency(latency.get(quantile))) for quantile in ("p50", "p90", "p99")
        ]
        cells += [shown.count(one["labelled"]), shown.cell(one[measure], lambda it: "–" if it is None else words(it))]
        if measure == "accuracy":
            cells.append(shown.cell(one["estimated_accuracy"], lambda it: "–" if it is None else shown.share(it)))
        rows.append((name, cells))
    return Table(key, about, columns, rows[::-1])


def labels(key: str, one: Mapping[str, Any], about: str) -> Table | None:
    """Each label: how often it was predicted, and was true, and how right that was; None in regression."""
    counts = one["labels"]
    if not counts:
        return None
    measured = {label["label"]: label for label in (one["performance"] or {}).get("labels", [])}
    columns = ["Label", "Predicted", "Share"]
    columns += ["With outcome", "True", "Precision", "Recall", "F1"] if measured else []
    ordered = sorted(counts, key=lambda label: -label["count"])
    rows = []
    for label in ordered[:MOST_LABELS]:
        part = label["share"]
        cells = [shown.count(label["count"]), Cell(part, "–" if part is None else shown.percent(part))]
        its = measured.get(label["label"])
        if its is not None:
            cells += [shown.count(its["predicted"]), shown.count(its["true"])]
            cells += [shown.cell(its[name]) for name in ("precision", "recall", "f1")]
        elif measured:
            cells += [Cell(None, "–")] * 5
        rows.append((label["label"], cells))
    return Table(key, about, columns, rows, max(len(ordered) - MOST_LABELS, 0))


def calibration(key: str, table: Mapping[str, Any], about: str) -> Table:
    """What was said and what came true."""
    rows = [
        (
            f"{100 * one['low']:.0f} to {100 * one['high']:.0f} %",
            [shown.count(one["rows"]), Cell(one["chance"], shown.percent(one["chance"])), shown.cell(one["rate"])],
        )
        for one in table["bins"]
    ]
    return Table(key, about, ["Probability", "Rows", "On average", "Came true"], rows)


def scores(key: str, one: Mapping[str, Any], about: str) -> Table:
    """Scores by bin, and the reference's."""
    rows = [
        (name, [Cell(now, shown.percent(now)), Cell(before, shown.percent(before))])
        for name, now, before in shapes.score_columns(one)
    ]
    return Table(key, about, ["Up to", "Now", "In the reference"], rows)


def slices(key: str, one: Mapping[str, Any], about: str) -> Table:
    """Each value of a feature."""
    words = shown.share if one["measure"] == "accuracy" else shown.amount
    title = "Right" if one["measure"] == "accuracy" else "Mean absolute error"
    rows: list[tuple[str, list[Cell | str]]] = []
    for its in one["slices"]:
        gap = "beyond chance" if shapes.is_gap(one, its) else ""
        rows.append((shapes.value_name(its), [shown.count(its["rows"]), shown.cell(its[one["measure"]], words), gap]))
    return Table(key, about, ["Value", "Rows", title, "Gap"], rows)


def drift(key: str, found: Trials, about: str) -> Table:
    """What the newest test says of each feature, those that have drifted and those with the largest excess first."""
    result = found.newest
    judged = [*result.get("features", []), *filter(None, [result.get("score")])]
    judged.sort(key=lambda one: (not one["is_drifted"], -one["excess"]))
    rows: list[tuple[str, list[Cell | str]]] = []
    for one in judged[:MOST_FEATURES]:
        cells: list[Cell | str] = [
            "drifted" if one["is_drifted"] else "alike",
            one["words"] or "",
            *(Cell(one[name], figures.number(one[name], 3)) for name in ("excess", "psi")),
            *(Cell(one[name], shown.chance(one[name])) for name in ("p", "q")),
        ]
        rows.append((one["name"], cells))
    columns = ["Feature", "Result", "In words", "Excess", "PSI", "p", "q"]
    return Table(key, about, columns, rows, max(len(judged) - MOST_FEATURES, 0))


def tests(key: str, found: Trials, about: str) -> Table:
    """The tests that were read, the latest first."""
    rows: list[tuple[str, list[Cell | str]]] = []
    for trial in reversed(found.read):
        far = trial.judged[0] if trial.judged else None
        excess = None if far is None else far.excess
        rows.append(
            (
                figures.moment(trial.to_at),
                [
                    shown.count(trial.rows),
                    shown.count(trial.tested),
                    "drift" if trial.is_alarm else "none",
                    Cell(excess, "–" if excess is None else figures.number(excess, 3)),
                    "" if far is None else far.name,
                ],
            )
        )
    columns = ["Until", "Rows", "Tested", "Found", "Largest excess", "Of"]
    return Table(key, about, columns, rows, found.made - len(found.read))


def missing(key: str, one: Mapping[str, Any], about: str) -> Table | None:
    """The features of which more is missing, or was never seen in the reference, than there; None where of none."""
    worse = [(_growth(its), its) for its in one["features"]]
    worse = sorted((pair for pair in worse if pair[0] > 0.001), key=lambda pair: -pair[0])
    if not worse:
        return None
    rows = []
    for _, its in worse[:MOST_FEATURES]:
        both = [(its[name], its["reference"][name]) for name in ("missing", "unseen")]
        rows.append(
            (its["name"], [Cell(part, "–" if part is None else shown.percent(part)) for pair in both for part in pair])
        )
    columns = ["Feature", "Missing", "In the reference", "Not seen there", "In the reference"]
    return Table(key, about, columns, rows, max(len(worse) - MOST_FEATURES, 0))


def _growth(one: Mapping[str, Any]) -> float:
    return max((one[name] or 0.0) - (one["reference"][name] or 0.0) for name in ("missing", "unseen"))
