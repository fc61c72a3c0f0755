"""Rows that are small as files and huge as tables, and metadata that no parser should bear: refused."""

from __future__ import annotations

from typing import Any

import hostile_graphs
import hostile_tables
import pytest
import refusals
import wine
from servers import BY_ASGI, Server

pytestmark = BY_ASGI

DEEP = '{"tags": ' * 50_000 + "1" + "}" * 50_000


def _files(rows: bytes, name: str) -> dict[str, Any]:
    # With a graph for a model: it is opened far quicker than a skops file.
    return wine.files(hostile_graphs.honest(), "model.onnx", rows, name)


def test_rows_in_csv_are_bounded(door: Server) -> None:
    cases = {case: _files(content, "rows.csv") for case, content in hostile_tables.csv_bombs().items()}
    messages = refusals.refused(door, cases, signature=hostile_graphs.SIGNATURE)
    assert "10000001 columns" in messages["ten million columns"]
    assert "field limit" in messages["one cell of 100 MB"]


def test_rows_in_parquet_are_bounded(door: Server) -> None:
    bombs = hostile_tables.parquet_bombs()
    assert max(map(len, bombs.values())) < 10_000_000
    cases = {case: _files(content, "rows.parquet") for case, content in bombs.items()}
    messages = refusals.refused(door, cases, signature=hostile_graphs.SIGNATURE)
    assert "20,000,000 cells" in messages["thirty million equal numbers"]
    assert "'x'" in messages["lists of a hundred thousand"]


@pytest.mark.parametrize(
    ("metadata", "status"),
    [
        (DEEP, 400),
        ("[" * 100_000, 400),
        ('{"metrics": {"a": ' + "9" * 5_000 + "}}", 400),
        ('{"metrics": {"a": 1e400}}', 400),
        ('{"metrics": {"a": NaN}}', 400),
        ('{"tags": {}, "tags": {}}', 400),
        ('{"description": "\\ud800"}', 400),
        ('{"description": "\\u0000"}', 400),
        ('"text"', 422),
        ('{"tags": {"a": 1}}', 422),
        ('{"labels": [[1]]}', 422),
        ('{"signature": [1]}', 422),
        ('{"signature": {"features": 7}}', 422),
        ('{"algorithm": "os:system"}', 422),
        ('{"algorithm": "../../x"}', 422),
        ('{"task": "anything"}', 422),
        ('{"output": 7}', 422),
        ('{"output": {"activation": "eval"}}', 422),
        ('{"unknown": 1}', 422),
        ('{"label_column": "absent"}', 422),
        ("x" * 2_000_000, 422),
    ],
    ids=lambda given: str(given)[:40],
)
def test_metadata_is_judged_like_any_other_input(door: Server, metadata: str, status: int) -> None:
    before = refusals.traces(door)
    form = {**wine.form("hostile-metadata"), "metadata": metadata}
    files = _files(hostile_graphs.ROWS, "rows.csv")
    if "label_column" in metadata:
        files["reference"] = ("r.csv", hostile_graphs.ROWS)
    with door.client("manage") as client:
        reply = client.post(wine.UPLOADS, data=form, files=files)
    assert reply.status_code == status, reply.text
    assert reply.json()["error"]["code"] in {"malformed", "invalid_input", "invalid_artifact"}
    assert refusals.traces(door) == before
