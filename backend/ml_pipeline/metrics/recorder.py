"""The recorder: this process's numbers. In memory at first, and from `open` on in a shard that others read.

Whoever counts often holds a `Child` and changes its `cells` under `lock`: that is a tenth of a microsecond. A forked
process begins with nothing, in memory; children that were made before stay good.
"""

from __future__ import annotations

import logging
import os
import threading
from array import array
from bisect import bisect_left
from pathlib import Path
from typing import TypeAlias

from ml_pipeline.metrics.families import Family
from ml_pipeline.metrics.folders import Contents, Folder
from ml_pipeline.metrics.shards import Key, Shard

logger = logging.getLogger(__name__)

# The second has no brackets at run time.
Cells: TypeAlias = "array[float] | memoryview[float]"


class Child:
    """The numbers of one family under certain labels; `cells` is changed under the recorder's lock."""

    __slots__ = ("bounds", "cells")

    def __init__(self, family: Family) -> None:
        self.bounds = family.bounds
        self.cells: Cells = array("d", bytes(8 * family.width))

    def observe(self, value: float) -> None:
        """One more value of a histogram. Under the lock."""
        cells = self.cells
        cells[bisect_left(self.bounds, value)] += 1.0
        cells[-1] += value


class Recorder:
    """Counts for one process. Thread-safe but for the children's cells, which are changed under `lock`."""

    def __init__(self) -> None:
        self._children: dict[Key, Child] = {}
        self._begin()
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        self.lock = threading.Lock()
        self._folder: Folder | None = None
        # A fork of a process that has one must not write to it, nor keep it locked.
        shard: Shard | None = getattr(self, "_shard", None)
        if shard is not None:
            shard.close()
        self._shard: Shard | None = None
        for child in self._children.values():
            child.cells = array("d", bytes(8 * len(child.cells)))

    def open(self, home: Path, role: str) -> None:
        """What is counted is seen by all processes of that home from now on; called again, nothing more happens.

        Where the disk is full or read-only it stays in memory, and the log says so.
        """
        with self.lock:
            if self._folder is not None:
                return
            self._folder = Folder(home)
            try:
                self._shard = self._folder.begin(role)
            except OSError as error:
                logger.error("what this process counts is seen by itself alone: %s", error)
            for key, child in self._children.items():
                self._place(key, child)

    def close(self) -> None:
        """What was counted stays, as a dead process's; counted on, it is in memory."""
        with self.lock:
            shard, self._shard, self._folder = self._shard, None, None
            if shard is not None:
                shard.close()
                for child in self._children.values():
                    child.cells = array("d", bytes(8 * len(child.cells)))

    def child(self, family: Family, *labels: str) -> Child:
        """The child of `family` with these values of its labels."""
        key = (family.name, *labels)
        found = self._children.get(key)
        if found is not None:
            return found
        with self.lock:
            found = self._children.get(key)
            if found is None:
                found = Child(family)
                self._place(key, found)
                self._children[key] = found
            return found

    def add(self, family: Family, *labels: str, amount: float = 1.0) -> None:
        """A counter is raised."""
        child = self.child(family, *labels)
        with self.lock:
            child.cells[0] += amount

    def observe(self, family: Family, value: float, *labels: str) -> None:
        """One more value of a histogram."""
        child = self.child(family, *labels)
        with self.lock:
            child.observe(value)

    def set(self, family: Family, value: float) -> None:
        """A gauge of this process."""
        child = self.child(family)
        with self.lock:
            child.cells[0] = value

    def contents(self) -> Contents | None:
        """What all processes of the home counted; None where this one counts in memory alone. Raises OSError."""
        folder = self._folder
        return None if folder is None else folder.read()

    def own(self) -> dict[Key, list[float]]:
        """What this very process counted."""
        with self.lock:
            return {key: list(child.cells) for key, child in self._children.items()}

    @property
    def is_shared(self) -> bool:
        """Whether others see what this process counts."""
        return self._shard is not None

    def _place(self, key: Key, child: Child) -> None:
        if self._shard is None:
            return
        try:
            cells = self._shard.add(key, len(child.cells))
        except (OSError, ValueError) as error:
            logger.error("what this process counts as %s is seen by nobody: %s", key[0], error)
            return
        for number, value in enumerate(child.cells):
            cells[number] = value
        child.cells = cells


recorder = Recorder()
