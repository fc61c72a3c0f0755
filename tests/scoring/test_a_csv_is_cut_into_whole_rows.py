"""However a CSV is cut, its chunks have the rows that Python's csv module reads, with their numbers and lines."""

from __future__ import annotations

import contextlib
import csv
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ml_pipeline.apps.ml.scoring import cuts, dialects, records
from ml_pipeline.errors import MalformedInput

CELLS = st.text(st.sampled_from('a,;\t"\n\r 1é'), max_size=6)
WIDTHS = st.shared(st.integers(2, 4), key="width")
TABLES = WIDTHS.flatmap(lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width), max_size=12))
# Texts as nobody's writer makes them: quotes within cells, all three line ends, empty lines.
RAGGED = st.text(st.sampled_from('ab,""\n\n\r '), max_size=60)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where files come; a row is as short as theirs, so that small files are read in several parts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records, "MAX_BYTES", 128)
        yield tmp_path_factory.mktemp("cuts")


def read(folder: Path, content: bytes, **bounds: int) -> tuple[dialects.Dialect, list[tuple[cuts.Cut, bytes]]]:
    path = folder / "rows.csv"
    path.write_bytes(content)
    dialect = dialects.read(path)
    return dialect, [(one, cuts.content(path, one)) for one in cuts.of_csv(path, dialect, **bounds)]


def rows_of(content: bytes, delimiter: str) -> list[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(content.decode(), newline=""), delimiter=delimiter)
    found, line = [], 1
    for row in reader:
        if row:
            found.append((line, row))
        line = reader.line_num + 1
    return found


def agrees(folder: Path, content: bytes, rows: int, most_bytes: int) -> None:
    dialect, chunks = read(folder, content, rows=rows, most_bytes=most_bytes)
    header, *expected = rows_of(content[3:] if content.startswith(b"\xef\xbb\xbf") else content, dialect.delimiter)
    assert list(dialect.header) == header[1]
    number, offset, found = 0, dialect.begin, []
    for at, (cut, chunk) in enumerate(chunks):
        # Between two chunks there may be empty lines.
        assert not content[offset : cut.offset].strip(b"\r\n")
        assert (cut.number, cut.length, cut.first_row) == (at, len(chunk), number)
        its = rows_of(chunk, dialect.delimiter)
        assert len(its) == cut.rows <= rows
        found += [(cut.first_line + line - 1, row) for line, row in its]
        number, offset = number + cut.rows, cut.offset + cut.length
    assert found == expected


@settings(deadline=None, max_examples=300)
@given(
    table=TABLES,
    width=WIDTHS,
    delimiter=st.sampled_from(dialects.DELIMITERS),
    ending=st.sampled_from(["\n", "\r\n", "\r"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    mark=st.booleans(),
    last=st.booleans(),
    rows=st.integers(1, 5),
    most_bytes=st.integers(1, 80),
)
def test_what_a_writer_wrote(
    folder: Path, table: list[list[str]], width: int, delimiter: str, ending: str, quoting: int, mark: bool,
    last: bool, rows: int, most_bytes: int,
) -> None:  # fmt: skip
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, lineterminator=ending, quoting=quoting)  # type: ignore[arg-type]
    writer.writerows([[f"column {at}" for at in range(width)], *table])
    text = out.getvalue() if last else out.getvalue().removesuffix(ending)
    agrees(folder, (b"\xef\xbb\xbf" if mark else b"") + text.encode(), rows, most_bytes)


@settings(deadline=None, max_examples=500)
@given(text=RAGGED, rows=st.integers(1, 4), most_bytes=st.integers(1, 40))
@example('5" pipe,"a ""b"" \n c"\n\n\r\n"x"y,"1"\r', 1, 1)
@example('"a"b",c\n"d,\n",e', 2, 30)
def test_what_nobodys_writer_wrote(folder: Path, text: str, rows: int, most_bytes: int) -> None:
    # Where a quote is not closed, Python's module takes it that the file ends the cell.
    with contextlib.suppress(MalformedInput) if '"' in text else contextlib.nullcontext():
        agrees(folder, f"x,y\n{text}".encode(), rows, most_bytes)


@settings(deadline=None)
@given(table=TABLES, delimiter=st.sampled_from(dialects.DELIMITERS), at=st.integers(0, 200))
def test_a_block_that_goes_on_ends_its_rows_where_the_whole_does(
    table: list[list[str]], delimiter: str, at: int
) -> None:
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter).writerows(table)
    whole = out.getvalue().encode()
    of_all = records.ends(whole, delimiter, is_last=True).tolist()
    of_part = records.ends(whole[:at], delimiter, is_last=False).tolist()
    assert of_part == [end for end in of_all if end <= at][: len(of_part)]
    assert len(of_part) >= len([end for end in of_all if end < at])


def test_an_empty_line_is_a_row_where_there_is_one_column(folder: Path) -> None:
    _, chunks = read(folder, b"x\n1\n\n3\n", rows=2)
    assert [(cut.rows, chunk) for cut, chunk in chunks] == [(2, b"1\n\n"), (1, b"3\n")]


@pytest.mark.parametrize(
    ("head", "delimiter", "header"),
    [
        (b"a,b\n", ",", ("a", "b")),
        (b"a;b,c;d\n", ";", ("a", "b,c", "d")),
        (b"a\tb\n", "\t", ("a", "b")),
        (b'"a;b;c",d\n', ",", ("a;b;c", "d")),
        (b'"a\nb",c\n', ",", ("a\nb", "c")),
        (b"alone", ",", ("alone",)),
        ("größe;länge\r\n".encode(), ";", ("größe", "länge")),
    ],
)
def test_the_first_line_says_what_stands_between_cells(
    folder: Path, head: bytes, delimiter: str, header: tuple[str, ...]
) -> None:
    dialect, chunks = read(folder, head)
    assert (dialect.delimiter, dialect.header, chunks) == (delimiter, header, [])
