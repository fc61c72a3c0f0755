"""`ml-pipeline predict --file rows.csv`: the signature of the algorithm that will answer says what a cell means."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from homes import ENDPOINT
from people import as_rows, held_out_people
from servers import Server
from terminals import run

from ml_pipeline.client import Client


def asked(server: Server, file: Path, *options: str) -> list[dict[str, Any]]:
    done = run(server, "predict", ENDPOINT, "--file", str(file), "--json", *options)
    assert done.returncode == 0, done.stderr
    replies: list[dict[str, Any]] = json.loads(done.stdout)
    return replies


def inputs(server: Server, replies: list[dict[str, Any]]) -> list[Any]:
    with server.client("read") as client:
        return [client.get(f"/api/v1/mlrequests/{one['request_id']}").json()["input_data"] for one in replies]


def test_cells_mean_what_the_same_rows_mean_as_json(door: Server, tmp_path: Path) -> None:
    frame = held_out_people().head(40)
    frame.to_csv(tmp_path / "rows.csv", index=False)
    assert inputs(door, asked(door, tmp_path / "rows.csv")) == as_rows(frame)


def test_digits_in_a_column_of_strings_stay_a_string(door: Server, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("\ufeffage,workclass,sex\r\n007,007,\r\n,true,Male\r\n\r\n", encoding="utf-8", newline="")
    rows = inputs(door, asked(door, file))
    assert [(row["age"], row["workclass"], row["sex"]) for row in rows] == [(7, "007", None), (None, "true", "Male")]


def test_the_selection_and_the_alias_choose_the_signature(start: Callable[..., Server], tmp_path: Path) -> None:
    server = start("asgi")
    file = tmp_path / "rows.csv"
    file.write_text("age,workclass\n37,007\n")
    with Client(server.url, server.home.keys["admin"]) as client:
        client.alias(ENDPOINT, "next", "0.0.1", algorithm="extra_trees")
    assert asked(server, file, "--alias", "next")[0]["algorithm"] == "extra_trees"
    assert asked(server, file, "--status", "staging")[0]["algorithm"] == "decision_tree"
    assert asked(server, file, "--version", "0.0.1")[0]["algorithm"] == "random_forest"
    refused = run(server, "predict", ENDPOINT, "--file", str(file), "--alias", "nobody")
    assert refused.returncode == 1
    assert "nobody" in refused.stderr


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("age,sex\n37\n", "row 1 has 1 cells"),
        ("age,age\n37,38\n", "twice"),
        ("age,sex\n", "no rows"),
        ("", "no rows"),
        ('age,sex\n37,"Male\n', "not CSV"),
    ],
)
def test_what_is_no_table_is_wrong_use(door: Server, tmp_path: Path, content: str, told: str) -> None:
    file = tmp_path / "rows.csv"
    file.write_text(content)
    done = run(door, "predict", ENDPOINT, "--file", str(file))
    assert done.returncode == 2
    assert told in " ".join(done.stderr.replace("│", " ").split())


def test_a_cell_that_does_not_fit_is_refused_by_row_and_field(door: Server, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("age,height\n37,2\nold,2\n")
    done = run(door, "predict", ENDPOINT, "--file", str(file))
    assert done.returncode == 1
    assert "row 1, field 'age'" in done.stderr
    assert "'height'" in done.stderr


def test_a_key_that_may_only_predict_is_told_that_a_csv_needs_more(door: Server, tmp_path: Path) -> None:
    pd.DataFrame({"age": [37]}).to_csv(tmp_path / "rows.csv", index=False)
    done = run(door, "predict", ENDPOINT, "--file", str(tmp_path / "rows.csv"), scope="predict")
    assert done.returncode == 1
    assert "read" in done.stderr
