"""Batch jobs from and to CSV and Parquet; files that are wrong, in some rows or as a whole; jobs that log nothing."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from batched import Asked, Batches, write_people
from homes import Home

ROWS = 300


@pytest.fixture(scope="module")
def batches(module_home: Home) -> Iterator[Batches]:
    """A home with a worker."""
    batches = Batches(module_home)
    with batches.worker():
        yield batches


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("people") / "people.csv"
    write_people(path, ROWS)
    return path


def test_csv_and_parquet_are_answered_alike(batches: Batches, people: Path, tmp_path: Path) -> None:
    pd.read_csv(people).to_parquet(tmp_path / "people.parquet")
    (tmp_path / "people.csv.gz").write_bytes(gzip.compress(people.read_bytes()))
    packed = tmp_path / "people.csv.gz"
    of_parquet = {"input_format": "parquet"}
    to_parquet = {"output_format": "parquet"}
    asked = {
        "csv to csv": Asked(people, {}),
        "csv to parquet": Asked(people, to_parquet),
        "parquet to csv": Asked(tmp_path / "people.parquet", of_parquet),
        "parquet to parquet": Asked(tmp_path / "people.parquet", {**of_parquet, **to_parquet}),
        "gzip": Asked(packed, {}),
        "utf-16": Asked(_in_utf_16(people, tmp_path / "wide.csv"), {"encoding": "utf-16"}),
        "with probabilities": Asked(people, {"probabilities": True}),
        "unlogged": Asked(people, {"log_requests": False}),
    }
    found = {}
    for name, pk in zip(asked, batches.create_all(*asked.values()), strict=True):
        job = batches.wait(pk)
        assert (job.rows_done, job.rows_rejected) == (ROWS, 0), name
        batches.wait_for_files(pk, ["result"])
        path = batches.result(pk)
        found[name] = pd.read_parquet(path) if name.endswith("to parquet") else pd.read_csv(path)
        assert job.result_bytes == path.stat().st_size
        ids = [row["id"] for row in batches.log(pk)]
        assert ids == ([] if name == "unlogged" else list(found[name]["request_id"])), name
    wanted = found["csv to csv"][["label", "probability"]]
    for name, one in found.items():
        assert list(one["label"]) == list(wanted["label"]), name
        assert list(one["probability"]) == pytest.approx(list(wanted["probability"]), abs=1e-6), name
    every = found["with probabilities"]
    assert list(every["probability of >50K"]) == list(every["probability"])
    assert found["parquet to parquet"]["age"].dtype == "int64"
    assert len({pk for one in found.values() for pk in one["request_id"]}) == len(found) * ROWS


def _in_utf_16(path: Path, target: Path) -> Path:
    target.write_text(path.read_text(), encoding="utf-16")
    return target


def test_rows_in_are_rows_out_and_rejected(batches: Batches, people: Path, tmp_path: Path) -> None:
    lines = people.read_text().splitlines(keepends=True)
    # A word for the age, and a field too few.
    lines[5] = "old," + lines[5].split(",", 1)[1]
    lines[9] = lines[9].rsplit(",", 1)[0] + "\n"
    mixed = tmp_path / "mixed.csv"
    mixed.write_text("".join(lines))
    pk = batches.create(mixed)
    job = batches.wait(pk)
    assert (job.rows_total, job.rows_done, job.rows_rejected) == (ROWS, ROWS, 2)
    assert [(row, line, field) for row, line, field, _ in job.rejected] == [(4, 6, "age"), (8, 10, "")]
    assert len(pd.read_csv(batches.result(pk))) == len(batches.log(pk)) == ROWS - 2
    batches.wait_for_files(pk, [next(name for name in job.files if name.endswith(".errors")), "result"])


@pytest.mark.parametrize("output", ["csv", "parquet"])
def test_a_file_of_bad_rows_or_of_none_succeeds_with_no_row(batches: Batches, tmp_path: Path, output: str) -> None:
    frame = write_people(tmp_path / "some.csv", 3)
    frame.assign(age="old").to_csv(tmp_path / "bad.csv", index=False)
    frame.head(0).to_csv(tmp_path / "none.csv", index=False)
    named = {"bad.csv": 3, "none.csv": 0}
    asked = [Asked(tmp_path / name, {"output_format": output}) for name in named]
    for pk, rows in zip(batches.create_all(*asked), named.values(), strict=True):
        job = batches.wait(pk)
        assert (job.rows_total, job.rows_done, job.rows_rejected, job.log_seq) == (rows, rows, rows, 0)
        path = batches.result(pk)
        result = pd.read_csv(path) if output == "csv" else pd.read_parquet(path)
        assert list(result.columns) == [*frame.columns, "label", "probability", "request_id"]
        assert len(result) == 0
        assert batches.log(pk) == []


def test_a_file_that_is_wrong_as_a_whole_fails_in_a_sentence(batches: Batches, people: Path, tmp_path: Path) -> None:
    lines = people.read_text().splitlines(keepends=True)
    wrong = {
        "empty": (b"", "The file is empty"),
        "a png": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(100), "The file's first line is not UTF-8"),
        "a column less": ("".join(line.split(",", 1)[1] for line in lines).encode(), "The file lacks the column 'age'"),
        "a name taken": (("label," + "x,".join(lines)).encode(), "The file has a column 'label'"),
        "a quote": (people.read_bytes() + b'"never closed,\n', "A quote is not closed"),
        "cut gzip": (gzip.compress(people.read_bytes())[:500], "The file is not whole gzip"),
        "parquet": (b"PAR1 of another kind", "The file is not CSV"),
    }
    for name, (content, _) in wrong.items():
        (tmp_path / name).write_bytes(content)
    for name, pk in zip(wrong, batches.create_all(*(Asked(tmp_path / name, {}) for name in wrong)), strict=True):
        job = batches.wait(pk, "failed")
        assert wrong[name][1] in job.error, (name, job.error)
        assert (job.rows_done, batches.log(pk), job.result_bytes) == (0, [], None)
        batches.wait_for_files(pk, [])
