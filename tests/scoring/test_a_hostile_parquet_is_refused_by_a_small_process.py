"""Parquet is decoded by a process of its own under limits: what is hostile or broken is refused in little memory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import hostile_parquet as hostile
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from ml_pipeline.apps.ml.scoring import cuts, groups, messages, parquet
from ml_pipeline.apps.ml.scoring.cuts import Cut
from ml_pipeline.apps.ml.scoring.messages import Outline
from ml_pipeline.errors import MalformedInput

# Prints what was said, or the rows of at most five chunks, by how many MB the process grew, and its child's peak.
READING = """
import itertools, resource, sys
from pathlib import Path
from ml_pipeline.apps.ml.scoring import parquet
from ml_pipeline.errors import MalformedInput
assert "pyarrow" not in sys.modules
def peak(whose): return resource.getrusage(whose).ru_maxrss // 1000
before = peak(resource.RUSAGE_SELF)
try:
    chunks = parquet.contents(Path(sys.argv[1]))
    said = str(sum(cut.rows for cut, _ in itertools.islice(chunks, 5)))
    chunks.close()
except MalformedInput as error:
    said = error.message
print(said.replace("\\n", " "), peak(resource.RUSAGE_SELF) - before, peak(resource.RUSAGE_CHILDREN), sep="\\n")
"""
BILLIONS = 1_300_000_000
SMALL, MANY = hostile.dictionary(1), hostile.dictionary(600_000_000)
TEN = SMALL + hostile.page(10, hostile.DICTIONARY, hostile.same(10))
ZEROS = pa.Codec("zstd").compress(bytes(1_000_000_000), asbytes=True)


def reading(path: Path) -> tuple[str, int, int]:
    # A reader that is late is one that needs many seconds of the processor.
    run = subprocess.run(
        [sys.executable, "-c", READING, str(path)], capture_output=True, text=True, timeout=60, check=True
    )
    said, grown, peak = run.stdout.splitlines()
    return said, int(grown), int(peak)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(
            hostile.file(
                BILLIONS,
                hostile.page(BILLIONS, encoding, hostile.deltas(BILLIONS) * times),
                encoding=encoding,
                kind=hostile.BYTE_ARRAY,
            ),
            "To read the file takes more than 300,000,000 bytes",
            id=f"billions of texts in a page, {times}",
        )
        for times, encoding in ((1, hostile.DELTA_LENGTHS), (2, hostile.DELTA_TEXTS))
    ]
    + [
        pytest.param(
            hostile.file(
                1_000, MANY + hostile.page(1_000, hostile.DICTIONARY, hostile.same(1_000)), dictionary_bytes=len(MANY)
            ),
            "To read the file takes more than 300,000,000 bytes",
            id="a dictionary that says it is of gigabytes",
        ),
        pytest.param(
            hostile.file(
                1_000,
                hostile.page(1_000, hostile.PLAIN, ZEROS, expanded=1_000_000_000),
                encoding=hostile.PLAIN,
                codec=hostile.ZSTD,
            ),
            "To read the file takes more than 300,000,000 bytes",
            id="a page that expands to a gigabyte",
        ),
        pytest.param(
            hostile.file(
                BILLIONS,
                SMALL + hostile.page(BILLIONS, hostile.DICTIONARY, hostile.same(BILLIONS)),
                dictionary_bytes=len(SMALL),
            ),
            "125000",
            id="billions of rows in a page, which come as they are wanted",
        ),
        pytest.param(
            hostile.file(10**12, TEN, dictionary_bytes=len(SMALL)),
            "The file has more than 4,294,967,296 rows",
            id="a trillion rows",
        ),
        pytest.param(
            hostile.file(2**62, TEN, groups=4, dictionary_bytes=len(SMALL)),
            "The file is not Parquet",
            id="rows beyond counting",
        ),
        pytest.param(
            hostile.file(-5, TEN, dictionary_bytes=len(SMALL)),
            "The file is not Parquet: its row groups",
            id="fewer rows than none",
        ),
        pytest.param(
            hostile.file(10, TEN, dictionary_bytes=len(SMALL), total=11),
            "The file is not Parquet: its row groups",
            id="another sum",
        ),
        pytest.param(
            hostile.file(60_000, TEN, dictionary_bytes=len(SMALL)),
            "The file's row group 0 has fewer rows than it says",
            id="rows that are not there",
        ),
        pytest.param(
            hostile.file(10, TEN, groups=10_001, dictionary_bytes=len(SMALL)),
            "The file has 10,001 row groups",
            id="thousands of groups",
        ),
        pytest.param(
            hostile.file(10, TEN, groups=480_000, dictionary_bytes=len(SMALL)),
            "What the file says of itself has 16,",
            id="half a million groups",
        ),
        pytest.param(
            hostile.file(10, TEN, dictionary_bytes=len(SMALL))[:-20],
            "The file is not Parquet: it does not end",
            id="cut off",
        ),
        pytest.param(
            hostile.MARK + hostile.ended(b"x" * 50, 2**31),
            "The file is not Parquet: what it says",
            id="a footer longer than the file",
        ),
        pytest.param(hostile.MARK + hostile.ended(b"x" * 50, 20), "The file is not Parquet", id="a footer of anything"),
        pytest.param(
            hostile.MARK + hostile.ended(b"\x19" + b"\x1c" * 1_000_000), "The file", id="structures within structures"
        ),
        pytest.param(hostile.MARK + hostile.ended(b""), "The file is not Parquet", id="no footer"),
        pytest.param(b"PAR1", "The file is not Parquet", id="a mark alone"),
        pytest.param(b"", "The file is not Parquet", id="nothing"),
    ],
)
def test_what_it_says_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "rows.parquet"
    path.write_bytes(content)
    answer, grown, peak = reading(path)
    assert answer.startswith(said)
    assert grown < 30
    assert peak < 400


def test_a_large_text_many_times_is_refused_before_it_is_written_out(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    texts = pa.DictionaryArray.from_arrays(np.zeros(20_000, dtype=np.int32), ["x" * 100_000])
    pa.parquet.write_table(pa.table({"note": texts}), path)
    answer, grown, peak = reading(path)
    assert answer.startswith("The file's row group 0 has 20,000 rows of more than 32,000,000 bytes together")
    assert (grown < 30, peak < 400) == (True, True)


def test_a_page_in_the_middle_that_is_broken_is_told_after_what_was_before(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pa.parquet.write_table(
        pa.table({"age": np.arange(400.0)}), path, row_group_size=100, compression="none", use_dictionary=False
    )
    content = bytearray(path.read_bytes())
    at = content.index(np.arange(200.0, 300.0).tobytes())
    content[at - 12 : at] = b"\xff" * 12
    path.write_bytes(content)
    found = []
    with pytest.raises(MalformedInput, match=r"The file's row group 2 cannot be read|The file cannot be read"):
        found.extend(parquet.contents(path))
    assert [cut.number for cut, _ in found] == [0, 1]


def test_all_chunks_are_known_from_what_the_file_says_of_itself(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pa.parquet.write_table(pa.table({"age": np.arange(1_000)}), path, row_group_size=400)
    about = parquet.outline(path, rows=150)
    assert about == Outline(("age",), ((400, 150), (400, 150), (200, 150)))
    found = list(parquet.of_outline(about))
    assert found == [cut for cut, _ in parquet.contents(path, rows=150)]
    assert [cut.number for cut in found] == list(range(8))
    assert found[3] == Cut(3, 400, 150, 400, 0, 150)
    assert sum(cut.rows for cut in found) == 1_000


def test_a_chunk_of_wide_rows_has_fewer(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pa.parquet.write_table(pa.table({f"column {at}": np.arange(2_000.0) for at in range(1_000)}), path)
    ((rows, each),) = parquet.outline(path).groups
    assert (rows, each) == (2_000, each)
    assert each <= cuts.BYTES // 8_000 < 2_000
    assert sum(cut.rows for cut, _ in parquet.contents(path)) == 2_000


def test_nested_columns_are_refused_however_deep(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    deep: pa.DataType = pa.int64()
    for _ in range(60):
        deep = pa.struct([("within", deep)])
    for kind, named in (
        (pa.list_(pa.int64()), "of list"),
        (deep, "of struct"),
        (pa.map_(pa.string(), pa.int64()), "of map"),
    ):
        pa.parquet.write_table(pa.table({"age": pa.nulls(2, kind)}), path)
        with pytest.raises(MalformedInput, match=f"'age' is {named}"):
            parquet.header(path)


def test_a_reader_that_is_late_is_ended(tmp_path: Path) -> None:
    # Nobody writes to it, so whoever opens it waits.
    never = tmp_path / "never"
    os.mkfifo(never)
    with pytest.raises(MalformedInput, match="ended or was late"):
        parquet.outline(never, deadline_s=1.0)


def test_no_process_is_left_by_whoever_stops_early(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pa.parquet.write_table(pa.table({"age": np.arange(1_000)}), path)
    chunks = parquet.contents(path, rows=10)
    next(chunks)
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    readers = [one for one in children if "scoring.reader" in Path(f"/proc/{one}/cmdline").read_text()]
    assert len(readers) == 1
    chunks.close()  # type: ignore[attr-defined]
    assert not Path(f"/proc/{readers[0]}").exists()


def test_a_chunk_fits_into_a_message() -> None:
    assert groups.MAX_CHUNK_BYTES < parquet.MAX_MESSAGE_BYTES
    assert messages.told(messages.encode(Outline(("a",), ()))) == Outline(("a",), ())
