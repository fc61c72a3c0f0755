"""One job from CSV to CSV, in a process like the worker that will run it: for `batch_scoring.py`, which measures it.

    python benchmarks/batch_job.py TERMS PATH OUT

TERMS is the job's, in JSON. Prints how many rows are answered.
"""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from ml_pipeline.apps.ml.bundles import Bundle
from ml_pipeline.apps.ml.isolation.limits import Limits
from ml_pipeline.apps.ml.scoring import cuts, dialects, pipeline
from ml_pipeline.apps.ml.scoring.jobs import Logging, Terms, answer_names

PROCESSES = 2
ALLOWED = Limits(memory_bytes=4_000_000_000, cpu_s=None, file_bytes=0, nice=0)
LOGGING = Logging("random_forest", "1.0", "income_classifier")


def terms_of(bundle: Bundle, path: Path, logging: Logging | None) -> Terms:
    """A job from CSV to CSV."""
    header = dialects.read(path).header
    made_ms = 1_790_000_000_000
    folder = str(bundle.folder)
    return Terms(folder, bundle.digest, "onnx", (), "a job", made_ms, "csv", "csv", header, logging=logging)


def by_pipeline(terms: Terms, path: Path, out: Path) -> int:
    """How many rows are answered in `out`, by child processes that are started for it."""
    from ml_pipeline.apps.ml.scoring import written

    dialect = dialects.read(path)
    chunks = ((cut, None) for cut in cuts.of_csv(path, dialect))
    names = answer_names(Bundle(Path(terms.folder), terms.digest).signature, probabilities=False)
    answered = 0
    with out.open("wb") as handle:
        handle.write(written.header((*dialect.header, *names), dialect.delimiter))
        for _, scored in pipeline.results(terms, path, chunks, processes=PROCESSES, allowed=ALLOWED, deadline_s=60.0):
            handle.write(scored.output)
            answered += scored.answered
    return answered


def main() -> None:
    """Loads what a worker does, and runs the job."""
    import django

    django.setup()
    terms, path, out = sys.argv[1:]
    print(by_pipeline(msgspec.json.decode(terms, type=Terms), Path(path), Path(out)))


if __name__ == "__main__":
    main()
