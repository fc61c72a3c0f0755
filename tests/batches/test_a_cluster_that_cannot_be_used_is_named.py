"""Where Ray is missing, or its cluster is away, closed to us or not of our kind, a sentence says which, in seconds."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import clusters
import pytest
from clusters import Cluster
from engined import Given

from ml_pipeline.errors import ClusterUnavailable

ray = pytest.mark.services


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Given:
    return Given(tmp_path_factory.mktemp("given"))


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with clusters.started(nodes=1) as cluster:
        yield cluster


def test_ray_is_not_installed(given: Given, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ray.py").write_text("raise ImportError('there is none')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(ClusterUnavailable, match=r"Ray is not installed here: pip install 'ml-pipeline\[server,ray\]'"):
        list(given.run("127.0.0.1:1"))


@ray
def test_nobody_listens_there(given: Given) -> None:
    with pytest.raises(ClusterUnavailable, match="does not answer"):
        list(given.run("127.0.0.1:1"))


@ray
def test_whoever_listens_there_is_silent(given: Given, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0" * 64)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(ClusterUnavailable, match="does not answer"):
        list(given.run(f"127.0.0.1:{silent.getsockname()[1]}"))


@ray
def test_the_token_is_another(given: Given, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0" * 64)
    with pytest.raises(ClusterUnavailable, match="refuses the token"):
        list(given.run(cluster.address))


@ray
def test_there_is_no_token(given: Given, cluster: Cluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ClusterUnavailable, match="has no token"):
        list(given.run(cluster.address))


@ray
def test_the_cluster_asks_for_none(given: Given) -> None:
    with (
        clusters.started(nodes=1, mode="disabled") as cluster,
        cluster.joined(),
        pytest.raises(ClusterUnavailable, match="RAY_AUTH_MODE disabled instead of token"),
    ):
        list(given.run(cluster.address))


@ray
def test_a_node_has_another_version_of_what_answers(given: Given, tmp_path: Path) -> None:
    about = tmp_path / "onnxruntime-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: onnxruntime\nVersion: 1.0\n")
    with (
        clusters.started(nodes=1, shadow=tmp_path) as cluster,
        cluster.joined(),
        pytest.raises(ClusterUnavailable, match=r"would answer differently: onnxruntime 1\.0 instead of 1"),
    ):
        list(given.run(cluster.address))


@ray
def test_a_node_lacks_the_package(given: Given, tmp_path: Path) -> None:
    (tmp_path / "ml_pipeline.py").write_text("")
    with (
        clusters.started(nodes=1, shadow=tmp_path) as cluster,
        cluster.joined(),
        pytest.raises(ClusterUnavailable, match="has no ml_pipeline"),
    ):
        list(given.run(cluster.address))


@ray
def test_no_node_of_it_is_on_this_machine(given: Given) -> None:
    with clusters.started(nodes=1) as cluster, cluster.joined():
        cluster.kill_node(0)
        with pytest.raises(ClusterUnavailable, match="a node of it has to run here"):
            list(given.run(cluster.address))
