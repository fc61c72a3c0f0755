"""What a file's beginning shows to be wrong is refused with a sentence, nothing is stored, and the server goes on."""

from __future__ import annotations

import gzip
import time
from collections.abc import Iterator

import httpx
import pytest
import sent
from homes import ENDPOINT
from servers import Server

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x04\x00" + bytes(range(256)) * 40
HEADER = ",".join(sent.COLUMNS).encode()


def _endless_name() -> bytes:
    # A gzip whose head has a file name that does not end.
    return b"\x1f\x8b\x08\x08" + bytes(6) + b"n" * 8_000_000


def _empty_parts() -> bytes:
    return gzip.compress(b"") * 200_000


# What is sent, and words of the sentence that refuses it.
FILES = {
    "empty": (b"", "not empty"),
    "blank": (b"\n \n", "empty"),
    "a picture": (PNG, "first line is not UTF-8"),
    "a program": (b"\x7fELF\x02\x01\x01" + bytes(1_000), "NUL"),
    "a workbook": (b"PK\x03\x04\x14\x00\x06\x00" + bytes(range(256)) * 40, "save its table as CSV"),
    "NUL in its first line": (HEADER.replace(b"age", b"a\0ge") + b"\n", "NUL"),
    "UTF-16 without saying so": (sent.people().decode().encode("utf-16-le"), "Declare the encoding"),
    "100,000 columns": (b",".join(b"c%d" % one for one in range(100_000)) + b"\n1\n", "columns"),
    "a column twice": (HEADER + b",age\n", "'age' twice"),
    "rows without their columns' names": (b"1,0,0\n2,0,0\n", "'0' twice. A CSV's first line has the columns' names"),
    "a blank line before the columns' names": (b"\n" + HEADER + b"\n", "first line is blank"),
    "no column that is needed": (b"a,b\n1,2\n", "lacks the column 'age' and 13 more"),
    "columns with something else between": (HEADER.replace(b",", b"|") + b"\n", "It has 'age|workclass|"),
    "columns that are others": (b"a,b,c,d,e\n1,2\n", "It has 'a', 'b', 'c' and 2 more."),
    "one column too few": (HEADER.replace(b"age,", b"") + b"\n", "lacks the column 'age'"),
    "an answer's column": (HEADER + b",label\n", "'label'"),
    "a line of 3 MB": (b"a" * 3_000_000 + b"\n", "1,000,000"),
    "a quote that is never closed": (b'"' + b"a,\n" * 1_000_000, "1,000,000"),
    "gzip of nothing": (gzip.compress(b""), "empty"),
    "gzip of a picture": (gzip.compress(PNG), "first line"),
    "gzip within gzip": (gzip.compress(gzip.compress(HEADER)), "gzip within gzip"),
    "no gzip behind its mark": (b"\x1f\x8b" + bytes(100), "gzip"),
    "gzip with a name without end": (_endless_name(), "empty"),
    "gzip in many empty parts": (_empty_parts(), "empty"),
    "a bomb": (gzip.compress(bytes(300_000_000), 1), "1,000,000"),
}


@pytest.fixture(scope="module")
def before(door: Server) -> tuple[int, list[str], list[str]]:
    return sent.traces(door)


def _refusal(reply: httpx.Response) -> str:
    assert reply.status_code in (400, 413, 422), (reply.status_code, reply.text[:200])
    error = reply.json()["error"]
    assert error["code"] in ("malformed", "invalid_input", "too_large"), error
    return str(error["message"])


@pytest.mark.parametrize("case", FILES)
def test_a_hostile_file_is_refused(door: Server, before: tuple[int, list[str], list[str]], case: str) -> None:
    content, words = FILES[case]
    begun = time.monotonic()
    message = _refusal(sent.post(door, content))
    # Of a bomb no more is expanded than a head needs; a machine that is busy has its time.
    assert time.monotonic() - begun < 10
    assert words in message
    assert str(door.home.folder) not in message
    assert sent.traces(door) == before


@pytest.mark.parametrize("declared", ["utf-16", "utf-16-le", "latin-1"])
def test_a_picture_is_none_in_another_encoding_either(door: Server, declared: str) -> None:
    before = sent.traces(door)
    _refusal(sent.post(door, PNG, encoding=declared))
    assert sent.traces(door) == before


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"encoding": "klingon"}, "encoding"),
        ({"output": "xlsx"}, "output"),
        ({"status": "sleeping"}, "status"),
        ({"probabilities": "perhaps"}, "probabilities"),
        ({"log_requests": "2"}, "log_requests"),
        ({"color": "red"}, "color"),
        ({"endpoint": "x" * 64}, "endpoint"),
        ({"version": "x" * 129}, "version"),
        ({"endpoint": "income\0classifier"}, "endpoint"),
    ],
)
def test_a_form_is_told_which_field_is_wrong(door: Server, form: dict[str, str], field: str) -> None:
    before = sent.traces(door)
    reply = sent.post(door, sent.people(), **form)
    assert reply.status_code == 422
    assert field in {one["field"] for one in reply.json()["error"]["details"]}
    assert sent.traces(door) == before


@pytest.mark.parametrize("name", ["x" * 252 + ".csv", "people." + "x" * 16])
def test_a_file_with_a_very_long_name_is_refused(door: Server, name: str) -> None:
    before = sent.traces(door)
    assert "a short file name" in _refusal(sent.post(door, sent.people(), name))
    assert sent.traces(door) == before


def test_a_form_that_is_none_is_refused(door: Server) -> None:
    before = sent.traces(door)
    with door.client("predict") as client:
        without = client.post(sent.BATCHES, data={"endpoint": ENDPOINT}, files={"x": b""})
        twice = client.post(
            sent.BATCHES, data={"endpoint": [ENDPOINT, ENDPOINT]}, files={"file": ("p.csv", sent.people())}
        )
        as_json = client.post(sent.BATCHES, json={"endpoint": ENDPOINT})
        unknown = client.post(sent.BATCHES, params={"color": "red"}, files={"file": ("p.csv", sent.people())})
    assert [without.status_code, twice.status_code, as_json.status_code, unknown.status_code] == [422, 422, 415, 400]
    assert sent.traces(door) == before


@pytest.fixture(scope="module", autouse=True)
def unharmed(door: Server) -> Iterator[None]:
    """After all of it the server answers, and no failure is in its log."""
    yield
    assert sent.is_well(door)
    assert "Traceback" not in door.log
