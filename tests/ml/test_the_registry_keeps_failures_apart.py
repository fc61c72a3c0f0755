"""The registry looks up what is loaded and warm, keeps what failed with its reason, and lets neither harm the other."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from people import as_rows
from sklearn.base import BaseEstimator, ClassifierMixin
from small_models import contents, flipped, manifest_of, small_frame, small_tree
from strange_models import StrangeClassifier

from ml_pipeline.apps.ml.artifacts import ArtifactStore
from ml_pipeline.apps.ml.registry import WARM_UP_ROWS, MLRegistry
from ml_pipeline.errors import AlgorithmNotReady

FRAME = small_frame()
ROWS = as_rows(FRAME)


class Remembering(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Remembers how many rows it was asked for, in this process."""

    classes_ = np.array(["no", "yes"])
    asked: list[int] = []

    def predict_proba(self, frame: Any) -> Any:
        self.asked.append(len(frame))
        return np.full((len(frame), 2), 0.5)


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "store")


@pytest.fixture
def registry(store: ArtifactStore) -> MLRegistry:
    return MLRegistry(store)


@pytest.fixture
def add(store: ArtifactStore) -> Callable[[Any], str]:
    return lambda pipeline: store.add(manifest_of(pipeline, FRAME), contents(pipeline, FRAME))


@pytest.fixture
def broken(add: Callable[[Any], str], store: ArtifactStore) -> str:
    """The digest of a bundle with a flipped bit."""
    digest = add(small_tree(FRAME, seed=99))
    model = store.root / digest / "model.joblib"
    model.write_bytes(flipped(model.read_bytes(), 50))
    return digest


def test_what_was_loaded_is_looked_up(registry: MLRegistry, add: Callable[[Any], str]) -> None:
    tree = small_tree(FRAME)
    slot = registry.load(1, add(tree))
    assert (slot.state, slot.reason) == ("ready", "")
    assert registry.slot(1) is slot
    assert registry.algorithm(1) is slot.algorithm
    assert [one.label for one in registry.algorithm(1).compute_prediction(ROWS)] == tree.predict(FRAME).tolist()


def test_what_is_added_by_hand_is_looked_up_too(
    registry: MLRegistry, store: ArtifactStore, add: Callable[[Any], str]
) -> None:
    algorithm = store.load(add(small_tree(FRAME)))
    registry.add_algorithm(7, algorithm)
    assert registry.algorithm(7) is algorithm
    assert registry.ids() == {7}


def test_it_is_warm_before_it_is_looked_up(registry: MLRegistry, add: Callable[[Any], str]) -> None:
    Remembering.asked.clear()
    registry.load(1, add(Remembering()))
    assert Remembering.asked == [min(WARM_UP_ROWS, len(FRAME))]


def test_what_is_ready_is_not_loaded_again(registry: MLRegistry, add: Callable[[Any], str]) -> None:
    Remembering.asked.clear()
    digest = add(Remembering())
    first = registry.load(1, digest)
    assert registry.load(1, digest) is first
    assert len(Remembering.asked) == 1


def test_what_was_never_loaded_is_not_ready(registry: MLRegistry) -> None:
    assert registry.slot(1) is None
    with pytest.raises(AlgorithmNotReady, match="not loaded yet") as refusal:
        registry.algorithm(1)
    assert refusal.value.details == {"algorithm_id": 1}


def test_a_failure_is_kept_with_its_reason_and_stops_nobody(
    registry: MLRegistry, add: Callable[[Any], str], broken: str
) -> None:
    assert registry.load(1, broken).state == "failed"
    assert registry.load(2, add(small_tree(FRAME))).state == "ready"
    assert registry.load(3, "0" * 64).state == "failed"
    assert registry.ids() == {1, 2, 3}
    with pytest.raises(AlgorithmNotReady, match=r"model\.joblib.*sha256"):
        registry.algorithm(1)
    assert registry.slot(3).reason  # type: ignore[union-attr]
    assert len(registry.algorithm(2).compute_prediction(ROWS)) == len(ROWS)


def test_a_model_that_fails_on_its_sample_is_not_ready(registry: MLRegistry, store: ArtifactStore) -> None:
    signature = {"features": [{"name": "order", "type": "string"}], "task": "classification", "labels": ["no", "yes"]}
    manifest = {**manifest_of(small_tree(FRAME), FRAME), "signature": signature}
    for order in ("raise", "nan"):
        files = {**contents(StrangeClassifier(), FRAME), "sample.csv": f"order\n{order}\n".encode()}
        slot = registry.load(1, store.add(manifest, files))
        assert slot.state == "failed"
        assert slot.algorithm is None
        assert slot.reason
        assert "hunter2" not in slot.reason


def test_a_manifest_that_promises_what_is_not_there_stops_nobody(
    registry: MLRegistry, store: ArtifactStore, add: Callable[[Any], str]
) -> None:
    tree = small_tree(FRAME)
    for number, change in enumerate(
        [{"algorithm": "abacus"}, {"runtime": "onnx"}, {"signature": []}, {"signature": 7}]
    ):
        digest = store.add(manifest_of(tree, FRAME) | change, contents(tree, FRAME))
        assert registry.load(number, digest).state == "failed"
    assert registry.load(9, add(tree)).state == "ready"


def test_what_failed_is_tried_again(registry: MLRegistry, store: ArtifactStore, broken: str) -> None:
    assert registry.load(1, broken).state == "failed"
    tree = small_tree(FRAME, seed=99)
    assert store.add(manifest_of(tree, FRAME), contents(tree, FRAME)) == broken
    assert registry.load(1, broken).state == "ready"


def test_what_is_unloaded_is_gone_but_finishes_its_work(registry: MLRegistry, add: Callable[[Any], str]) -> None:
    registry.load(1, add(small_tree(FRAME)))
    held = registry.algorithm(1)
    registry.unload(1)
    registry.unload(1)
    registry.unload(2)
    with pytest.raises(AlgorithmNotReady):
        registry.algorithm(1)
    assert (registry.slot(1), registry.ids()) == (None, set())
    assert len(held.compute_prediction(ROWS)) == len(ROWS)


def test_many_threads_may_load_look_up_and_unload_at_once(
    registry: MLRegistry, add: Callable[[Any], str], broken: str
) -> None:
    digests = {number: add(small_tree(FRAME, seed=number)) for number in range(3)} | {3: broken}
    expected = registry.load(0, digests[0]).algorithm.compute_prediction(ROWS)  # type: ignore[union-attr]
    barrier, wrong = threading.Barrier(8), []

    def work(seed: int) -> None:
        random = np.random.default_rng(seed)
        barrier.wait()
        for _ in range(20):
            number = int(random.integers(4))
            slot = registry.load(number, digests[number])
            if (slot.state == "failed") != (number == 3):
                wrong.append(f"{number} is {slot.state}: {slot.reason}")
            if registry.algorithm(0).compute_prediction(ROWS) != expected:
                wrong.append("another answer")
            if number != 0 and random.random() < 0.3:
                registry.unload(number)
            if not registry.ids() <= set(digests):
                wrong.append("unknown ids")

    def guarded(seed: int) -> None:
        try:
            work(seed)
        except BaseException as error:
            wrong.append(repr(error))
            raise

    threads = [threading.Thread(target=guarded, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert registry.algorithm(0).compute_prediction(ROWS) == expected
