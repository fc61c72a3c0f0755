"""Commands on A/B tests, over HTTP: plan, start, watch, stop, report, verify, selftest."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from ml_pipeline.cli import registry, terminal
from ml_pipeline.cli.registry import Wait
from ml_pipeline.cli.terminal import AsJson, Output

app = typer.Typer(no_args_is_help=True, help="A/B tests of algorithms.")

TestId = Annotated[int, typer.Argument(help="The test's id.")]


@app.command()
def plan(
    champion: Annotated[float, typer.Argument(help="The accuracy of what is in production.")],
    challenger: Annotated[float, typer.Argument(help="The accuracy that is worth finding.")],
    *,
    share: Annotated[float, typer.Option(help="The challenger's share of units.")] = 0.5,
    alpha: Annotated[float, typer.Option(help="How probable a wrong promotion may be.")] = 0.05,
    requests_per_s: Annotated[float, typer.Option(help="Requests a second.")] = 1.0,
    label_rate: Annotated[float, typer.Option(help="The share of requests whose outcome becomes known.")] = 1.0,
    as_json: AsJson = False,
) -> None:
    """Say how many labels and how much time a test will take."""
    with terminal.calling() as client:
        found = client.abtests.plan(
            champion,
            challenger,
            share=share,
            alpha=alpha,
            requests_per_s=requests_per_s,
            label_rate=label_rate,
        )
    if as_json:
        terminal.show_json(found)
        return
    for words, labels, seconds in (
        ("On average", found["mean_labels"], found["mean_seconds"]),
        ("In 4 tests of 5 at most", found["most_labels"], found["most_seconds"]),
    ):
        terminal.say(f"{words} {labels:,} labels of both arms{_in_time(seconds)}.")
    terminal.say(f"One look at the end, and none before, would take {found['fixed_labels']:,}.")


@app.command()
def start(
    title: Annotated[str, typer.Argument(help="What people call it.")],
    arm: Annotated[list[str], typer.Option(help="ID or ID:WEIGHT of an algorithm; the champion first; repeatable.")],
    *,
    metric: Annotated[
        str | None, typer.Option(help="accuracy, brier, log_loss, absolute_error, squared_error…")
    ] = None,
    cap: Annotated[float | None, typer.Option(help="The error from which on an answer is worth nothing.")] = None,
    low: Annotated[float | None, typer.Option(help="The least reward.")] = None,
    high: Annotated[float | None, typer.Option(help="The most reward.")] = None,
    alpha: Annotated[float | None, typer.Option(help="How probable a wrong promotion may be.")] = None,
    margin: Annotated[float | None, typer.Option(help="By how much a challenger must be better.")] = None,
    min_labels: Annotated[int | None, typer.Option(help="Not decided before so many labels.")] = None,
    max_labels: Annotated[int | None, typer.Option(help="Over after so many labels.")] = None,
    min_time_s: Annotated[float | None, typer.Option(help="Not decided before so many seconds.")] = None,
    max_time_s: Annotated[float | None, typer.Option(help="Over after so many seconds.")] = None,
    propose: Annotated[bool, typer.Option("--propose", help="Leave the promotion to a person.")] = False,
    wait: Wait = None,
    as_json: AsJson = False,
) -> None:
    """Start a test of algorithms of one endpoint."""
    arms = [_arm(one) for one in arm]
    terms: dict[str, Any] = {"metric": metric, "cap": cap, "low": low, "high": high, "alpha": alpha, "margin": margin}
    terms |= {"min_labels": min_labels, "max_labels": max_labels, "min_time_s": min_time_s, "max_time_s": max_time_s}
    with terminal.calling() as client:
        test = client.abtests.start(title, arms, promotes=not propose, wait_s=wait, **terms)
    if as_json:
        terminal.show_json(test)
    else:
        terminal.say(f"A/B test {test['id']} runs under {test['endpoint']}.")
    registry.refuse_unserved(test)


@app.command()
def watch(
    test_id: TestId,
    *,
    every_s: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks.")] = 5.0,
    once: Annotated[bool, typer.Option("--once", help="Look once.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show how a test stands, again and again until it is over."""
    with terminal.calling() as client:
        while True:
            test = client.abtests.get(test_id)
            if as_json:
                terminal.show_json(test)
            else:
                _show(test)
            if once or test["state"] != "running":
                return
            time.sleep(every_s)


