"""What is no Exception, as a panic of an extension written in Rust or sys.exit, ends neither a thread nor its lane."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from lanes import Doubling, Told, answers, batcher, work

from ml_pipeline.errors import AlgorithmFailed

# A lane that nobody serves is never answered: these tests would wait for ever.
SHORT_S = 5.0


class Panic(BaseException):
    """As pyo3 raises it."""


@pytest.mark.parametrize("error", [SystemExit(1), Panic()])
def test_it_is_a_failure_like_others(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda arguments: None)

    def act(values: list[Any]) -> None:
        if 13 in values:
            raise error

    told = Told()
    batches = batcher(Doubling(act), told)
    culprit, following = work(13), work(2)
    batches.submit("a", culprit)
    batches.submit("a", following)
    assert batches.close(SHORT_S), "the lane is served no more"
    told.has(culprit, following)
    assert isinstance(culprit.error, AlgorithmFailed)
    assert answers(following) == [4]
