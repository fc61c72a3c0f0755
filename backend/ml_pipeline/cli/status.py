"""How endpoints are, over HTTP: on the terminal, and as a report."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ml_pipeline.cli import terminal
from ml_pipeline.cli.alerts import sentence
from ml_pipeline.cli.terminal import AsJson, Output

_HEADINGS = ("endpoint", "ready", "algorithm", "requests", "errors", "p99", "accuracy", "drift", "alarm")


def status(
    endpoint: Annotated[str | None, typer.Argument(help="The endpoint's name; by default all of them.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show whether endpoints are up, fast and right: the last 24 hours."""
    with terminal.calling() as client:
        found = client.status(endpoint)
    if as_json:
        terminal.show_json(found)
        return
    terminal.show_table(_HEADINGS, [line for one in found for line in _lines(one)])
    for one in found:
        if one["abtest"] is not None:
            terminal.say(_test(one["endpoint"], one["abtest"]))
    if any(one["drift"] is not None and one["drift"]["is_alarm"] for each in found for one in each["algorithms"]):
        terminal.say("Drift says that inputs are other than those of the reference, and not that answers are worse.")
    behind_s = max((one["folded"]["behind_s"] for one in found), default=0.0)
    if behind_s >= 60:
        terminal.say(f"Requests of the last {behind_s:,.0f} s are not counted yet. Is a worker running?")


def _test(endpoint: str, test: dict[str, Any]) -> str:
    trouble = test["trouble"]
    given_up = " Counting it was given up; the worker's log says why." if trouble and trouble["is_given_up"] else ""
    return f"The A/B test {test['id']}, {test['title']!r}, runs under {endpoint}.{given_up}"


def report(
    endpoint: Annotated[str, typer.Argument(help="The endpoint's name.")],
    *,
    since: Annotated[str | None, typer.Option(help="From the hour of this time on; by default seven days.")] = None,
    until: Annotated[str | None, typer.Option(help="Until this time; by default now.")] = None,
    version: Annotated[str | None, typer.Option(help="Only algorithms of this version.")] = None,
    algorithm: Annotated[str | None, typer.Option(help="Only algorithms of this name.")] = None,
    slices: Annotated[str | None, typer.Option(help="Features, separated by commas.")] = None,
    output: Output = None,
) -> None:
    """Print the report of an endpoint for people, an HTML page, or write it into a file."""
    names = None if slices is None else slices.split(",")
    with terminal.calling() as client:
        page = client.report(endpoint, since, until, version=version, algorithm=algorithm, slices=names)
    terminal.give_page(page, output, f"The report of {endpoint}")


def _lines(one: dict[str, Any]) -> list[list[str | None]]:
    ready = "yes" if one["ready"] else "no"
    if not one["algorithms"]:
        return [[one["endpoint"], ready, "nothing in production", *[None] * 5, _alarm(None, one["alerts"])]]
    lines = []
    for place, algorithm in enumerate(one["algorithms"]):
        about = [one["endpoint"], ready] if place == 0 else [None, None]
        name = f"{algorithm['algorithm']} {algorithm['version']}"
        if algorithm["status"] != "production":
            name += f" ({algorithm['status']})"
        metrics = algorithm["metrics"]
        figures = ["0", None, None, None] if metrics is None else _figures(metrics)
        # What is of the endpoint as a whole, or of an algorithm that is not listed, stands in the first line.
        others = {each["id"] for each in one["algorithms"] if place > 0 or each is not algorithm}
        own = algorithm["id"]
        alerts = [
            each
            for each in one["alerts"]
            if each["parent_mlalgorithm"] == own or (place == 0 and each["parent_mlalgorithm"] not in others)
        ]
        lines.append([*about, name, *figures, _drift(algorithm), _alarm(metrics, alerts)])
    return lines


def _figures(metrics: dict[str, Any]) -> list[str | None]:
    rate, latency = metrics["error_rate"], metrics["latency_us"]
    return [
        f"{metrics['requests']:,}",
        None if rate is None else _percent(rate["value"]),
        None if latency is None else f"{latency['p99'] / 1_000:,.1f} ms",
        _accuracy(metrics),
    ]


def _accuracy(metrics: dict[str, Any]) -> str | None:
    performance, estimate = metrics["performance"], metrics["estimate"]
    if performance is not None and performance.get("mae"):
        return f"off by {_interval(performance['mae'], '.3g')}"
    if performance is not None and performance.get("accuracy"):
        return _interval(performance["accuracy"], ".3f")
    if estimate is not None and estimate["accuracy"]:
        return f"estimate {_interval(estimate['accuracy'], '.3f')}"
    return None


def _interval(figure: dict[str, float | None], form: str) -> str:
    value, low, high = (figure[name] for name in ("value", "low", "high"))
    if low is None or high is None:
        return f"{value:{form}}"
    return f"{value:{form}} ({low:{form}} to {high:{form}})"


def _drift(algorithm: dict[str, Any]) -> str:
    if not algorithm["is_comparable"]:
        return "no reference"
    test, gathering = algorithm["drift"], algorithm["gathering"]
    if test is None:
        return "no requests" if gathering is None else f"{gathering['rows']:,} of {gathering['needed']:,} rows"
    result = test["result"]
    both = [*result["features"], *([result["score"]] if result["score"] else [])]
    names = [one["name"] for one in both if one["is_drifted"]]
    return f"{', '.join(names) or 'none'} until {test['to']}"


def _alarm(metrics: dict[str, Any] | None, alerts: list[dict[str, Any]]) -> str | None:
    told = [f"{one['name']}: {sentence(one)}, since {one['opened_at']}" for one in alerts]
    detector = None if metrics is None else metrics["detector"]
    if detector is not None and detector["state"] == "alarmed":
        fell = f"accuracy fell to {detector['alarm']['accuracy']:.2f}, told at {detector['since']}"
        told = [fell, *told]
    return "; ".join(told) or None


def _percent(share: float) -> str:
    return f"{share * 100:.2f} %"
