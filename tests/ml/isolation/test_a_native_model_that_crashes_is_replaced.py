"""A model that takes its process down, or speaks nonsense, costs one caller an error; another process takes over."""

from __future__ import annotations

import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from hostile_models import UTTERANCES, columns
from sklearn.tree import DecisionTreeClassifier

from ml_pipeline.apps.ml import bundles
from ml_pipeline.apps.ml.algorithm import Algorithm
from ml_pipeline.apps.ml.bundles import Bundle
from ml_pipeline.apps.ml.isolation.nursery import Nursery
from ml_pipeline.apps.ml.isolation.runtime import IsolatedRuntime
from ml_pipeline.apps.ml.signature import Feature, Signature
from ml_pipeline.errors import AlgorithmCrashed, AlgorithmNotReady, InvalidArtifact
from ml_pipeline.wire import replies

Make = Callable[..., IsolatedRuntime]
Again = Callable[[IsolatedRuntime, dict[str, Any]], Any]


@pytest.mark.parametrize("order", ["abort", "segfault", "exit 0", "exit 3"])
def test_its_caller_is_told_and_the_next_ones_are_answered(isolated: Make, again: Again, order: str) -> None:
    runtime, neighbour = isolated(), isolated()
    for _ in range(2):
        pid = runtime.predict(columns("pid"))[0, 1]
        with pytest.raises(AlgorithmCrashed, match="being started again") as caught:
            runtime.predict(columns(order))
        assert (replies.reply_to(caught.value).status, replies.reply_to(caught.value).code) == (503, "not_ready")
        assert neighbour.predict(columns("fine"))[0, 1] == 0.5
        assert again(runtime, columns("pid"))[0, 1] != pid


def crafted_tree(folder: Path) -> Bundle:
    """A tree whose root's left child lies far outside of its nodes. Every type in its skops file is harmless."""
    frame = pd.DataFrame({"x": np.linspace(-1, 1, 20)})
    model = DecisionTreeClassifier(max_depth=2).fit(frame, np.where(frame.x > 0, "plus", "minus"))
    state = model.tree_.__getstate__()
    state["nodes"] = state["nodes"].copy()
    state["nodes"]["left_child"][0] = 2**40
    model.tree_.__setstate__(state)
    signature = Signature((Feature("x", "number"),), "classification", ("minus", "plus"))
    manifest = {"name": "crafted", "algorithm": "pipeline", "signature": signature.to_json(), "runtime": "sklearn"}
    return bundles.write_bundle(folder, manifest, {bundles.SKOPS_MODEL: skops.io.dumps(model)})


def test_a_crafted_tree_that_loads_harms_nobody(isolated: Make, again: Again, tmp_path: Path) -> None:
    bundle = crafted_tree(tmp_path / "crafted")
    runtime, neighbour = isolated(bundle), isolated()
    with pytest.raises(AlgorithmCrashed):
        Algorithm(bundle.signature, runtime).compute_prediction([{"x": -1.0}])
    assert neighbour.predict(columns("fine"))[0, 1] == 0.5
    assert again(runtime, {"x": np.array([1.0])}).tolist() == [[0.0, 1.0]]


@pytest.mark.parametrize("what", UTTERANCES)
def test_nonsense_is_no_answer(isolated: Make, again: Again, what: str) -> None:
    runtime = isolated()
    with pytest.raises(AlgorithmCrashed):
        runtime.predict(columns(f"utter {what}", 1.0))
    assert again(runtime, columns("fine", 2.0))[0].tolist() == [2.0, 0.5]


def test_a_template_that_dies_is_replaced_with_its_children(own_nursery: Nursery, isolated: Make, again: Again) -> None:
    runtimes = [isolated(at=own_nursery) for _ in range(2)]
    with pytest.raises(AlgorithmCrashed):
        runtimes[0].predict(columns("kill"))
    assert again(runtimes[0], columns("fine"))[0, 1] == 0.5
    with pytest.raises(AlgorithmCrashed):
        runtimes[1].predict(columns("fine"))
    assert again(runtimes[1], columns("fine"))[0, 1] == 0.5


def test_a_model_that_cannot_be_loaded_any_more_is_tried_again(isolated: Make, again: Again, tmp_path: Path) -> None:
    bundle = crafted_tree(tmp_path / "crafted")
    runtime = isolated(bundle)
    elsewhere = bundle.folder.rename(tmp_path / "elsewhere")
    with pytest.raises(AlgorithmCrashed):
        runtime.predict({"x": np.array([-1.0])})
    with pytest.raises(AlgorithmNotReady, match="being started again"):
        runtime.predict({"x": np.array([1.0])})
    elsewhere.rename(bundle.folder)
    assert again(runtime, {"x": np.array([1.0])}).tolist() == [[0.0, 1.0]]


def test_after_close_nothing_is_started_and_nothing_answers(isolated: Make) -> None:
    runtime = isolated()
    runtime.close()
    runtime.close()
    for _ in range(2):
        with pytest.raises(AlgorithmNotReady, match="unloaded"):
            runtime.predict(columns("fine"))


def test_a_closed_nursery_starts_nothing(own_nursery: Nursery, isolated: Make) -> None:
    own_nursery.close()
    with pytest.raises(AlgorithmNotReady, match="stopping"):
        isolated(at=own_nursery)


def test_a_bundle_that_is_not_there_is_refused_with_the_reason(isolated: Make, hostile: Bundle, tmp_path: Path) -> None:
    absent = Bundle(hostile.folder)
    absent.folder = tmp_path / "absent"
    with pytest.raises(InvalidArtifact, match="absent is not a bundle: No such file"):
        isolated(absent)


def test_without_room_for_one_more_those_that_are_there_go_on(isolated: Make, own_nursery: Nursery) -> None:
    first = isolated(at=own_nursery)
    pid = first.predict(columns("pid"))[0, 1]
    template = own_nursery._process.pid  # type: ignore[union-attr]
    before = resource.prlimit(template, resource.RLIMIT_NOFILE)
    opened = {int(one.name) for one in Path(f"/proc/{template}/fd").iterdir()}
    free = [number for number in range(100) if number not in opened]
    # No room for the child's socket, and then for nothing but it.
    for room in (0, 1):
        resource.prlimit(template, resource.RLIMIT_NOFILE, (free[room], before[1]))
        with pytest.raises(AlgorithmNotReady, match="starts no more processes"):
            isolated(at=own_nursery)
        assert first.predict(columns("pid"))[0, 1] == pid
    resource.prlimit(template, resource.RLIMIT_NOFILE, before)
    assert isolated(at=own_nursery).predict(columns("fine"))[0, 1] == 0.5
    assert first.predict(columns("pid"))[0, 1] == pid
