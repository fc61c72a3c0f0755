"""Jobs for the engines of batches: a small forest, three thousand people, and what one process makes of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import scorers
import small_forests
from people import held_out_people

from ml_pipeline.apps.batches.engines import engine
from ml_pipeline.apps.ml.bundles import Bundle
from ml_pipeline.apps.ml.isolation.limits import Limits
from ml_pipeline.apps.ml.scoring import cuts, dialects
from ml_pipeline.apps.ml.scoring.cuts import Cut
from ml_pipeline.apps.ml.scoring.jobs import Scored

ALLOWED = Limits(memory_bytes=2_000_000_000, cpu_s=None, file_bytes=0, nice=0)
ROWS = 200


def told(results: Iterable[Scored]) -> list[tuple[Any, ...]]:
    """What was scored, without how long it took."""
    return [(one.answered, one.rejected, one.output, one.logged) for one in results]


class Given:
    """A bundle and a file of people, as every job here has them."""

    def __init__(self, folder: Path) -> None:
        self.bundle: Bundle = small_forests.income_forest(folder / "bundle")
        self.path = folder / "people.csv"
        self.path.write_bytes(held_out_people().head(3_000).to_csv(index=False).encode())

    def expected(self, path: Path | None = None) -> list[tuple[Any, ...]]:
        """What the scorer makes of it, or of another file, in this process, chunk by chunk."""
        return told(scorers.scored(self.bundle, path or self.path, rows=ROWS)[1])

    def run(
        self,
        address: str,
        *,
        path: Path | None = None,
        allowed: Limits = ALLOWED,
        deadline_s: float = 60.0,
        rows: int = ROWS,
        **changes: Any,
    ) -> Iterator[tuple[Cut, Scored]]:
        """Its results by the engine for that address."""
        path = path or self.path
        dialect = dialects.read(path)
        chunks = ((cut, None) for cut in cuts.of_csv(path, dialect, rows=rows))
        terms = scorers.terms(self.bundle, dialect.header, **changes)
        chosen = engine.chosen(address, processes=2)
        return chosen(terms, path, chunks, allowed=allowed, deadline_s=deadline_s)
