"""MLRegistry: id to loaded algorithm, within a budget of memory. Thread-safe.

What is live is loaded at once and stays. Everything else is loaded when it is first asked for, and the least recently
used of it makes room. An algorithm in use is never taken away from its user.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from ml_pipeline.apps.ml.algorithm import Algorithm
from ml_pipeline.apps.ml.hosting import Hosted
from ml_pipeline.errors import AlgorithmNotReady, MLPipelineError

State = Literal["ready", "failed", "unloaded"]
# After a failure the next attempt waits this long: each costs what a load costs.
RETRY_S = 5.0

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Slot:
    """Where one algorithm stands in this process, and how many are using it now."""

    state: State
    hosted: Hosted | None = None
    reason: str = ""
    failed_at: float = 0.0
    users: int = 0
    is_gone: bool = False


class MLRegistry:
    """The algorithms loaded in this process; `load` makes one from its digest, `budget_bytes` is for all together."""

    def __init__(
        self, load: Callable[[str], Hosted], *, budget_bytes: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._load = load
        self._budget_bytes = budget_bytes
        self._clock = clock
        # In order of use, the latest last.
        self._slots: OrderedDict[int, Slot] = OrderedDict()
        self._live: frozenset[int] = frozenset()
        self._loading: dict[int, threading.Lock] = {}
        self._lock = threading.RLock()

    def load(self, algorithm_id: int, digest: str) -> bool:
        """Whether `algorithm_id` is ready now, loaded if need be; what failed is tried again. Never raises."""
        return self._ready(algorithm_id, digest, again=True).state == "ready"

    def keep(self, live: frozenset[int], known: frozenset[int]) -> None:
        """From now on the ids in `live` stay loaded, and those not in `known` are gone."""
        with self._lock:
            self._live = live
            gone = [self._slots.pop(one) for one in set(self._slots) - known]
            for one in set(self._loading) - known:
                del self._loading[one]
        for slot in gone:
            self._retire(slot)
        self._make_room()

    def algorithm(self, algorithm_id: int, digest: str) -> Algorithm:
        """The algorithm, loaded if need be, to look at; who asks it leases it. Raises AlgorithmNotReady."""
        slot = self._ready(algorithm_id, digest, again=False)
        if slot.hosted is None:
            raise _not_ready(algorithm_id, slot)
        return slot.hosted.algorithm

    @contextmanager
    def leased(self, algorithm_id: int, digest: str) -> Iterator[Algorithm]:
        """The algorithm, loaded if need be, for the time of the block. Raises AlgorithmNotReady."""
        slot = self._taken(algorithm_id, digest)
        try:
            assert slot.hosted is not None  # noqa: S101  (a slot that was taken is ready)
            yield slot.hosted.algorithm
        finally:
            with self._lock:
                slot.users -= 1
                is_last = slot.is_gone and slot.users == 0
            if is_last:
                _close(slot)

    def slot(self, algorithm_id: int) -> Slot:
        """Where `algorithm_id` stands; `unloaded` when nobody asked for it, or it made room."""
        with self._lock:
            return self._slots.get(algorithm_id) or Slot("unloaded")

    def is_quick(self, algorithm_id: int) -> bool:
        """Whether it answers at once in this very process: nothing has to be loaded, no other process waited for."""
        hosted = self.slot(algorithm_id).hosted
        return hosted is not None and not hosted.algorithm.runtime.is_isolated

    def close(self) -> None:
        """Everything is gone."""
        self.keep(frozenset(), frozenset())

    def _taken(self, algorithm_id: int, digest: str) -> Slot:
        while True:
            slot = self._ready(algorithm_id, digest, again=False)
            with self._lock:
                if slot.state == "failed":
                    raise _not_ready(algorithm_id, slot)
                # It may have made room for another in between: then once more.
                if slot.state == "ready" and not slot.is_gone:
                    slot.users += 1
                    if algorithm_id in self._slots:
                        self._slots.move_to_end(algorithm_id)
                    return slot

    def _ready(self, algorithm_id: int, digest: str, *, again: bool) -> Slot:
        with self._lock:
            present = self._settled(algorithm_id, again)
            if present is not None:
                return present
            turn = self._loading.setdefault(algorithm_id, threading.Lock())
        with turn:
            with self._lock:
                present = self._settled(algorithm_id, again)
            if present is not None:
                return present
            slot = self._loaded(algorithm_id, digest)
            with self._lock:
                self._slots[algorithm_id] = slot
            self._make_room(newest=algorithm_id)
            # What does not fit has gone again, and a slot that says so stands in its place.
            return self.slot(algorithm_id)

    def _settled(self, algorithm_id: int, again: bool) -> Slot | None:
        slot = self._slots.get(algorithm_id)
        if slot is None or slot.state == "ready":
            return slot
        is_recent = self._clock() - slot.failed_at < RETRY_S
        return slot if is_recent and not again else None

    def _loaded(self, algorithm_id: int, digest: str) -> Slot:
        try:
            return Slot("ready", self._load(digest))
        except MLPipelineError as error:
            logger.error("algorithm %s cannot be loaded: %s", algorithm_id, error.message)
            reason = error.message
        # A model may fail to load in any way its libraries know, and the others must be loaded all the same.
        except Exception as error:
            logger.exception("algorithm %s cannot be loaded", algorithm_id)
            reason = f"{type(error).__name__} while it was loaded"
        return Slot("failed", None, reason, failed_at=self._clock())

    def _make_room(self, newest: int | None = None) -> None:
        retired = []
        with self._lock:
            for one in list(self._slots):
                if self._used_bytes() <= self._budget_bytes:
                    break
                slot = self._slots[one]
                if one not in self._live and one != newest and slot.hosted is not None and not slot.users:
                    retired.append(self._slots.pop(one))
            if self._used_bytes() > self._budget_bytes:
                self._over_budget(newest, retired)
        for slot in retired:
            self._retire(slot)

    def _over_budget(self, newest: int | None, retired: list[Slot]) -> None:
        used_mb, budget_mb = self._used_bytes() // 1_000_000, self._budget_bytes // 1_000_000
        if newest is None or newest in self._live:
            logger.warning("what is live takes %s MB of memory, more than the budget of %s MB", used_mb, budget_mb)
            return
        slot = self._slots[newest]
        if slot.hosted is not None:
            retired.append(slot)
            reason = f"it does not fit into the memory budget of {budget_mb} MB beside what is live or in use"
            self._slots[newest] = Slot("failed", None, reason, failed_at=self._clock())

    def _used_bytes(self) -> int:
        return sum(slot.hosted.size_bytes for slot in self._slots.values() if slot.hosted is not None)

    def _retire(self, slot: Slot) -> None:
        with self._lock:
            slot.is_gone = True
            is_free = slot.users == 0
        if is_free:
            _close(slot)


def _not_ready(algorithm_id: int, slot: Slot) -> AlgorithmNotReady:
    return AlgorithmNotReady(f"The algorithm cannot answer: {slot.reason}", {"algorithm_id": algorithm_id})


def _close(slot: Slot) -> None:
    if slot.hosted is not None:
        slot.hosted.algorithm.runtime.close()
