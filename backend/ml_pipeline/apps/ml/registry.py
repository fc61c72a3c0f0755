"""MLRegistry: id to loaded algorithm. Thread-safe; an algorithm is warmed up before anyone can look it up."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import Literal

from ml_pipeline.apps.ml import artifacts
from ml_pipeline.apps.ml.algorithm import Algorithm
from ml_pipeline.apps.ml.artifacts import ArtifactStore
from ml_pipeline.errors import AlgorithmNotReady, MLPipelineError

State = Literal["ready", "failed"]
WARM_UP_ROWS = 32

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Slot:
    """Where one algorithm stands in this process: `ready` with the algorithm, or `failed` with the reason."""

    state: State
    algorithm: Algorithm | None
    reason: str = ""


class MLRegistry:
    """The algorithms loaded in this process."""

    def __init__(self, store: ArtifactStore) -> None:
        self._store = store
        self._slots: dict[int, Slot] = {}
        self._lock = threading.Lock()

    def add_algorithm(self, algorithm_id: int, algorithm: Algorithm) -> None:
        """From now on `algorithm` can be looked up under `algorithm_id`; the caller has warmed it up."""
        with self._lock:
            self._slots[algorithm_id] = Slot("ready", algorithm)

    def load(self, algorithm_id: int, digest: str) -> Slot:
        """The slot of `algorithm_id`, loaded and warmed up with its sample; a failure is kept, not raised.

        What is ready stays as it is: a digest never changes. What failed is tried again.
        """
        present = self.slot(algorithm_id)
        if present is not None and present.state == "ready":
            return present
        try:
            slot = Slot("ready", self._warmed_up(digest))
        except MLPipelineError as error:
            logger.error("algorithm %s cannot be loaded: %s", algorithm_id, error.message)
            slot = Slot("failed", None, error.message)
        # A model may fail to load in any way its libraries know, and the others must be loaded all the same.
        except Exception as error:
            logger.exception("algorithm %s cannot be loaded", algorithm_id)
            slot = Slot("failed", None, f"{type(error).__name__} while it was loaded")
        with self._lock:
            self._slots[algorithm_id] = slot
        return slot

    def _warmed_up(self, digest: str) -> Algorithm:
        algorithm = self._store.load(digest)
        algorithm.compute_prediction(self._store.bundle(digest).rows(artifacts.SAMPLE)[:WARM_UP_ROWS])
        return algorithm

    def slot(self, algorithm_id: int) -> Slot | None:
        """Where `algorithm_id` stands, or None when nobody asked for it yet."""
        with self._lock:
            return self._slots.get(algorithm_id)

    def algorithm(self, algorithm_id: int) -> Algorithm:
        """The loaded algorithm. Raises AlgorithmNotReady when it is not loaded or could not be."""
        slot = self.slot(algorithm_id)
        if slot is None or slot.algorithm is None:
            reason = slot.reason if slot is not None and slot.reason else "it is not loaded yet"
            raise AlgorithmNotReady(f"The algorithm cannot answer: {reason}", {"algorithm_id": algorithm_id})
        return slot.algorithm

    def unload(self, algorithm_id: int) -> None:
        """`algorithm_id` is gone from this process; whoever holds the algorithm may finish with it."""
        with self._lock:
            self._slots.pop(algorithm_id, None)

    def ids(self) -> set[int]:
        """The ids that were loaded or failed to."""
        with self._lock:
            return set(self._slots)
