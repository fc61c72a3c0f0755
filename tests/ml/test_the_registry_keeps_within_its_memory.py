"""The registry keeps what is live, lends what is not within a budget of memory, and takes nothing from who uses it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from ml_pipeline.apps.ml.algorithm import Algorithm, Output
from ml_pipeline.apps.ml.hosting import Hosted
from ml_pipeline.apps.ml.registry import RETRY_S, MLRegistry
from ml_pipeline.apps.ml.signature import Columns, Feature, Signature
from ml_pipeline.errors import AlgorithmNotReady, InvalidArtifact

SIGNATURE = Signature((Feature("x", "number"),), "regression")
MB = 1_000_000
BUDGET_BYTES = 100 * MB
LOADERS = 8


class Doubling:
    """A runtime that answers twice its number, and remembers whether it was closed."""

    name = "python"
    is_isolated = False

    def __init__(self) -> None:
        self.times_closed = 0

    def predict(self, columns: Columns) -> Output:
        assert not self.times_closed
        return columns["x"] * 2

    def close(self) -> None:
        self.times_closed += 1


class Shelf:
    """What can be loaded: a digest such as `a-40` takes 40 MB; those in `broken` fail. `runtimes`: every one loaded."""

    def __init__(self) -> None:
        self.runtimes: dict[str, list[Doubling]] = {}
        self.asked: list[str] = []
        self.broken: dict[str, Exception] = {}
        self.now_s = 1_000.0

    def load(self, digest: str) -> Hosted:
        self.asked.append(digest)
        if digest in self.broken:
            raise self.broken[digest]
        runtime = Doubling()
        self.runtimes.setdefault(digest, []).append(runtime)
        return Hosted(Algorithm(SIGNATURE, runtime), int(digest.partition("-")[2]) * MB)

    def closed(self, digest: str) -> list[int]:
        """How often each one loaded of that digest was closed."""
        return [runtime.times_closed for runtime in self.runtimes[digest]]


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def registry(shelf: Shelf) -> MLRegistry:
    return MLRegistry(shelf.load, budget_bytes=BUDGET_BYTES, clock=lambda: shelf.now_s)


@pytest.fixture
def use(registry: MLRegistry) -> Callable[[int, str], float | None]:
    """Asks an algorithm for the double of 21."""

    def ask(algorithm_id: int, digest: str) -> float | None:
        with registry.leased(algorithm_id, digest) as algorithm:
            return algorithm.compute_prediction([{"x": 21.0}])[0].value

    return ask


Use = Callable[[int, str], float | None]


def states(registry: MLRegistry, *ids: int) -> list[str]:
    return [registry.slot(one).state for one in ids]


def test_what_is_live_is_loaded_and_stays(registry: MLRegistry, shelf: Shelf, use: Use) -> None:
    registry.keep(frozenset({1}), frozenset({1, 2, 3}))
    assert registry.load(1, "live-60")
    for _ in range(3):
        assert use(2, "b-30") == use(3, "c-30") == 42
    assert states(registry, 1, 2, 3) == ["ready", "unloaded", "ready"]
    assert shelf.closed("live-60") == [0]
    assert use(1, "live-60") == 42
    assert shelf.asked.count("live-60") == 1


def test_what_is_not_live_is_loaded_when_it_is_first_asked_for(registry: MLRegistry, shelf: Shelf, use: Use) -> None:
    registry.keep(frozenset(), frozenset({1}))
    assert (states(registry, 1), shelf.asked) == (["unloaded"], [])
    assert not registry.is_quick(1)
    assert use(1, "a-40") == use(1, "a-40") == 42
    assert (states(registry, 1), shelf.asked) == (["ready"], ["a-40"])
    assert registry.is_quick(1)


def test_the_least_recently_used_makes_room(registry: MLRegistry, shelf: Shelf, use: Use) -> None:
    use(1, "a-40")
    use(2, "b-40")
    use(1, "a-40")
    use(3, "c-40")
    assert states(registry, 1, 2, 3) == ["ready", "unloaded", "ready"]
    assert (shelf.closed("a-40"), shelf.closed("b-40"), shelf.closed("c-40")) == ([0], [1], [0])


def test_no_more_makes_room_than_is_needed(registry: MLRegistry, use: Use) -> None:
    for number in range(10):
        use(number, f"m{number}-10")
    assert states(registry, *range(10)) == ["ready"] * 10
    use(10, "more-15")
    assert states(registry, *range(11)) == ["unloaded"] * 2 + ["ready"] * 9


def test_what_made_room_is_ready_again_when_it_is_asked_for(registry: MLRegistry, shelf: Shelf, use: Use) -> None:
    for _ in range(2):
        assert use(1, "a-60") == use(2, "b-60") == 42
    assert shelf.asked == ["a-60", "b-60", "a-60", "b-60"]
    assert (shelf.closed("a-60"), shelf.closed("b-60")) == ([1, 1], [1, 0])


def test_what_is_in_use_makes_no_room(registry: MLRegistry, shelf: Shelf, use: Use) -> None:
    with registry.leased(1, "a-40") as held:
        use(2, "b-40")
        use(3, "c-40")
        assert states(registry, 1, 2, 3) == ["ready", "unloaded", "ready"]
        assert held.compute_prediction([{"x": 1.0}])[0].value == 2
    use(2, "b-40")
    assert states(registry, 1, 2, 3) == ["unloaded", "ready", "ready"]
    assert shelf.closed("a-40") == [1]


def test_what_is_gone_is_closed_when_its_last_user_left(registry: MLRegistry, shelf: Shelf) -> None:
    with registry.leased(1, "a-40") as first:
        with registry.leased(1, "a-40") as second:
            assert first is second
            registry.keep(frozenset(), frozenset())
            assert states(registry, 1) == ["unloaded"]
            assert second.compute_prediction([{"x": 1.0}])[0].value == 2
        assert shelf.closed("a-40") == [0]
        assert first.compute_prediction([{"x": 1.0}])[0].value == 2
    assert shelf.closed("a-40") == [1]
    registry.close()
    assert shelf.closed("a-40") == [1]


def test_a_user_that_fails_has_left_too(registry: MLRegistry, shelf: Shelf, use: Use) -> None:
    with pytest.raises(ZeroDivisionError), registry.leased(1, "a-60"):
        raise ZeroDivisionError
    use(2, "b-60")
    assert shelf.closed("a-60") == [1]


@pytest.mark.parametrize("way", ["larger than all", "beside what is live", "beside what is in use"])
def test_what_does_not_fit_is_refused_by_the_budget(registry: MLRegistry, shelf: Shelf, use: Use, way: str) -> None:
    registry.keep(frozenset({1}), frozenset({1, 2, 3}))
    digest = "big-101" if way == "larger than all" else "big-70"
    if way == "beside what is live":
        assert registry.load(1, "live-40")
    beside = 1 if way == "beside what is live" else 2
    with registry.leased(beside, {1: "live-40", 2: "b-40"}[beside]) if "beside" in way else registry.leased(2, "b-1"):
        with pytest.raises(AlgorithmNotReady, match="memory budget of 100 MB") as refusal:
            use(3, digest)
        assert refusal.value.details == {"algorithm_id": 3}
    assert states(registry, beside, 3) == ["ready", "failed"]
    assert "memory budget of 100 MB" in registry.slot(3).reason
    assert shelf.closed(digest) == [1]


def test_load_does_not_call_ready_what_does_not_fit(registry: MLRegistry, shelf: Shelf) -> None:
    assert not registry.load(1, "big-101")
    assert states(registry, 1) == ["failed"]
    assert shelf.closed("big-101") == [1]


def test_what_did_not_fit_is_ready_once_there_is_room(registry: MLRegistry, shelf: Shelf, use: Use) -> None:
    with registry.leased(1, "a-60"), pytest.raises(AlgorithmNotReady):
        use(2, "b-60")
    shelf.now_s += RETRY_S
    assert use(2, "b-60") == 42
    assert states(registry, 1, 2) == ["unloaded", "ready"]


def test_what_is_live_is_loaded_even_beyond_the_budget(registry: MLRegistry, shelf: Shelf, use: Use) -> None:
    use(3, "cold-10")
    registry.keep(frozenset({1, 2}), frozenset({1, 2, 3}))
    assert registry.load(1, "a-80")
    assert registry.load(2, "b-80")
    assert states(registry, 1, 2, 3) == ["ready", "ready", "unloaded"]
    assert use(1, "a-80") == use(2, "b-80") == 42


def test_what_is_live_no_more_makes_room_at_once(registry: MLRegistry, shelf: Shelf) -> None:
    registry.keep(frozenset({1, 2}), frozenset({1, 2}))
    assert registry.load(1, "a-80")
    assert registry.load(2, "b-80")
    registry.keep(frozenset({2}), frozenset({1, 2}))
    assert states(registry, 1, 2) == ["unloaded", "ready"]
    assert (shelf.closed("a-80"), shelf.closed("b-80")) == ([1], [0])


def test_what_is_unknown_is_gone_and_closed(registry: MLRegistry, shelf: Shelf, use: Use) -> None:
    shelf.broken["broken-1"] = InvalidArtifact("it was altered")
    use(1, "a-10")
    use(2, "b-10")
    assert not registry.load(3, "broken-1")
    registry.keep(frozenset(), frozenset({2}))
    assert states(registry, 1, 2, 3) == ["unloaded", "ready", "unloaded"]
    assert (shelf.closed("a-10"), shelf.closed("b-10")) == ([1], [0])
    registry.close()
    assert states(registry, 2) == ["unloaded"]
    assert shelf.closed("b-10") == [1]


def test_a_failure_is_remembered_for_a_while(registry: MLRegistry, shelf: Shelf, use: Use) -> None:
    shelf.broken["a-10"] = InvalidArtifact("it was altered")
    for _ in range(3):
        with pytest.raises(AlgorithmNotReady, match="it was altered") as refusal:
            use(1, "a-10")
        assert refusal.value.details == {"algorithm_id": 1}
    shelf.now_s += RETRY_S - 0.001
    with pytest.raises(AlgorithmNotReady, match="it was altered"):
        use(1, "a-10")
    assert shelf.asked == ["a-10"]
    shelf.now_s += 0.001
    with pytest.raises(AlgorithmNotReady, match="it was altered"):
        use(1, "a-10")
    assert shelf.asked == ["a-10", "a-10"]
    shelf.broken.clear()
    shelf.now_s += RETRY_S
    assert use(1, "a-10") == 42


def test_load_tries_again_at_once(registry: MLRegistry, shelf: Shelf, use: Use) -> None:
    shelf.broken["a-10"] = InvalidArtifact("it was altered")
    assert not registry.load(1, "a-10")
    assert not registry.load(1, "a-10")
    shelf.broken.clear()
    assert registry.load(1, "a-10")
    assert shelf.asked == ["a-10"] * 3
    assert use(1, "a-10") == 42


def test_a_failure_of_any_kind_has_a_reason_without_its_secrets(registry: MLRegistry, shelf: Shelf, use: Use) -> None:
    shelf.broken["a-10"] = OSError("hunter2 is the password")
    with pytest.raises(AlgorithmNotReady, match="OSError while it was loaded"):
        use(1, "a-10")
    assert "hunter2" not in registry.slot(1).reason
    assert use(2, "b-10") == 42


@pytest.mark.parametrize("is_broken", [False, True], ids=["ready", "broken"])
def test_many_who_ask_at_once_wait_for_one_loading(is_broken: bool) -> None:
    shelf, everyone_is_here = Shelf(), threading.Barrier(LOADERS)
    if is_broken:
        shelf.broken["a-10"] = InvalidArtifact("it was altered")
    registry = MLRegistry(shelf.load, budget_bytes=BUDGET_BYTES, clock=lambda: shelf.now_s)

    def ask(_: int) -> str:
        everyone_is_here.wait(60)
        try:
            with registry.leased(1, "a-10") as algorithm:
                return str(algorithm.compute_prediction([{"x": 21.0}])[0].value)
        except AlgorithmNotReady as error:
            return error.message

    with ThreadPoolExecutor(LOADERS) as pool:
        answers = set(pool.map(ask, range(LOADERS)))
    assert answers == ({"The algorithm cannot answer: it was altered"} if is_broken else {"42.0"})
    assert shelf.asked == ["a-10"]


def test_many_threads_never_meet_a_closed_one(registry: MLRegistry, shelf: Shelf, use: Use) -> None:
    # Five of 30 MB take turns in a budget for three, and two are used at once at most.
    with ThreadPoolExecutor(2) as pool:
        answers = set(pool.map(lambda turn: use(turn % 5, f"m{turn % 5}-30"), range(400)))
    assert answers == {42}
    registry.close()
    assert {times for digest in shelf.runtimes for times in shelf.closed(digest)} == {1}
