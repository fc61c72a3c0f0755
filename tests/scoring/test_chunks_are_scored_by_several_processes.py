"""Several processes score the chunks of a job; results come in order, also where a process is killed."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import scorers
import small_forests
import threaded_models
from people import held_out_people
from servers import wait_until

from ml_pipeline.apps.ml.bundles import Bundle
from ml_pipeline.apps.ml.isolation.limits import Limits
from ml_pipeline.apps.ml.scoring import cuts, dialects, families, parquet, pipeline
from ml_pipeline.apps.ml.scoring.cuts import Cut
from ml_pipeline.apps.ml.scoring.jobs import Scored
from ml_pipeline.errors import AlgorithmFailed, InvalidArtifact, MalformedInput

ALLOWED = Limits(memory_bytes=2_000_000_000, cpu_s=None, file_bytes=0, nice=0)
# So many chunks, of thirty.
DEATHS_APART = 6


@pytest.fixture(scope="module")
def forest(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return small_forests.income_forest(tmp_path_factory.mktemp("forest") / "bundle")


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("people") / "people.csv"
    path.write_bytes(held_out_people().head(3_000).to_csv(index=False).encode())
    return path


def running(
    bundle: Bundle, path: Path, *, rows: int = 200, deadline_s: float = 60.0, allowed: Limits = ALLOWED, **changes: Any
) -> Iterator[tuple[Cut, Scored]]:
    dialect = dialects.read(path)
    chunks = ((cut, None) for cut in cuts.of_csv(path, dialect, rows=rows))
    terms = scorers.terms(bundle, dialect.header, **changes)
    return pipeline.results(terms, path, chunks, processes=2, allowed=allowed, deadline_s=deadline_s)


def children(parent: int | None = None) -> list[int]:
    """The processes that score for `parent`, this one unless it is said: those that its template has forked."""
    return [one for template in templates(parent or os.getpid()) for one in _children(template)]


def templates(parent: int) -> list[int]:
    return [one for one in _children(parent) if "scoring.template" in _command(one)]


def _children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        listed = [one.read_text() for one in Path(f"/proc/{pid}/task").glob("*/children")]
        return [int(one) for part in listed for one in part.split()]
    return []


def untimed(several: Iterable[Scored]) -> list[Scored]:
    """The same without how long each took."""
    return [msgspec.structs.replace(one, took_us=0) for one in several]


def _command(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text()
    return ""


def test_it_is_what_one_process_makes(forest: Bundle, people: Path) -> None:
    _, expected = scorers.scored(forest, people, rows=200)
    found = list(running(forest, people))
    assert [cut.number for cut, _ in found] == list(range(15))
    assert untimed(one for _, one in found) == untimed(expected)
    assert children() == []


def test_a_killed_process_is_replaced_and_nothing_changes(forest: Bundle, people: Path) -> None:
    _, expected = scorers.scored(forest, people, rows=200)
    found = []
    for at, (_, one) in enumerate(running(forest, people)):
        found.append(one)
        if at in (1, 6):
            os.kill(children()[at % 2], signal.SIGKILL)
    assert untimed(found) == untimed(expected)


def test_a_chunk_whose_process_ends_every_time_fails(forest: Bundle, people: Path) -> None:
    run = running(forest, people, deadline_s=0.0)
    with pytest.raises(AlgorithmFailed, match="Loading the model: the process ended or was late 3 times"):
        list(run)
    assert children() == []


def test_a_chunk_whose_process_is_killed_each_time_fails(forest: Bundle, people: Path, tmp_path: Path) -> None:
    # Nobody writes to it, so whoever reads the chunk from it waits.
    never = tmp_path / "never"
    os.mkfifo(never)
    dialect = dialects.read(people)
    chunks = ((cut, None) for cut in cuts.of_csv(people, dialect, rows=2_000))
    terms = scorers.terms(forest, dialect.header)
    is_over = threading.Event()

    def kill() -> None:
        while not is_over.wait(0.05):
            for pid in children():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        with pytest.raises(AlgorithmFailed, match="the process ended or was late 3 times"):
            list(pipeline.results(terms, never, chunks, processes=2, allowed=ALLOWED, deadline_s=60.0))
    finally:
        is_over.set()
        killer.join()
    assert children() == []


def test_a_long_job_bears_many_deaths_far_between(forest: Bundle, people: Path) -> None:
    _, expected = scorers.scored(forest, people, rows=100)
    found, killed, last = [], 0, -DEATHS_APART
    for at, (_, one) in enumerate(running(forest, people, rows=100)):
        found.append(one)
        # Its children outlive a template by moments, in which some more chunks may be scored.
        alive = templates(os.getpid())
        if alive and at - last >= DEATHS_APART:
            os.kill(alive[0], signal.SIGKILL)
            killed, last = killed + 1, at
    # More than a model or a chunk may have in a row, of the template and its children with it.
    assert killed > families.TRIES
    assert untimed(found) == untimed(expected)


def test_children_are_forked_from_the_one_process_that_loaded_the_model(forest: Bundle, people: Path) -> None:
    run = running(forest, people)
    next(run)
    (template,) = templates(os.getpid())
    assert len(list(Path(f"/proc/{template}/task").iterdir())) == 1
    assert _kilobytes(template, "RssAnon") > 10_000
    for child in children():
        # What it has of its own is what it has written to since.
        shared = _kilobytes(child, "Rss") - sum(_kilobytes(child, f"Private_{one}") for one in ("Clean", "Dirty"))
        assert shared > 0.8 * _kilobytes(template, "RssAnon")
    run.close()  # type: ignore[attr-defined]


def _kilobytes(pid: int, name: str) -> int:
    text = Path(f"/proc/{pid}/{'status' if name == 'RssAnon' else 'smaps_rollup'}").read_text()
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith(f"{name}:"))


def test_a_model_that_starts_a_thread_is_loaded_by_each_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Where a child finds the model's class.
    monkeypatch.setenv("PYTHONPATH", str(Path(threaded_models.__file__).parent))
    bundle = threaded_models.bundle_of(tmp_path / "bundle")
    path = tmp_path / "rows.csv"
    path.write_text("number\n" + "1\n" * 100)
    keys = (threaded_models.ORIGIN.public_key,)
    found = list(running(bundle, path, rows=10, runtime="sklearn", trusted_keys=keys, logging=None))
    lines = b"".join(one.output for _, one in found).decode().splitlines()
    # A thread of the template's would not be there in its forks.
    assert {line.split(",")[1:3] == ["b", "0.75"] for line in lines} == {True}
    assert len(lines) == 100


def test_whoever_stops_early_leaves_no_process(forest: Bundle, people: Path) -> None:
    run = running(forest, people)
    next(run)
    assert len(children()) == 2
    run.close()  # type: ignore[attr-defined]
    assert children() == []


def test_a_bundle_that_cannot_be_loaded_is_told(forest: Bundle, people: Path) -> None:
    with pytest.raises(InvalidArtifact, match="was altered"):
        list(running(forest, people, digest="0" * 64))


def test_a_file_that_breaks_in_the_middle_is_told_after_what_was_before(forest: Bundle, tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    text = held_out_people().head(500).to_csv(index=False)
    path.write_bytes(text.encode() + b"x" * 9_000_000)
    run, found = running(forest, path), []
    with pytest.raises(MalformedInput, match="Line 502: The row is longer"):
        found.extend(run)
    path.write_bytes(text.encode() + b'"' + b"x" * 500)
    with pytest.raises(MalformedInput, match="A quote is not closed"):
        found.extend(running(forest, path))


def test_too_little_memory_is_told(forest: Bundle, people: Path) -> None:
    small = Limits(memory_bytes=1_000_000, cpu_s=None, file_bytes=0, nice=0)
    with pytest.raises((AlgorithmFailed, InvalidArtifact), match=r"bad_alloc|Memory"):
        list(running(forest, people, allowed=small))


def test_the_bytes_of_a_parquet_go_along(forest: Bundle, tmp_path: Path) -> None:
    path = tmp_path / "people.parquet"
    held_out_people().head(500).to_parquet(path)
    terms = scorers.terms(forest, parquet.header(path), input="parquet")
    chunks = parquet.contents(path, rows=100)
    found = list(pipeline.results(terms, path, chunks, processes=2, allowed=ALLOWED, deadline_s=60.0))
    assert [(cut.first_row, one.answered) for cut, one in found] == [(at * 100, 100) for at in range(5)]


def test_a_process_that_stops_in_the_middle_of_a_message_is_late(forest: Bundle, tmp_path: Path) -> None:
    path = tmp_path / "people.parquet"
    # An answer is more than a socket holds, so its process waits in the middle of it until it is read.
    held_out_people().head(500).assign(note="x" * 10_000).to_parquet(path)
    terms = scorers.terms(forest, parquet.header(path), input="parquet")
    chunks = parquet.contents(path, rows=100)
    run = pipeline.results(terms, path, chunks, processes=2, allowed=ALLOWED, deadline_s=3.0)
    found = [next(run)]
    wait_until(lambda: all(") S " in Path(f"/proc/{pid}/stat").read_text() for pid in children()), 10)
    # One waits for its next chunk, the other has half of its answer told.
    for pid in children():
        os.kill(pid, signal.SIGSTOP)
    found += run
    assert [(cut.first_row, one.answered) for cut, one in found] == [(at * 100, 100) for at in range(5)]


PARENT = """
import sys
from ml_pipeline.apps.ml.scoring import cuts, dialects, pipeline
from pathlib import Path
import msgspec
from ml_pipeline.apps.ml.isolation.limits import Limits
from ml_pipeline.apps.ml.scoring.jobs import Terms
assert "django" not in sys.modules
path = Path(sys.argv[1])
terms = msgspec.json.decode(sys.argv[2], type=Terms)
chunks = ((cut, None) for cut in cuts.of_csv(path, dialects.read(path), rows=10))
run = pipeline.results(terms, path, chunks, processes=2, allowed=Limits(2_000_000_000, None, 0, 0), deadline_s=60)
next(run)
print("begun", flush=True)
sys.stdin.read()
"""


def test_children_end_with_a_parent_that_is_killed(forest: Bundle, people: Path) -> None:
    job = msgspec.json.encode(scorers.terms(forest, dialects.read(people).header)).decode()
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(people), job], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "begun\n"
        listed = [*templates(parent.pid), *children(parent.pid)]
        assert len(listed) == 3
    finally:
        parent.kill()
        parent.communicate()
    wait_until(lambda: not any(Path(f"/proc/{one}").exists() for one in listed), 10)
