"""A job is the same on this machine and on a Ray cluster: results, their order, and what is told of what goes wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import clusters
import engined
import pytest
import scorers
from engined import ALLOWED, Given
from people import held_out_people

from ml_pipeline.apps.batches.engines import engine
from ml_pipeline.apps.ml.isolation.limits import Limits
from ml_pipeline.apps.ml.scoring import parquet
from ml_pipeline.errors import AlgorithmFailed, InvalidArtifact, MalformedInput


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Given:
    return Given(tmp_path_factory.mktemp("given"))


@pytest.fixture(scope="module", params=["local", pytest.param("ray", marks=pytest.mark.services)])
def address(request: pytest.FixtureRequest) -> Iterator[str]:
    """Where the engine scores; empty for this machine."""
    if request.param == "local":
        yield ""
        return
    with clusters.started() as cluster, cluster.joined():
        yield cluster.address


def test_results_are_those_of_one_process_in_order(given: Given, address: str) -> None:
    found = list(given.run(address))
    assert [cut.number for cut, _ in found] == list(range(15))
    assert engined.told(one for _, one in found) == given.expected()


def test_a_file_of_one_chunk_and_one_of_none(given: Given, address: str, tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    lines = given.path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:2]))
    assert [one.answered for _, one in given.run(address, path=path)] == [1]
    path.write_bytes(lines[0])
    assert list(given.run(address, path=path)) == []


def test_rejected_rows_keep_their_places(given: Given, address: str, tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    lines = given.path.read_bytes().splitlines(keepends=True)
    lines[450] = b"not,a,row\n"
    path.write_bytes(b"".join(lines))
    found = [one for _, one in given.run(address, path=path)]
    assert engined.told(found) == given.expected(path)
    assert [(row[0], row[1]) for one in found for row in one.rejected] == [(449, 451)]


def test_the_bytes_of_a_parquet_go_along(given: Given, address: str, tmp_path: Path) -> None:
    path = tmp_path / "people.parquet"
    held_out_people().head(500).to_parquet(path)
    terms = scorers.terms(given.bundle, parquet.header(path), input="parquet", output="parquet")
    chunks = parquet.contents(path, rows=100)
    run = engine.chosen(address, processes=2)(terms, path, chunks, allowed=ALLOWED, deadline_s=60.0)
    assert [(cut.first_row, one.answered) for cut, one in run] == [(at * 100, 100) for at in range(5)]


def test_a_bundle_that_was_altered_is_told(given: Given, address: str) -> None:
    with pytest.raises(InvalidArtifact, match="was altered"):
        list(given.run(address, digest="0" * 64))


def test_a_runtime_that_the_bundle_has_nothing_for_is_told(given: Given, address: str) -> None:
    with pytest.raises(InvalidArtifact, match="joblib"):
        list(given.run(address, runtime="sklearn"))


def test_a_file_that_breaks_in_the_middle_is_told_after_what_was_before(
    given: Given, address: str, tmp_path: Path
) -> None:
    path = tmp_path / "people.csv"
    path.write_bytes(given.path.read_bytes() + b'"' + b"x" * 2_000_000)
    found = []
    with pytest.raises(MalformedInput):
        found.extend(given.run(address, path=path))
    assert [cut.number for cut, _ in found] == list(range(len(found)))


def test_whoever_is_late_each_time_fails(given: Given, address: str) -> None:
    with pytest.raises(AlgorithmFailed, match="Loading the model: the process ended or was late 3 times"):
        list(given.run(address, deadline_s=0.0))


def test_too_little_memory_is_told(given: Given, address: str) -> None:
    small = Limits(memory_bytes=1_000_000, cpu_s=None, file_bytes=0, nice=0)
    with pytest.raises((AlgorithmFailed, InvalidArtifact), match=r"bad_alloc|Memory"):
        list(given.run(address, allowed=small))