@app.command()
def stop(
    test_id: TestId,
    *,
    reason: Annotated[str, typer.Option(help="Why; it is kept in the history.")] = "",
    wait: Wait = None,
    as_json: AsJson = False,
) -> None:
    """End a test: whoever has the evidence is in production, else the champion."""
    with terminal.calling() as client:
        test = client.abtests.stop(test_id, reason, wait_s=wait)
    if as_json:
        terminal.show_json(test)
    else:
        terminal.say(test["summary"])
    registry.refuse_unserved(test)


@app.command()
def report(
    test_id: TestId,
    *,
    output: Output = None,
) -> None:
    """Print the report of a test for people, an HTML page, or write it into a file."""
    with terminal.calling() as client:
        page = client.abtests.report(test_id)
    terminal.give_page(page, output, f"The report of A/B test {test_id}")


@app.command()
def verify(test_id: TestId, *, as_json: AsJson = False) -> None:
    """Recompute a test's certificate from the log; the exit code is 1 where anything is wrong."""
    with terminal.calling() as client:
        found = client.abtests.verify(test_id)
    if as_json:
        terminal.show_json(found)
    else:
        terminal.say(
            f"{found['requests']:,} requests, {found['units']:,} units and {found['observations']:,} labels: "
            + ("all as the certificate says." if found["is_verified"] else "not as the certificate says.")
        )
        for problem in found["problems"]:
            terminal.say(problem)
        if found["more_problems"]:
            terminal.say(f"And {found['more_problems']:,} more.")
        if found["if_corrected"]:
            one = found["if_corrected"]
            terminal.say(
                f"{one['corrected']:,} outcomes were corrected since; with them it would be: {one['outcome']}."
            )
    if not found["is_verified"]:
        raise typer.Exit(1)


@app.command()
def selftest(
    test_id: TestId,
    *,
    replays: Annotated[int, typer.Option(min=1, help="How often the labels are dealt out anew.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="The same seed, the same result.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Try how often a test's rule promotes on its own labels where no arm is better."""
    with terminal.calling() as client:
        found = client.abtests.selftest(test_id, replays=replays, seed=seed)
    if as_json:
        terminal.show_json(found)
    elif found["state"] == "done":
        rate, low, high, alpha = (f"{100 * found[name]:.1f} %" for name in ("rate", "low", "high", "alpha"))
        terminal.say(
            f"Of {found['replays']:,} replays of {found['labels']:,} labels without any difference "
            f"{found['promoted']:,} ended in a promotion: {rate} ({low} to {high}); the plan allows {alpha}."
        )
    if found["state"] == "failed":
        terminal.fail("The worker could not do it; its log says why.")


def _arm(text: str) -> dict[str, Any]:
    number, _, weight = text.partition(":")
    try:
        return {"parent_mlalgorithm": int(number), **({"weight": float(weight)} if weight else {})}
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not ID or ID:WEIGHT.", param_hint="--arm") from None


def _show(test: dict[str, Any]) -> None:
    standing = test["standing"]
    labels = ", ".join(f"{count:,}" for count in standing["labels"])
    terminal.say(f"{test['title']}: {test['state']}, {test['units']:,} units, labels {labels}")
    names = {arm["number"]: f"{arm['algorithm']} {arm['version']}" for arm in test["arms"]}
    lines = [
        (
            names[one["arm"]] + (" (withdrawn)" if one["is_withdrawn"] else ""),
            one["pairs"],
            "" if one["mean"] is None else f"{one['mean']:+.4f}",
            f"{one['low']:+.4f} to {one['high']:+.4f}",
            f"{one['log_evidence']:.2f} of {one['log_evidence_bound']:.2f}",
        )
        for one in standing["challengers"]
    ]
    terminal.show_table(("against the champion", "pairs", "difference", "lies in", "log evidence"), lines)
    outlook, trouble = standing["outlook"], standing["trouble"]
    if trouble is not None:
        terminal.say(f"Counting failed {trouble['failures']} times in a row; the log of the server's worker says why.")
    if test["state"] != "running":
        terminal.say(test["summary"])
    elif outlook["labels"] is not None:
        terminal.say(f"On average {outlook['labels']:,} labels are missing{_in_time(outlook['seconds'])}.")


def _in_time(seconds: float | None) -> str:
    if seconds is None:
        return ""
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f", which come in {seconds / size:,.0f} {unit}"
    return f", which come in {seconds:,.0f} seconds"
