"""Commands on alerts and their rules, over HTTP."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ml_pipeline.cli import terminal
from ml_pipeline.cli.terminal import AsJson

app = typer.Typer(help="Alerts: figures beyond the thresholds of rules.")

OfEndpoint = Annotated[str | None, typer.Option("--endpoint", help="Only of this endpoint.")]
RuleId = Annotated[int, typer.Argument(help="The rule's id.")]


@app.callback(invoke_without_command=True)
def alerts(
    context: typer.Context,
    *,
    endpoint: OfEndpoint = None,
    every: Annotated[bool, typer.Option("--all", help="Also those that are over.")] = False,
    limit: Annotated[int, typer.Option(help="At most so many, the latest.", min=1, max=1_000)] = 50,
    as_json: AsJson = False,
) -> None:
    """The open alerts, newest first."""
    if context.invoked_subcommand is not None:
        return
    with terminal.calling() as client:
        found = client.alerts.list(limit=limit, endpoint=endpoint, is_open=None if every else "true")
    if as_json:
        terminal.show_json(found)
        return
    if not found:
        terminal.say("There is no alert." if every else "No alert is open.")
        return
    headings = ("id", "endpoint", "algorithm", "rule", "what", "since", "state")
    terminal.show_table(headings, [_line(one) for one in found])


@app.command()
def rules(*, endpoint: OfEndpoint = None, as_json: AsJson = False) -> None:
    """The rules, newest first, and how each stands."""
    with terminal.calling() as client:
        found = client.alerts.rules(endpoint=endpoint)
    if as_json:
        terminal.show_json(found)
        return
    lines = [
        (one["id"], one["endpoint"], one["name"], _rule(one), _standing(one), one["evaluated_at"]) for one in found
    ]
    terminal.show_table(("id", "endpoint", "name", "alert when", "now", "looked at"), lines)


@app.command()
def add(
    endpoint: Annotated[str, typer.Argument(help="The endpoint's name.")],
    name: Annotated[str, typer.Argument(help="What the rule is called.")],
    measure: Annotated[str, typer.Argument(help="Such as accuracy, error_rate, latency_p99_us or requests.")],
    *,
    above: Annotated[float | None, typer.Option(help="An alert where it is above this.")] = None,
    below: Annotated[float | None, typer.Option(help="An alert where it is below this.")] = None,
    recovers_at: Annotated[float | None, typer.Option(help="Over at this; at the threshold by default.")] = None,
    hours: Annotated[int | None, typer.Option(help="Of so many whole hours and this one; 24 by default.")] = None,
    min_rows: Annotated[int | None, typer.Option(help="Of fewer rows nothing is said.")] = None,
    beyond_chance: Annotated[
        bool, typer.Option("--beyond-chance", help="Only where the whole 95 % interval is beyond.")
    ] = False,
    feature: Annotated[str | None, typer.Option(help="Of this feature.")] = None,
    label: Annotated[str | None, typer.Option(help="Of this label.")] = None,
    algorithm: Annotated[str | None, typer.Option(help="Only algorithms of this name.")] = None,
    version: Annotated[str | None, typer.Option(help="Only algorithms of this version.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a rule: an alert where a measure is beyond a threshold."""
    if (above is None) == (below is None):
        raise typer.BadParameter("either this or --below is the threshold.", param_hint="--above")
    texts = {"feature": feature, "label": label, "algorithm": algorithm, "version": version}
    more = {"recovers_at": recovers_at, "window_hours": hours, "min_rows": min_rows, **texts}
    given = {field: value for field, value in more.items() if value is not None}
    with terminal.calling() as client:
        made = client.alerts.add(
            endpoint, name, measure, above=above, below=below, beyond_chance=beyond_chance, **given
        )
    if as_json:
        terminal.show_json(made)
        return
    terminal.say(f"Rule {made['id']}, {made['name']}, of {made['endpoint']}: an alert when {_rule(made)}.")


@app.command()
def remove(rule_id: RuleId) -> None:
    """Take a rule away; its alerts stay, closed."""
    with terminal.calling() as client:
        client.alerts.remove(rule_id)
    terminal.say(f"Rule {rule_id} is removed.")


def sentence(alert: dict[str, Any]) -> str:
    """What is beyond which threshold."""
    return f"{_what(alert)} {alert['value']:.4g}, {alert['condition']} {alert['threshold']:g}"


def _line(one: dict[str, Any]) -> tuple[Any, ...]:
    algorithm = None if one["algorithm"] is None else f"{one['algorithm']} {one['version']}"
    state = "open" if one["is_open"] else one["outcome"].replace("_", " ")
    return (one["id"], one["endpoint"], algorithm, one["name"], sentence(one), one["opened_at"], state)


def _what(one: dict[str, Any]) -> str:
    name = one["feature"] or one["label"]
    return f"{one['measure']} of {name}" if name else str(one["measure"])


def _rule(one: dict[str, Any]) -> str:
    chance = " beyond chance" if one["beyond_chance"] else ""
    whose = " ".join(filter(None, (one["algorithm"], one["version"])))
    what = f"{_what(one)}{' of ' if whose else ''}{whose}"
    return f"{what} is {one['condition']} {one['threshold']:g}{chance} in {one['window_hours']} h"


def _standing(one: dict[str, Any]) -> str:
    if not one["is_active"]:
        return "switched off"
    told = []
    for each in one["standing"]:
        value = "" if each["value"] is None else f" {each['value']:.4g}"
        version = "" if each["version"] is None else f" ({each['version']})"
        told.append(f"{each['state']}{value}{version}")
    return ", ".join(told) or "not looked at"
