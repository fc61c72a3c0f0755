"""Engine: what every place that scores chunks promises, and which of them is taken."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Protocol

from ml_pipeline.apps.batches.engines import ray
from ml_pipeline.apps.ml.isolation.limits import Limits
from ml_pipeline.apps.ml.scoring import pipeline
from ml_pipeline.apps.ml.scoring.cuts import Cut
from ml_pipeline.apps.ml.scoring.jobs import Scored, Terms


class Engine(Protocol):
    """Scores a job's chunks, several at once, only so many of them in memory."""

    def __call__(
        self,
        terms: Terms,
        path: Path,
        chunks: Iterable[tuple[Cut, bytes | None]],
        *,
        allowed: Limits,
        deadline_s: float,
    ) -> Iterator[tuple[Cut, Scored]]:
        """Each of `chunks`, in order, with what became of it; a chunk without bytes has them in the file at `path`.

        Whoever scores is `allowed` so much, and has `deadline_s` for a chunk or for loading. Call it and iterate in
        one thread. Raises AlgorithmFailed, InvalidArtifact and MalformedInput, ClusterUnavailable where there is a
        cluster, and what `chunks` raises in their turn. What it started ends with the iteration.
        """
        ...


def chosen(ray_address: str, *, processes: int) -> Engine:
    """The Ray cluster at that address; where that is empty, so many child processes of this machine."""
    if ray_address:
        return partial(ray.results, address=ray_address)
    return partial(pipeline.results, processes=processes)
