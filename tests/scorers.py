"""Whole files scored in this process, and jobs for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ml_pipeline.apps.ml.bundles import Bundle
from ml_pipeline.apps.ml.scoring import cuts, dialects, written
from ml_pipeline.apps.ml.scoring.cuts import Cut
from ml_pipeline.apps.ml.scoring.jobs import Logging, Scored, Terms
from ml_pipeline.apps.ml.scoring.scorer import Scorer

LOGGING = Logging("forest", "1.0", "income_classifier")
CREATED_MS = 1_790_000_000_123


def terms(bundle: Bundle, header: tuple[str, ...], **changes: Any) -> Terms:
    """The terms of a job from CSV to CSV, logged."""
    given: dict[str, Any] = {
        "folder": str(bundle.folder),
        "digest": bundle.digest,
        "runtime": "onnx",
        "trusted_keys": (),
        "job": "a job",
        "created_ms": CREATED_MS,
        "input": "csv",
        "output": "csv",
        "header": header,
        "logging": LOGGING,
    }
    return Terms(**{**given, **changes})


def scored(bundle: Bundle, path: Path, *, rows: int = cuts.ROWS, **changes: Any) -> tuple[bytes, list[Scored]]:
    """The whole output of the CSV at `path`, and what became of each chunk."""
    dialect = dialects.read(path)
    job = terms(bundle, dialect.header, delimiter=dialect.delimiter, **changes)
    scorer = Scorer(job)
    found = [scorer.score(cuts.content(path, cut), cut) for cut in cuts.of_csv(path, dialect, rows=rows)]
    head = written.header((*dialect.header, *scorer.names), dialect.delimiter)
    return head + b"".join(one.output for one in found), found


def whole(content: bytes, rows: int) -> Cut:
    """The only chunk of a file whose header is gone."""
    return Cut(0, 0, len(content), 0, 2, rows)
