"""No cell of the output runs in a spreadsheet: a formula gets an apostrophe, a number stays as it is."""

from __future__ import annotations

import csv
import io
from typing import Any

import numpy as np
import pyarrow as pa
import scorers
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from ml_pipeline.apps.ml.scoring import written
from ml_pipeline.apps.ml.scoring.dialects import Dialect
from ml_pipeline.apps.ml.scoring.tables import Chunk

CELLS = st.one_of(
    st.text(st.sampled_from("=+-@\t\r\n\"',;1.e x\uff1d\uff0d\uff20\u3000\u00a0é"), max_size=5),
    st.sampled_from(["-5", "+1.5e3", "-5,5", "=1+1", "-a", "+", "@x", "\tx", "\rx", "--1", "-1-1", "1", "-.5", "-٣"]),
    st.sampled_from(
        [
            " =1",
            "  -5",
            " - a",
            "\uff1d1",
            "\uff0b",
            "\u3000\uff20x",
            "\u00a0=1",
            " \u3000 =",
            "\n=1",
            "\n",
            "\uff0d5",
            "a =1",
        ]
    ),
)


@settings(deadline=None, max_examples=300)
@given(
    table=st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=5),
    delimiter=st.sampled_from(",;\t"),
    ending=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
@example([("-1", "-2", "-3")], ",", "\n", csv.QUOTE_MINIMAL)
@example([("-1\n", "1", "1")], ",", "\n", csv.QUOTE_MINIMAL)
@example([('-1"', "1", "1")], ",", "\n", csv.QUOTE_MINIMAL)
@example([("-1", "-x", "-3")], ",", "\n", csv.QUOTE_MINIMAL)
@example([("", "-", "1")], ",", "\n", csv.QUOTE_MINIMAL)
@example([("1", " -5", " -x")], ",", "\n", csv.QUOTE_MINIMAL)
@example([("1", "a", "b\n"), ("\n", "1", "2")], ",", "\n", csv.QUOTE_MINIMAL)
@example([("\uff0d1", "1", "2")], ",", "\n", csv.QUOTE_MINIMAL)
@example([("-", "1", "=")], ",", "\n", csv.QUOTE_ALL)
def test_no_cell_is_a_formula_and_numbers_stay(
    table: list[tuple[str, ...]], delimiter: str, ending: str, quoting: Any
) -> None:
    # Python's writer takes a CR for a character like others where lines end with LF.
    assume(ending == "\r\n" or quoting == csv.QUOTE_ALL or not any("\r" in cell for row in table for cell in row))
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter, lineterminator=ending, quoting=quoting).writerows(table)
    content = out.getvalue().encode()
    chunk = Chunk(content, Dialect(("a", "b", "c"), delimiter, 0, 2), scorers.whole(content, len(table)))
    places = np.arange(len(table))
    made = bytes(written.rows(chunk, places, [pa.array([f"L{at}" for at in places])]))
    assert made.endswith(b"\n")
    found = list(csv.reader(io.StringIO(made.decode(), newline=""), delimiter=delimiter))
    for row, came, at in zip(found, table, places, strict=True):
        assert row[3] == f"L{at}"
        for cell, text in zip(row, came, strict=False):
            is_number = written._IS_NUMBER.fullmatch(text) is not None
            may_run = text[:1] in tuple("\t\r\n") or text.lstrip(" \u00a0\u3000")[:1] in tuple(
                "=+-@\uff1d\uff0b\uff0d\uff20"
            )
            assert cell == (f"'{text}" if may_run and not is_number else text)
            assert (
                cell
                == next(csv.reader(io.StringIO(written.cell(text, delimiter), newline=""), delimiter=delimiter), [""])[
                    0
                ]
            )


def test_a_cell_in_quotes_at_the_end_of_a_line_is_no_formula() -> None:
    content = '1,"a b"\n -5,"ü"\n- ,x =1\n'.encode().replace(b"- ,", b"-2,")
    chunk = Chunk(content, Dialect(("a", "b"), ",", 0, 2), scorers.whole(content, 3))
    made = bytes(written.rows(chunk, np.arange(3), [pa.array(["L"] * 3)]))
    assert made.decode() == '1,"a b",L\n -5,"ü",L\n-2,x =1,L\n'


def test_a_header_is_harmless_too() -> None:
    assert written.header(("=1+1", "-5", 'a "b"', "c,d"), ",") == b'\'=1+1,-5,"a ""b""","c,d"\n'
