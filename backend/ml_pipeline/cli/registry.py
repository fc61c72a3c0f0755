"""Commands on a server's registry, over HTTP: register, promote, rollback, history."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ml_pipeline.cli import terminal
from ml_pipeline.cli.terminal import AsJson
from ml_pipeline.errors import MalformedInput, Refused

if TYPE_CHECKING:
    from ml_pipeline.client import Client

Endpoint = Annotated[str, typer.Argument(help="The endpoint's name.")]
Reason = Annotated[str, typer.Option(help="Why; it is kept in the history.")]
Wait = Annotated[
    float | None, typer.Option(min=0, max=60, help="Seconds to wait until every serving process serves it.")
]
RowsFile = Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="Rows as .csv or .parquet.")]


def register(
    *,
    artifact: Annotated[Path, typer.Argument(exists=True, help="An .onnx, a .skops, or a bundle: .zip or folder.")],
    endpoint: Annotated[str, typer.Option(help="The endpoint's name.")],
    name: Annotated[str, typer.Option(help="The algorithm's name.")],
    version: Annotated[str, typer.Option(help="Its version.")],
    sample: RowsFile = None,
    reference: RowsFile = None,
    label_column: Annotated[str | None, typer.Option(help="The column of the reference that holds labels.")] = None,
    metadata: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="JSON: signature, metrics and more.")
    ] = None,
    description: Annotated[str | None, typer.Option(help="What it is, for people.")] = None,
    owner: Annotated[str | None, typer.Option(help="Whose it is.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="NAME=VALUE; repeatable.")] = None,
    labels: Annotated[str | None, typer.Option(help="The labels in the model's order, separated by commas.")] = None,
    output: Annotated[str | None, typer.Option(help="NAME, NAME:softmax or NAME:sigmoid; of an ONNX model.")] = None,
    promote: Annotated[bool, typer.Option("--promote", help="Put it into production at once.")] = False,
    wait: Wait = None,
    as_json: AsJson = False,
) -> None:
    """Register an algorithm; with --promote, put it into production."""
    given = _metadata(metadata)
    tags = {**given.pop("tags", {}), **_tags(tag or [])} or None
    with terminal.calling() as client:
        record = client.register(
            endpoint,
            name,
            version,
            artifact,
            sample=sample,
            reference=reference,
            label_column=label_column,
            description=description,
            owner=owner,
            tags=tags,
            labels=labels.split(",") if labels else None,
            output=_output(output),
            metadata=given,
            wait_s=None if promote else wait,
        )
        if not as_json:
            terminal.say(_registered(record))
        step = _promote_at_once(client, record, wanted=promote, wait_s=wait, as_json=as_json)
    refuse_unserved(step or record)


def _promote_at_once(
    client: Client, record: dict[str, Any], *, wanted: bool, wait_s: float | None, as_json: bool
) -> dict[str, Any] | None:
    # Registered it is, whatever becomes of the promotion: the record is printed in any case.
    step = None
    try:
        if wanted:
            reason = "promoted at registration"
            step = client.move_by_id(record["id"], "production", reason=reason, wait_s=wait_s)
    finally:
        if as_json:
            terminal.show_json({**record, "promotion": step} if wanted else record)
    if step and not as_json:
        terminal.say(_promoted(record["name"], record["version"], record["endpoint"], step))
    return step


def promote(
    *,
    endpoint: Endpoint,
    version: Annotated[str, typer.Argument(help="The version to put into production.")],
    algorithm: Annotated[str | None, typer.Option(help="The algorithm's name, where several share a version.")] = None,
    reason: Reason = "",
    wait: Wait = None,
    as_json: AsJson = False,
) -> None:
    """Put an algorithm into production."""
    with terminal.calling() as client:
        step = client.promote(endpoint, version, algorithm=algorithm, reason=reason, wait_s=wait)
    if as_json:
        terminal.show_json(step)
    else:
        terminal.say(_promoted(algorithm or "Version", version, endpoint, step))
    refuse_unserved(step)


def rollback(endpoint: Endpoint, reason: Reason = "", wait: Wait = None, as_json: AsJson = False) -> None:
    """Put back into production what was there before."""
    with terminal.calling() as client:
        step = client.rollback(endpoint, reason, wait_s=wait)
        name = "" if as_json else _name(client, endpoint, step)
    if as_json:
        terminal.show_json(step)
    else:
        terminal.say(f"{name} is in production under {endpoint} again.")
    refuse_unserved(step)


def history(
    endpoint: Endpoint,
    at: Annotated[str | None, typer.Option(help="A time with its offset: what was in production then.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Steps, newest first.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Show who put what into which status, newest first; with --at, what was in production then."""
    with terminal.calling() as client:
        found = client.history(endpoint, at=at, limit=limit)
    if as_json:
        terminal.show_json(found)
    elif at is None:
        names = ("created_at", "algorithm", "version", "status", "active", "created_by", "reason")
        lines = ([_cell(step[name]) for name in names] for step in found)
        terminal.show_table(("time", "algorithm", "version", "status", "active", "by", "reason"), lines)
    else:
        terminal.say(_then(endpoint, found))


