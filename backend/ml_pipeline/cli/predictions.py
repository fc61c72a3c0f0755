"""`ml-pipeline predict`: rows from the command line, a file or standard input; answers as a sentence, table or JSON."""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ml_pipeline.apps.ml import values
from ml_pipeline.cli import terminal
from ml_pipeline.cli.terminal import AsJson
from ml_pipeline.errors import AmbiguousAlgorithm, MalformedInput
from ml_pipeline.wire import strict_json

if TYPE_CHECKING:
    from ml_pipeline.client import Client


def predict(
    *,
    endpoint: Annotated[str, typer.Argument(help="The endpoint's name.")],
    row: Annotated[
        str | None, typer.Argument(help="A row, or a list of rows, as JSON; - reads standard input.")
    ] = None,
    file: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="Rows as .json or .csv.")] = None,
    algorithm: Annotated[str | None, typer.Option(help="Only an algorithm of this name.")] = None,
    version: Annotated[str | None, typer.Option(help="Only an algorithm of this version.")] = None,
    status: Annotated[str | None, typer.Option(help="Only an algorithm in this status.")] = None,
    alias: Annotated[str | None, typer.Option(help="The algorithm that this alias names.")] = None,
    unit: Annotated[str | None, typer.Option(help="Whom or what it is about; is logged.")] = None,
    probabilities: Annotated[bool, typer.Option("--probabilities", help="The probability of every label.")] = False,
    as_json: AsJson = False,
) -> None:
    """Ask for predictions; each is logged."""
    if (row is None) == (file is None):
        raise typer.BadParameter("give either a row or --file.", param_hint="ROW")
    selection = {"algorithm": algorithm, "version": version, "status": status}
    cells = _csv(file) if file is not None and file.suffix.lower() == ".csv" else None
    rows = _json(row, file) if cells is None else cells
    with terminal.calling() as client:
        if cells is not None:
            rows = _typed(cells, _types(client, endpoint, alias, selection))
        answers = client.predict(endpoint, rows, alias=alias, unit=unit, probabilities=probabilities, **selection)
    if as_json:
        terminal.show_json(answers)
    else:
        _show(answers)


def _json(row: str | None, file: Path | None) -> Any:
    if file is not None:
        source, content = str(file), file.read_bytes()
    elif row == "-":
        source, content = "standard input", sys.stdin.buffer.read()
    else:
        source, content = "ROW", (row or "").encode(errors="surrogateescape")
    try:
        return strict_json.loads(content)
    except MalformedInput as error:
        raise typer.BadParameter(f"{source}: {error.message}", param_hint="--file" if file else "ROW") from None


def _csv(file: Path) -> list[dict[str, str]]:
    try:
        # Spreadsheets begin a CSV with a byte order mark, which would hide the first column.
        lines = list(csv.reader(io.StringIO(file.read_bytes().decode("utf-8-sig"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise typer.BadParameter(f"{file} is not CSV in UTF-8: {error}.", param_hint="--file") from None
    header, *body = lines or [[]]
    rows = []
    for number, line in enumerate(body, 1):
        if line and len(line) != len(header):
            told = f"{file}: row {number} has {len(line)} cells, and the header {len(header)}."
            raise typer.BadParameter(told, param_hint="--file")
        if line:
            rows.append(dict(zip(header, line, strict=True)))
    if not rows or len(set(header)) != len(header):
        raise typer.BadParameter(f"{file} has no rows, or a column twice.", param_hint="--file")
    return rows


def _types(client: Client, endpoint: str, alias: str | None, selection: dict[str, str | None]) -> dict[str, str]:
    # What a cell means, only the signature says: "007" is a string or a seven. Should another algorithm be promoted
    # between this question and the prediction, the server refuses values of the wrong type; it never guesses.
    wanted = {"name": selection["algorithm"], "version": selection["version"], "status": selection["status"]}
    fitting = client.algorithms(endpoint, **wanted)
    if alias is not None:
        fitting = [one for one in fitting if alias in one["aliases"]]
    else:
        production = [one for one in fitting if one["current_status"] == "production"]
        others = [one for one in fitting if one["current_status"] != "archived"]
        fitting = production or (others if any(selection.values()) else [])
    every = [{feature["name"]: feature["type"] for feature in one["signature"]["features"]} for one in fitting]
    if any(types != every[0] for types in every):
        names = ", ".join(f"{one['name']} {one['version']}" for one in fitting)
        raise AmbiguousAlgorithm(f"Several algorithms fit, and read the columns each in their way: {names}.")
    # Where none fits, the server says so.
    return every[0] if every else {}


def _typed(rows: list[dict[str, str]], types: dict[str, str]) -> list[dict[str, Any]]:
    return [{name: values.coerced(cell, types.get(name, "string")) for name, cell in row.items()} for row in rows]


def _show(answers: Any) -> None:
    if isinstance(answers, dict):
        terminal.say(_sentence(answers))
        return
    lines = (
        (index, _outcome(one), one["probability"], one["algorithm"], one["version"], one["request_id"])
        for index, one in enumerate(answers)
    )
    terminal.show_table(("row", "answer", "probability", "algorithm", "version", "request"), lines)


def _sentence(answer: dict[str, Any]) -> str:
    probability = f", probability {answer['probability']:.4g}" if answer["probability"] is not None else ""
    every = "".join(f", {label}: {share:.4g}" for label, share in answer.get("probabilities", {}).items())
    who = f"{answer['algorithm']} {answer['version']}"
    return f"{_outcome(answer)}{probability}{every} ({who}, request {answer['request_id']})"


def _outcome(answer: dict[str, Any]) -> Any:
    return answer["value"] if "value" in answer else answer["label"]
