"""The registry leases what is loaded and warm, keeps what failed with its reason, and lets neither harm the other."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from people import as_rows
from small_models import TRUSTED, compiled_bundle, manifest_of, servable, small_frame, small_tree, store_at
from strange_models import StrangeClassifier

from ml_pipeline.apps.ml import bundles
from ml_pipeline.apps.ml.hosting import Host, Hosted
from ml_pipeline.apps.ml.isolation.nursery import Nursery
from ml_pipeline.apps.ml.registry import RETRY_S, MLRegistry
from ml_pipeline.errors import AlgorithmNotReady

FRAME = small_frame()
ROWS = as_rows(FRAME)
ABSENT = "0" * 64


class Place:
    """A registry over a store of its own, what it loaded, and the time it sees."""

    def __init__(self, root: Path, nursery: Nursery) -> None:
        self.root = root
        self.loads: list[str] = []
        self.now = 0.0
        self.host = Host(store_at(root), nursery, trusted_keys=TRUSTED, deadline_s=60, load_deadline_s=60)
        self.registry = MLRegistry(self._load, budget_bytes=250, clock=lambda: self.now)

    def _load(self, digest: str) -> Hosted:
        self.loads.append(digest)
        return self.host.load(digest)

    def add(self, seed: int = 0, **manifest: Any) -> str:
        """The digest of a small tree in ONNX, each of 100 bytes unless told."""
        folder = self.root / f"made-{len(list(self.root.glob('made-*')))}"
        about = {"name": f"tree {seed}", "memory_bytes": 100, **manifest}
        bundle = compiled_bundle(folder, small_tree(FRAME, seed), FRAME, **about)
        store_at(self.root).add(bundle)
        return bundle.digest

    def answers(self, algorithm_id: int, digest: str) -> list[Any]:
        with self.registry.leased(algorithm_id, digest) as algorithm:
            return algorithm.compute_prediction(ROWS)


@pytest.fixture
def place(tmp_path: Path, native_nursery: Nursery) -> Any:
    made = Place(tmp_path, native_nursery)
    yield made
    made.registry.close()


def test_what_is_asked_for_is_loaded_once(place: Place) -> None:
    digest = place.add()
    assert place.registry.slot(1).state == "unloaded"
    assert [one.label for one in place.answers(1, digest)] == small_tree(FRAME).predict(FRAME).tolist()
    place.answers(1, digest)
    assert place.registry.load(1, digest)
    assert place.loads == [digest]
    assert (place.registry.slot(1).state, place.registry.slot(1).reason) == ("ready", "")
    assert place.registry.is_quick(1)


def test_a_failure_is_kept_with_its_reason_and_stops_nobody(place: Place) -> None:
    good = place.add()
    assert not place.registry.load(1, ABSENT)
    assert place.registry.load(2, good)
    with pytest.raises(AlgorithmNotReady, match="absent or was altered") as refusal, place.registry.leased(1, ABSENT):
        pass
    assert refusal.value.details == {"algorithm_id": 1}
    assert len(place.answers(2, good)) == len(ROWS)


@pytest.mark.parametrize("order", ["raise", "nan"])
def test_a_model_that_fails_on_its_sample_is_not_ready(place: Place, order: str) -> None:
    signature = {"features": [{"name": "order", "type": "string"}], "task": "classification", "labels": ["no", "yes"]}
    manifest = {"algorithm": "pipeline", "signature": signature, "runtime": "sklearn", "is_isolated": True}
    bundle = servable(place.root / "strange", StrangeClassifier(), manifest, [{"order": order}])
    store_at(place.root).add(bundle)
    assert not place.registry.load(1, bundle.digest)
    slot = place.registry.slot(1)
    assert (slot.state, slot.hosted) == ("failed", None)
    assert slot.reason
    assert "hunter2" not in slot.reason


@pytest.mark.parametrize(
    "change", [{"algorithm": "abacus"}, {"signature": []}, {"signature": 7}, {"runtime": "abacus"}]
)
def test_a_manifest_that_promises_what_is_not_there_stops_nobody(place: Place, change: dict[str, Any]) -> None:
    tree = small_tree(FRAME)
    bundle = servable(place.root / "wrong", tree, manifest_of(tree, FRAME) | change, ROWS)
    store_at(place.root).add(bundle)
    assert not place.registry.load(1, bundle.digest)
    assert place.registry.load(2, place.add())


def test_what_failed_is_tried_again_after_a_while_or_when_told(place: Place) -> None:
    digest = place.add()
    store = store_at(place.root)
    bundle = store.bundle(digest)
    held = {name: bundle.read(name) for name in bundle.files}
    store.discard(digest)
    assert not place.registry.load(1, digest)
    store.add(bundles.place_bundle(place.root / "again", bundle.document, held))
    with pytest.raises(AlgorithmNotReady):
        place.answers(1, digest)
    assert len(place.loads) == 1
    place.now += RETRY_S
    assert len(place.answers(1, digest)) == len(ROWS)
    store.discard(digest)
    assert not place.registry.load(2, digest)
    assert not place.registry.load(2, digest)
    assert len(place.loads) == 4


def test_the_least_recently_used_makes_room_and_what_is_live_stays(place: Place) -> None:
    digests = {number: place.add(number) for number in range(4)}
    place.registry.keep(frozenset({0}), frozenset(digests))
    for number in (0, 1, 2):
        place.answers(number, digests[number])
    assert [place.registry.slot(number).state for number in range(3)] == ["ready", "unloaded", "ready"]
    place.answers(3, digests[3])
    assert [place.registry.slot(number).state for number in range(4)] == ["ready", "unloaded", "unloaded", "ready"]


def test_what_is_in_use_is_not_taken_away(place: Place) -> None:
    digests = {number: place.add(number) for number in range(3)}
    with place.registry.leased(0, digests[0]) as algorithm, place.registry.leased(1, digests[1]):
        with pytest.raises(AlgorithmNotReady, match="memory budget"):
            place.answers(2, digests[2])
        place.registry.keep(frozenset(), frozenset())
        assert place.registry.slot(0).state == "unloaded"
        assert len(algorithm.compute_prediction(ROWS)) == len(ROWS)


def test_many_threads_may_load_and_ask_and_forget_at_once(place: Place) -> None:
    digests = {number: place.add(number) for number in range(3)} | {3: ABSENT}
    expected = {number: place.answers(number, digests[number]) for number in range(3)}
    place.registry.keep(frozenset({0}), frozenset(digests))
    barrier = threading.Barrier(8)

    def work(seed: int) -> None:
        random = np.random.default_rng(seed)
        barrier.wait()
        for _ in range(20):
            number = int(random.integers(4))
            try:
                assert place.answers(number, digests[number]) == expected.get(number)
            except AlgorithmNotReady:
                # Absent, or the others' leases left no room.
                assert number != 0
            assert place.answers(0, digests[0]) == expected[0]
            if random.random() < 0.3:
                place.registry.keep(frozenset({0}), frozenset({0}))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert place.answers(0, digests[0]) == expected[0]