def refuse_unserved(record: dict[str, Any]) -> None:
    """Ends the command with 1 where a change that was waited for is not served everywhere."""
    # It was printed, and it is done; but a script that goes on would meet processes that do not serve it yet.
    if record.get("served") is False:
        known = record["serving"] or "an unknown number"
        terminal.fail(f"It is done, but not served everywhere in time: {known} of the serving processes serve it.")


def _name(client: Client, endpoint: str, step: dict[str, Any]) -> str:
    # A step has the algorithm's id, the history its name. A key that may not read it rolled back all the same.
    try:
        steps = client.history(endpoint, limit=10)
    except Refused:
        steps = []
    names = (f"{one['algorithm']} {one['version']}" for one in steps if one["id"] == step["id"])
    return next(names, f"The algorithm with the id {step['parent_mlalgorithm']}")


def _cell(value: Any) -> Any:
    return {True: "yes", False: ""}[value] if isinstance(value, bool) else value


def _then(endpoint: str, found: dict[str, Any]) -> str:
    step = found["production"]
    if step is None:
        return f"Nothing was in production under {endpoint} at {found['at']}."
    why = f": {step['reason']}" if step["reason"] else ""
    return (
        f"{step['algorithm']} {step['version']} was in production under {endpoint} at {found['at']}, "
        f"since {step['created_at']} by {step['created_by']}{why}"
    )


def _registered(record: dict[str, Any]) -> str:
    # None where the server says only that it is done.
    done = "Registered before, unchanged:" if record["created"] is False else "Registered"
    runtime = f"{record['runtime']} ({record['runtime_reason']})" if record["runtime_reason"] else record["runtime"]
    who = f"{record['name']} {record['version']} under {record['endpoint']}"
    return f"{done} {who} with the id {record['id']}, served by {runtime}."


def _promoted(name: str, version: str, endpoint: str, step: dict[str, Any]) -> str:
    since = {True: "now", False: f"already, since {step['created_at']}"}.get(step["changed"], "by now")
    return f"{name} {version} is in production under {endpoint} {since}."


def _metadata(path: Path | None) -> dict[str, Any]:
    from ml_pipeline.wire import strict_json

    if path is None:
        return {}
    try:
        value = strict_json.loads(path.read_bytes())
    except MalformedInput as error:
        raise typer.BadParameter(f"{path}: {error.message}", param_hint="--metadata") from None
    if not isinstance(value, dict) or not isinstance(value.get("tags", {}), dict):
        raise typer.BadParameter(f"{path} holds no JSON object, or its tags are none.", param_hint="--metadata")
    return value


def _output(text: str | None) -> dict[str, str] | None:
    name, _, activation = (text or "").partition(":")
    if activation not in {"", "softmax", "sigmoid"}:
        raise typer.BadParameter(f"{text!r} is not NAME, NAME:softmax or NAME:sigmoid.", param_hint="--output")
    return {key: value for key, value in (("name", name), ("activation", activation)) if value} or None


def _tags(pairs: list[str]) -> dict[str, str]:
    tags = {}
    for pair in pairs:
        name, given, value = pair.partition("=")
        if not given:
            raise typer.BadParameter(f"{pair!r} is not NAME=VALUE.", param_hint="--tag")
        tags[name] = value
    return tags
