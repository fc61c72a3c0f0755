"""A file that is none, or that wants all memory, is refused with its reason; the process that reads it stays small."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

# Prints what was said, or the rows, and by how many MB the process grew.
READING = """
import resource, sys
from pathlib import Path
from ml_pipeline.apps.ml.scoring import cuts, dialects
from ml_pipeline.errors import MalformedInput
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1000
before = peak()
try:
    dialect = dialects.read(Path(sys.argv[1]))
    said = str(sum(one.rows for one in cuts.of_csv(Path(sys.argv[1]), dialect)))
except MalformedInput as error:
    said = error.message
print(said.replace("\\n", " "), peak() - before, sep="\\n")
"""


def reading(path: Path) -> tuple[str, int]:
    run = subprocess.run(
        [sys.executable, "-c", READING, str(path)], capture_output=True, text=True, timeout=120, check=True
    )
    said, grown = run.stdout.splitlines()
    return said, int(grown)


def repeated(path: Path, head: bytes, part: bytes, megabytes: int, tail: bytes = b"") -> Path:
    with path.open("wb") as handle:
        handle.write(head)
        for _ in range(megabytes * 1_000_000 // len(part)):
            handle.write(part)
        handle.write(tail)
    return path


@pytest.mark.parametrize(
    ("head", "part", "tail", "said"),
    [
        pytest.param(b"a,b\n1,2\n", b"x" * 100_000, b",2\n", "Line 3: The row is longer than", id="a cell of 100 MB"),
        pytest.param(b'a,b\n1,2\n3,"', b"x,y\n" * 25_000, b"", "Line 3: The row is longer", id="a quote never closed"),
        pytest.param(b'a,"', b"x,y\n" * 25_000, b"", "The row is longer than", id="one in the first line"),
        pytest.param(b"", b"x" * 100_000, b"", "The row is longer than", id="one line"),
        pytest.param(b"a,b\n", b"\n" * 100_000, b"1,2\n", "1", id="nothing but empty lines"),
        pytest.param(b"a,b\n", b'5",x\n' * 20_000, b"", "4000000", id="quotes in every row"),
    ],
)
def test_a_large_one(tmp_path: Path, head: bytes, part: bytes, tail: bytes, said: str) -> None:
    answer, grown = reading(repeated(tmp_path / "rows.csv", head, part, 20 if said.isdigit() else 100, tail))
    assert answer.startswith(said)
    assert grown < 500


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "The file is empty"),
        (b"\xef\xbb\xbf", "The file is empty"),
        (b"\r\n\n", "The file is empty"),
        (b"a,b,a\n1,2,3\n", "The file has the column 'a' twice."),
        (b"a,b\n", "0"),
        (b'a,b\n1,"2\n', "In or after line 2: A quote is not closed."),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "The file's first line is not UTF-8"),
        (b"a\0b\n", "The file is not CSV: its first line has a NUL."),
        (",".join(f"c{at}" for at in range(100_000)).encode() + b"\n", "The file has 100,000 columns"),
        (b"a,b\n" + b"x" * 1_000_001 + b",1\n", "Line 2: The row is longer than 1,000,000 bytes"),
        (b"a,b\n" + b"x" * 999_990 + b",1\n", "1"),
    ],
)
def test_a_small_one(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(content)
    assert reading(path)[0].startswith(said)
