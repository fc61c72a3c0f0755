"""Rows with too many or too few cells, or that are no text, are rejected; the others keep their numbers and lines."""

from __future__ import annotations

import pytest

from ml_pipeline.apps.ml.scoring.cuts import Cut
from ml_pipeline.apps.ml.scoring.dialects import Dialect
from ml_pipeline.apps.ml.scoring.rejections import Rejection
from ml_pipeline.apps.ml.scoring.tables import Chunk

UTF_8, NUL = "expected UTF-8, got other bytes", "expected text, got a NUL in it"


def chunk_of(content: bytes, rows: int, header: tuple[str, ...] = ("x", "y")) -> Chunk:
    return Chunk(content, Dialect(header, ",", 0, 2), Cut(3, 0, len(content), 100, 50, rows))


def cells(count: int) -> str:
    return f"expected 2 cells, got {count}"


@pytest.mark.parametrize(
    ("content", "rows", "good", "bad"),
    [
        (b"1,2\n3\n5,6\n", 3, {0: ["1", "2"], 2: ["5", "6"]}, [(1, 51, cells(1))]),
        (b'1,"a\nb"\n\r\n3,4,5\r\n7,8', 3, {0: ["1", "a\nb"], 2: ["7", "8"]}, [(1, 53, cells(3))]),
        (b"1,\xff\n\n3,4\n5\n6,\xe9\xff\n", 4, {1: ["3", "4"]}, [(0, 50, UTF_8), (3, 54, UTF_8), (2, 53, cells(1))]),
        (b"1,2\n\0,4\n5,6\n", 3, {0: ["1", "2"], 2: ["5", "6"]}, [(1, 51, NUL)]),
        (b"\xed\xa0\x80,1\n,\n", 2, {1: [None, None]}, [(0, 50, UTF_8)]),
        (b"\xff,\n", 1, {}, [(0, 50, UTF_8)]),
        ("é,ö\n".encode(), 1, {0: ["é", "ö"]}, []),
        (b"1\n2,3\r4,5,6\r", 3, {1: ["2", "3"]}, [(0, 50, cells(1)), (2, 52, cells(3))]),
    ],
)
def test_the_rest_is_read(
    content: bytes, rows: int, good: dict[int, list[str | None]], bad: list[tuple[int, int, str]]
) -> None:
    read = chunk_of(content, rows).read(["y", "x"])
    found = zip(read.columns["x"].to_pylist(), read.columns["y"].to_pylist(), strict=True)
    assert dict(zip(read.places.tolist(), map(list, found), strict=True)) == good
    assert read.rejected == [Rejection(100 + place, line, "", reason) for place, line, reason in bad]


@pytest.mark.parametrize(
    ("content", "header", "good", "bad"),
    [
        ("\ufeff\n1\n".encode(), ("x",), ["\ufeff", "1"], []),
        ('\ufeff"a,1\n2",3\n'.encode(), ("x", "y"), ['\ufeff"a', '2"'], []),
        ("\ufeff\ufeffa,1\n".encode(), ("x", "y"), ["\ufeff\ufeffa"], []),
        (b"1\r\0\r\n\n2\n", ("x",), ["1", None, "2"], [1]),
    ],
)
def test_what_comes_to_the_beginning_or_together_is_read_as_it_stood(
    content: bytes, header: tuple[str, ...], good: list[str | None], bad: list[int]
) -> None:
    read = chunk_of(content, len(good) + len(bad), header).read(["x"])
    assert read.columns["x"].to_pylist() == good
    assert len(read.places) == len(good)
    assert [one.row - 100 for one in read.rejected] == bad


def test_an_empty_line_is_a_row_of_a_single_column() -> None:
    read = chunk_of(b"1\n\n\n4\n", 4, ("x",)).read(["x"])
    assert (read.columns["x"].to_pylist(), read.places.tolist()) == (["1", None, None, "4"], [0, 1, 2, 3])


@pytest.mark.parametrize("line", [b"1\n", b"\xff,2\n", b"\0,2\n"])
def test_a_chunk_of_nothing_else_takes_no_time(line: bytes) -> None:
    read = chunk_of(line * 25_000, 25_000).read(["x"])
    assert (len(read.rejected), read.rejected[-1].line, len(read.places)) == (25_000, 25_049, 0)
