"""The output has the input's rows in order, as they were, with label, probability and request id; formulas are text."""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import scorers
import small_forests
from people import as_rows, held_out_people

from ml_pipeline.apps.ml import loader
from ml_pipeline.apps.ml.bundles import Bundle
from ml_pipeline.apps.ml.scoring import groups, ids, jobs, logged, parquet, records, streams, written
from ml_pipeline.apps.ml.scoring.cuts import Cut
from ml_pipeline.apps.ml.scoring.dialects import Dialect
from ml_pipeline.apps.ml.scoring.scorer import Scorer
from ml_pipeline.apps.ml.scoring.tables import Chunk
from ml_pipeline.errors import MalformedInput


@pytest.fixture(scope="module")
def forest(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return small_forests.income_forest(tmp_path_factory.mktemp("forest") / "bundle")


def read(content: bytes, delimiter: str = ",") -> tuple[list[str], list[list[str]]]:
    header, *rows = csv.reader(io.StringIO(content.decode(), newline=""), delimiter=delimiter)
    return header, rows


def test_a_csv_has_the_answers_of_online(forest: Bundle, tmp_path: Path) -> None:
    frame = held_out_people().sample(2_000, random_state=2)
    frame.insert(3, "note", [f"note; {at}" if at % 3 else f'a "note"\n{at}' for at in range(len(frame))])
    frame = frame[frame.columns[::-1]]
    path = tmp_path / "people.csv"
    path.write_bytes(frame.to_csv(index=False).encode())
    output, found = scorers.scored(forest, path, rows=300)
    header, rows = read(output)
    assert header == [*frame.columns, "label", "probability", "request_id"]
    assert [row[:-3] for row in rows] == read(path.read_bytes())[1]
    algorithm = loader.load_onnx(forest)
    expected = algorithm.compute_prediction(algorithm.signature.rows(as_rows(frame.drop(columns="note"))))
    assert [row[-3] for row in rows] == [one.label for one in expected]
    np.testing.assert_allclose(
        [float(row[-2]) for row in rows], [float(one.probability or 0) for one in expected], atol=1e-6
    )
    assert len({row[-1] for row in rows}) == len(rows)
    assert [row[-1].replace("-", "") for row in rows] == [
        one.id for part in found for one in logged.entries(part.logged or b"")
    ]


def test_rows_in_are_rows_out_and_rejected(forest: Bundle, tmp_path: Path) -> None:
    lines = held_out_people().head(20).to_csv(index=False).splitlines()
    lines[3] = lines[3].replace(lines[3].split(",")[0], "old", 1)
    lines[7] = "too,few"
    lines.insert(10, "")
    lines[15] = lines[15].split(",", 1)[0] + ",\xff" + lines[15].split(",", 2)[2][:0] + "," + lines[15].split(",", 2)[2]
    path = tmp_path / "people.csv"
    path.write_bytes("\r\n".join(lines).encode("latin-1"))
    output, found = scorers.scored(forest, path, rows=6)
    rejected = [one for part in found for one in part.rejected]
    assert [(one.row, one.line, one.field) for one in rejected] == [(2, 4, "age"), (6, 8, ""), (13, 16, "")]
    assert rejected[0].reason.endswith('got "old"')
    assert len(read(output)[1]) == sum(part.answered for part in found) == 17
    assert [part.answered + len(part.rejected) for part in found] == [6, 6, 6, 2]


def test_a_chunk_without_a_good_row_has_no_output(forest: Bundle) -> None:
    header = tuple(held_out_people().columns)
    made = Scorer(scorers.terms(forest, header)).score(b"1\n2\n", scorers.whole(b"1\n2\n", 2))
    assert (made.answered, len(made.rejected), made.output, made.logged) == (0, 2, b"", None)


@pytest.mark.parametrize("kept", [[0, 1, 2], [1], [0, 2]])
@pytest.mark.parametrize(
    "content", [b"1,2\n\n3,4\n5,6", b"1,2\r\n3,4\r\n5,6\r\n", b"1,2\r3,4\r5,6\r", b'1,"2"\r\n3,4\n5,6\n']
)
def test_the_rows_that_are_wanted(content: bytes, kept: list[int]) -> None:
    chunk = Chunk(content, Dialect(("a", "b"), ",", 0, 2), scorers.whole(content, 3))
    made = bytes(written.rows(chunk, np.array(kept), [pa.array(["x"] * len(kept))]))
    rows = [["1", "2", "x"], ["3", "4", "x"], ["5", "6", "x"]]
    assert list(csv.reader(io.StringIO(made.decode()))) == [rows[at] for at in kept]


def test_a_name_that_answers_have_is_refused(forest: Bundle) -> None:
    with pytest.raises(MalformedInput, match="'label'"):
        jobs.check_names(("age", "label"), forest.signature, probabilities=False)


def test_three_classes_tell_all_probabilities_where_asked(tmp_path: Path) -> None:
    bundle = small_forests.flowers(tmp_path / "bundle")
    frame = held_out_people()[["age", "fnlwgt", "hours-per-week"]].head(100)
    path = tmp_path / "rows.csv"
    path.write_bytes(frame.to_csv(index=False, sep=";").encode())
    header, rows = read(scorers.scored(bundle, path, probabilities=True)[0], ";")
    labels = list(bundle.signature.labels)
    assert header[3:] == ["label", "probability", *(f"probability of {label}" for label in labels), "request_id"]
    for row in rows:
        assert row[4] == row[5 + labels.index(row[3])] == max(row[5:8], key=float)


def test_parquet_goes_in_and_out(forest: Bundle, tmp_path: Path) -> None:
    frame = held_out_people().head(1_000).assign(extra=np.arange(1_000) * 0.5, word="=1+1")
    frame["sex"] = frame["sex"].astype("category")
    path = tmp_path / "people.parquet"
    frame.to_parquet(path, row_group_size=400, index=False)
    header = parquet.header(path)
    assert header == tuple(frame.columns)
    chunks = list(parquet.contents(path, rows=150))
    assert [cut.rows for cut, _ in chunks] == [150, 150, 100, 150, 150, 100, 150, 50]
    assert list(parquet.contents(path, rows=150, after=4)) == chunks[5:]
    scorer = Scorer(scorers.terms(forest, header, input="parquet", output="parquet"))
    table = pa.concat_tables(pa.ipc.open_stream(scorer.score(body, cut).output).read_all() for cut, body in chunks)
    assert table.column_names == [*header, "label", "probability", "request_id"]
    assert table["extra"].to_pylist() == frame["extra"].tolist()
    assert set(table["word"].to_pylist()) == {"=1+1"}
    as_csv = tmp_path / "people.csv"
    as_csv.write_bytes(frame.to_csv(index=False).encode())
    _, rows = read(scorers.scored(forest, as_csv)[0])
    answers = [pc.cast(table[name], pa.string()).to_pylist() for name in ("label", "probability", "request_id")]
    assert [tuple(row[-3:]) for row in rows] == list(zip(*answers, strict=True))
    to_csv = Scorer(scorers.terms(forest, header, input="parquet", output="csv"))
    lines = list(csv.reader(io.StringIO(to_csv.score(chunks[0][1], chunks[0][0]).output.decode())))
    assert {line[-4] for line in lines} == {"'=1+1"}
    to_parquet = Scorer(scorers.terms(forest, tuple(frame.columns), output="parquet"))
    content = as_csv.read_bytes().split(b"\n", 1)[1]
    made = pa.ipc.open_stream(to_parquet.score(content, scorers.whole(content, 1_000)).output).read_all()
    assert made["label"].to_pylist() == table["label"].to_pylist()


def test_parquet_of_lists_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pa.parquet.write_table(pa.table({"age": [[1], [2]]}), path)
    with pytest.raises(MalformedInput, match="'age' is of list"):
        parquet.header(path)
    path.write_bytes(b"PAR1 and nothing else")
    with pytest.raises(MalformedInput, match="is not Parquet"):
        parquet.header(path)


def test_parquet_that_breaks_its_own_rules_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    broken = pa.array([b"fine", b"\xff"], pa.binary()).view(pa.string())
    pa.parquet.write_table(pa.table({"age": broken}), path)
    with pytest.raises(MalformedInput, match="row group 0 cannot be read"):
        list(parquet.contents(path))
    pa.parquet.write_table(pa.table([[1], [2]], names=["age", "age"]), path)
    with pytest.raises(MalformedInput, match="'age' twice"):
        parquet.header(path)
    pa.parquet.write_table(pa.table({"age": pa.array([], pa.int64())}), path)
    assert (parquet.header(path), list(parquet.contents(path))) == (("age",), [])


def test_a_decimal_of_parquet_is_the_number_of_its_digits(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    prices = pa.array([Decimal("0.30"), None, Decimal("-2.00"), Decimal("1.1e20")], pa.decimal128(25, 2))
    pa.parquet.write_table(pa.table({"price": prices}), path)
    ((cut, body),) = parquet.contents(path)
    chunk = streams.Chunk(body, cut)
    assert chunk.read(["price"]).columns["price"].to_pylist() == [0.3, None, -2.0, 1.1e20]
    assert chunk.texts(np.arange(4))[0].to_pylist() == ["0.30", None, "-2.00", "110000000000000000000.00"]


def test_a_time_zone_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    for zone in ("Europe/Warsaw", "+01:00", "Nowhere"):
        pa.parquet.write_table(pa.table({"seen": pa.array([0], pa.timestamp("us", zone))}), path)
        if zone != "Nowhere":
            assert parquet.header(path) == ("seen",)
    with pytest.raises(MalformedInput, match="'seen' has the time zone 'Nowhere', which is unknown"):
        parquet.header(path)


def test_parquet_of_more_rows_than_there_are_ids_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rows.parquet"
    pa.parquet.write_table(pa.table({"age": [1, 2, 3]}), path)
    monkeypatch.setattr(ids, "MAX_ROWS", 2)
    with pytest.raises(MalformedInput, match="more than 2 rows"):
        groups.outline(groups.opened(path), 10)


def test_a_nul_in_a_text_of_parquet_is_a_rejected_row(forest: Bundle, tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    scorer = None
    for column in ("sex", "note"):
        held_out_people().head(3).assign(**{column: ["Male", "Ma\0le", None]}).to_parquet(path, index=False)
        ((cut, body),) = parquet.contents(path)
        scorer = scorer or Scorer(scorers.terms(forest, parquet.header(path), input="parquet"))
        made = scorer.score(body, cut)
        assert made.answered == 2
        assert [(one.row, one.line, one.reason) for one in made.rejected] == [(1, 0, "expected text, got a NUL in it")]
        assert b"\0" not in made.output


TIMES = (
    pa.date32(),
    pa.date64(),
    pa.timestamp("s"),
    pa.timestamp("ms"),
    pa.timestamp("us"),
    pa.timestamp("us", "Europe/Warsaw"),
    pa.timestamp("s", "+01:00"),
)


@pytest.mark.parametrize("kind", TIMES, ids=str)
@pytest.mark.parametrize("column", ["age", "note"])
def test_a_time_of_no_year_is_a_rejected_row(forest: Bundle, tmp_path: Path, kind: pa.DataType, column: str) -> None:
    path = tmp_path / "rows.parquet"
    # Seconds are kept as milliseconds.
    most = 2**30 if kind == pa.date32() else 2**62 // (1_000 if "[s" in str(kind) else 1)
    numbers = np.array([0, most, -most, 1], dtype=np.int32 if kind == pa.date32() else np.int64)
    table = pa.Table.from_pandas(held_out_people().head(4), preserve_index=False)
    table = table.drop_columns("age") if column == "age" else table
    table = table.append_column(column, pa.array(numbers, mask=np.array([0, 0, 0, 1], dtype=np.bool_)).view(kind))
    pa.parquet.write_table(table, path)
    ((cut, body),) = parquet.contents(path)
    read = streams.Chunk(body, cut).read(["sex"])
    reason = "expected a date of the years 1 to 9999, got one beyond"
    assert [(one.row, one.field, one.reason) for one in read.rejected] == [(1, column, reason), (2, column, reason)]
    made = Scorer(scorers.terms(forest, parquet.header(path), input="parquet")).score(body, cut)
    if column == "note":
        assert (made.answered, len(made.rejected)) == (2, 2)
        return
    # A date is no age, and nothing may be.
    assert [one.row for one in made.rejected] == [0, 1, 2]
    assert made.rejected[0].reason.startswith("expected")


def test_a_decimal_beyond_what_a_model_takes_is_a_rejected_row(forest: Bundle, tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    table = pa.Table.from_pandas(held_out_people().head(3), preserve_index=False)
    for kind, most in (
        (pa.decimal128(38, 0), "9" * 38),
        (pa.decimal256(76, 0), "9" * 76),
        (pa.decimal256(76, 2), "-1e70"),
    ):
        ages = pa.array([Decimal(30), Decimal(most), Decimal(40)], kind)
        pa.parquet.write_table(table.set_column(0, "age", ages), path)
        ((cut, body),) = parquet.contents(path)
        made = Scorer(scorers.terms(forest, parquet.header(path), input="parquet")).score(body, cut)
        assert (made.answered, [(one.row, one.field) for one in made.rejected]) == (2, [(1, "age")])


def test_ids_rise_with_rows_and_are_a_jobs_own() -> None:
    numbers = np.array([0, 1, 2, 63, 64, 2**14, 2**20 - 1, 2**20, 2**28, 2**32 - 1])
    made = [bytes(one) for one in ids.made("job", scorers.CREATED_MS, numbers)]
    assert made == sorted(made)
    assert made[3:5] == [bytes(one) for one in ids.made("job", scorers.CREATED_MS, numbers[3:5])]
    other = [bytes(one) for one in ids.made("another", scorers.CREATED_MS, numbers)]
    assert not set(made) & set(other)
    for one in made:
        assert int.from_bytes(one[:6]) == scorers.CREATED_MS
        assert (one[6] >> 4, one[8] >> 6) == (7, 2)
    digits = ids.hexes(ids.made("job", scorers.CREATED_MS, numbers))
    assert [bytes(one).decode() for one in digits] == [one.hex() for one in made]
    many = ids.hexes(ids.made("job", 0, np.arange(200_000)))
    # What samples by an id's last digits finds no order in them.
    last = np.array([int(bytes(one), 16) for one in many[:, -8:]])
    assert abs((last < 2**31).mean() - 0.5) < 0.01
    assert abs(np.corrcoef(last[1:], last[:-1])[0, 1]) < 0.01


def test_a_row_of_a_thousand_kilobytes_is_read(forest: Bundle) -> None:
    line = held_out_people().head(1).to_csv(index=False).split("\n")[1]
    content = f"{'x' * (records.MAX_BYTES - 1_000)},{line}\n".encode()
    job = scorers.terms(forest, ("extra", *held_out_people().columns))
    assert Scorer(job).score(content, Cut(0, 0, len(content), 0, 2, 1)).answered == 1
