"""ONNX models made by hand, exported and converted, uploaded as .onnx: served as formula or library answers."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
import zoo
import zoo_graphs
from servers import Server
from zoo import Kind

NAMES = ("area", "ratio", "softmax", "sigmoid", "zipmap_words", "zipmap_integers", "converted_mixed")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with zoo.serving(tmp_path_factory.mktemp("onnx") / "home", "wsgi") as running:
        yield running


@pytest.fixture(scope="module")
def kinds() -> dict[str, Kind]:
    made = [*zoo_graphs.by_hand(), *zoo_graphs.exported(), *zoo_graphs.converted()]
    return {kind.name: kind for kind in made}


@pytest.fixture(scope="module")
def uploads(server: Server, kinds: dict[str, Kind]) -> dict[str, httpx.Response]:
    return zoo.upload_all(server, list(kinds.values()))


@pytest.mark.parametrize("name", NAMES)
def test_it_is_registered_and_answers_as_its_library(
    server: Server, kinds: dict[str, Kind], uploads: dict[str, httpx.Response], name: str
) -> None:
    assert uploads[name].status_code == 201, uploads[name].text
    assert (uploads[name].json()["runtime"], uploads[name].json()["runtime_reason"]) == ("onnx", "it came as ONNX")
    zoo.assert_serves(server, kinds[name])


def test_scores_without_an_activation_are_refused_with_the_remedy(server: Server, kinds: dict[str, Kind]) -> None:
    kind = kinds["softmax"]
    metadata = {"signature": kind.metadata["signature"]}
    reply = zoo.upload(server, Kind("scores", kind.artifact, "onnx", kind.asked, kind.truth, metadata=metadata))
    assert reply.status_code == 422
    assert '"activation": "softmax"' in reply.json()["error"]["message"]


def test_a_bundle_of_an_onnx_model_is_the_same_content(server: Server, kinds: dict[str, Kind]) -> None:
    kind = kinds["area"]
    content = zoo.zipped(kind.metadata, {"model.onnx": kind.artifact})
    assert zoo.upload(server, Kind(kind.name, content, "zip", kind.asked, kind.truth)).status_code == 200
