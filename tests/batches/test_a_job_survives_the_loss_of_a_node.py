"""A job on a Ray cluster of two nodes comes to the same end where one of them, or a process on it, is killed."""

from __future__ import annotations

import hashlib
import os
import signal
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

import clusters
import pytest
from clusters import Cluster
from engined import Given
from servers import wait_until

from ml_pipeline.apps.ml.scoring.cuts import Cut
from ml_pipeline.apps.ml.scoring.jobs import Scored

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Given:
    return Given(tmp_path_factory.mktemp("given"))


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with clusters.started() as cluster, cluster.joined():
        yield cluster


def digest(results: Iterable[tuple[Cut, Scored]]) -> str:
    """Of every byte of the output, request ids among them, and of what is logged."""
    found = hashlib.sha256()
    for _, one in results:
        found.update(one.output + (one.logged or b""))
    return found.hexdigest()


# The other node, and the one that the job talks to.
@pytest.mark.parametrize("number", [1, 0])
def test_a_node_that_is_killed_in_mid_job_changes_nothing(given: Given, cluster: Cluster, number: int) -> None:
    run = given.run(cluster.address, rows=50)
    found = [next(run) for _ in range(5)]
    cluster.kill_node(number)
    found += run
    assert len(cluster.raylets) == 1
    assert digest(found) == digest(given.run("", rows=50))


def test_a_process_that_is_killed_in_the_middle_of_a_chunk_changes_nothing(given: Given, cluster: Cluster) -> None:
    run = given.run(cluster.address, rows=50)
    found = [next(run) for _ in range(5)]
    # Whoever gets a chunk now does not come to its end.
    stopped = cluster.scoring
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)

    def kill() -> None:
        wait_until(lambda: bool(cluster.working), 20)
        for pid in cluster.working:
            os.kill(pid, signal.SIGKILL)
        for pid in set(stopped) & set(cluster.scoring):
            os.kill(pid, signal.SIGCONT)

    killer = threading.Thread(target=kill)
    killer.start()
    found += run
    killer.join()
    assert digest(found) == digest(given.run("", rows=50))


def test_whoever_stops_early_leaves_no_process(given: Given, cluster: Cluster) -> None:
    run = given.run(cluster.address, rows=50)
    next(run)
    assert cluster.scoring
    run.close()  # type: ignore[attr-defined]
    wait_until(lambda: not cluster.scoring, 20)


def test_a_bundle_lies_on_a_machine_once(given: Given, cluster: Cluster) -> None:
    for _ in range(2):
        list(given.run(cluster.address))
    folders = list(cluster.folder.glob("ml_pipeline-bundles-*/*"))
    assert [path.name for path in folders] == [given.bundle.digest]
    changed = folders[0] / "model.onnx"
    changed.write_bytes(changed.read_bytes() + b"more")
    assert digest(given.run(cluster.address)) == digest(given.run(""))


def test_nodes_need_no_django(given: Given, tmp_path: Path) -> None:
    (tmp_path / "django.py").write_text("raise AssertionError('Django is imported')")
    with clusters.started(shadow=tmp_path, nodes=1) as cluster, cluster.joined():
        assert digest(given.run(cluster.address)) == digest(given.run(""))
