"""A million rows from CSV to CSV by the reference forest on two cores, beside pandas and scikit-learn.

    python benchmarks/batch_scoring.py [--rows 1000000] [--rounds 3] [--many 5000000] [--json]

The rows are those of the Adult data, drawn with a seed, their numbers jittered so that hardly two are equal. In turns:
pandas in chunks of 100,000 rows with scikit-learn's forest on two threads (`n_jobs=2`); the pipeline with two child
processes, without and with what is logged of each row (which is made, not stored). Prints the seconds of each and the
median of the ratios of neighbouring turns; the peak of the memory of all processes of a job together at --rows and at
--many rows, the one that runs it and has loaded what a worker does among them; and where the processor's time goes,
stage by stage, in one process.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import joblib
import msgspec
import numpy as np
import pandas as pd

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(REPOSITORY / "research")]

import batch_job  # noqa: E402
from batch_job import LOGGING, PROCESSES, by_pipeline, terms_of  # noqa: E402

import train_income_classifier as training  # noqa: E402
from ml_pipeline.apps.ml import bundles, compile  # noqa: E402
from ml_pipeline.apps.ml.bundles import Bundle  # noqa: E402
from ml_pipeline.apps.ml.scoring import cuts, dialects, ids, logged, validation  # noqa: E402
from ml_pipeline.apps.ml.scoring.jobs import Terms  # noqa: E402
from ml_pipeline.apps.ml.scoring.scorer import Scorer  # noqa: E402
from ml_pipeline.apps.ml.scoring.tables import Chunk  # noqa: E402

BASELINE_ROWS = 100_000
JITTER = {"age": 3, "fnlwgt": 5_000, "hours-per-week": 3, "capital-gain": 20, "capital-loss": 20}


def write_rows(path: Path, rows: int) -> None:
    """A CSV of that many people."""
    people = pd.concat([training.load(training.TRAIN)[0], training.load(training.TEST)[0]], ignore_index=True)
    random = np.random.default_rng(0)
    for begin in range(0, rows, 250_000):
        part = people.iloc[random.integers(0, len(people), min(250_000, rows - begin))].reset_index(drop=True)
        for name, most in JITTER.items():
            moved = (part[name] + random.integers(-most, most + 1, len(part))).clip(lower=0)
            # Who gained nothing still does.
            part[name] = np.where(part[name] == 0, 0, moved)
        part.to_csv(path, mode="a", index=False, header=begin == 0)


def trained(folder: Path) -> tuple[Any, Bundle]:
    """The reference forest as it was trained, and its bundle in ONNX."""
    training.train(folder, seed=0, candidates=training.CANDIDATES[:1])
    source = Bundle(folder / "random_forest")
    forest = joblib.load(source.folder / bundles.JOBLIB_MODEL)
    signature = source.signature
    frame = training.load(training.TEST)[0].head(64)
    sample = signature.rows(frame.astype(object).where(frame.notna(), None).to_dict("records"))
    files = {
        bundles.ONNX_MODEL: compile.compiled(forest, signature),
        bundles.SAMPLE: json.dumps(sample).encode(),
    }
    about = {"algorithm": "income-random-forest", "runtime": "onnx", "signature": signature.to_json()}
    return forest, bundles.write_bundle(folder / "compiled", about, files)


def by_pandas(forest: Any, path: Path, out: Path) -> int:
    """How many rows are answered in `out`, as one would in a notebook."""
    answered = 0
    forest.named_steps["classifier"].n_jobs = PROCESSES
    for frame in pd.read_csv(path, chunksize=BASELINE_ROWS):
        probability = forest.predict_proba(frame)[:, 1]
        frame["label"] = np.where(probability > 0.5, ">50K", "<=50K")
        frame["probability"] = probability
        frame.to_csv(out, mode="a", index=False, header=answered == 0)
        answered += len(frame)
    return answered


def timed(work: Callable[[], int], rows: int) -> float:
    """The seconds that `work` takes to answer all rows."""
    begun = time.perf_counter()
    if work() != rows:
        raise SystemExit("not every row was answered")
    return time.perf_counter() - begun


def peak_bytes(terms: Terms, path: Path, out: Path, rows: int) -> int:
    """The peak of what a worker and all processes of the job in it have in memory together."""
    home = out.with_name("home")
    settings = {
        "DJANGO_SETTINGS_MODULE": "ml_pipeline.server.settings",
        "ML_PIPELINE_HOME": str(home),
        "ML_PIPELINE_SECRET_KEY": "only-for-a-benchmark-nothing-is-served-with-it",
    }
    command = [sys.executable, str(Path(batch_job.__file__)), msgspec.json.encode(terms).decode(), str(path), str(out)]
    worker = subprocess.Popen(command, env={**os.environ, **settings}, stdout=subprocess.PIPE, text=True)
    peak = 0
    while worker.poll() is None:
        peak = max(peak, sum(map(_resident_bytes, _family(worker.pid))))
        time.sleep(0.02)
    if worker.communicate()[0].strip() != str(rows):
        raise SystemExit("not every row was answered")
    return peak


def _family(pid: int) -> list[int]:
    """The process and all that came from it."""
    found = [pid]
    for one in found:
        with suppress(OSError):
            listed = [part.read_text() for part in Path(f"/proc/{one}/task").glob("*/children")]
            found += [int(child) for part in listed for child in part.split()]
    return found


def _resident_bytes(pid: int) -> int:
    # Pages that several processes share, those of libraries and of what is forked, are counted once.
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1_024 for line in text.splitlines() if line.startswith("Pss:"))


def stages(bundle: Bundle, path: Path) -> dict[str, float]:
    """Microseconds of the processor a row, by stage, in one process over the first million rows."""
    dialect = dialects.read(path)
    scorer = Scorer(terms_of(bundle, path, LOGGING))
    signature, algorithm = bundle.signature, scorer._algorithm
    runtime: Any = algorithm.algorithm.runtime
    found: dict[str, float] = {}
    rows = 0
    for cut in _spent(found, "cut", cuts.of_csv(path, dialect)):
        content = cuts.content(path, cut)
        chunk = _took(found, "rows", lambda: Chunk(content, dialect, cut))  # noqa: B023
        read = _took(found, "read", lambda: chunk.read(signature.names))  # noqa: B023
        inputs, kept, _ = _took(found, "check", lambda: validation.checked(read.columns, signature, coerce=True))  # noqa: B023
        answers, _, _ = _took(found, "encode and forest", lambda: algorithm.answers(inputs))  # noqa: B023
        present = inputs.without(algorithm.algorithm.missing)
        fed = _took(found, "(encode)", lambda: runtime._fed(present))  # noqa: B023
        matrix = _took(found, "(matrix)", lambda: runtime._front.run([runtime._matrix], fed)[0])  # noqa: B023
        leaves = _took(found, "(first trees)", lambda: runtime._order.run(None, {runtime._matrix: matrix})[0])  # noqa: B023
        _took(found, "(sort)", lambda: matrix[np.lexsort(leaves.T[::-1])])  # noqa: B023
        digits = _took(found, "ids", lambda: ids.hexes(ids.made("a job", 0, cut.first_row + kept)))  # noqa: B023
        _took(found, "write", lambda: scorer._output(chunk, kept, answers, digits))  # noqa: B023
        _took(
            found,
            "log",
            lambda: logged.stream(inputs, answers, digits, signature, LOGGING, probabilities=False),  # noqa: B023
        )
        rows += cut.rows
    return {name: spent_s / rows * 1e6 for name, spent_s in found.items()}


def _took(found: dict[str, float], name: str, work: Callable[[], Any]) -> Any:
    begun = time.process_time()
    made = work()
    found[name] = found.get(name, 0.0) + time.process_time() - begun
    return made


def _spent(found: dict[str, float], name: str, made: Iterator[Any]) -> Iterator[Any]:
    while (one := _took(found, name, lambda: next(made, None))) is not None:
        yield one


def main() -> None:
    """Trains, writes the rows, takes turns, prints."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3, help="turns of each way")
    parser.add_argument("--many", type=int, default=5_000_000, help="rows for the second look at memory")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        forest, bundle = trained(folder / "bundles")
        path, out = folder / "people.csv", folder / "answers.csv"
        write_rows(path, arguments.rows)
        found = run(arguments, forest, bundle, path, out)
        found["us_a_row"] = stages(bundle, path)
    print(json.dumps(found, indent=2) if arguments.json else _told(found))


def run(arguments: Any, forest: Any, bundle: Bundle, path: Path, out: Path) -> dict[str, Any]:
    """The seconds of each way, their ratios, and the peaks of memory."""
    rows = arguments.rows
    ways: dict[str, Callable[[], int]] = {
        "pandas and scikit-learn": lambda: by_pandas(forest, path, out),
        "pipeline": lambda: by_pipeline(terms_of(bundle, path, None), path, out),
        "pipeline, log made": lambda: by_pipeline(terms_of(bundle, path, LOGGING), path, out),
    }
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(arguments.rounds):
        for way, work in ways.items():
            out.unlink(missing_ok=True)
            seconds[way].append(timed(work, rows))
            print(f"  {way}: {seconds[way][-1]:.2f} s", file=sys.stderr)
    base = seconds["pandas and scikit-learn"]
    ratios = {
        way: statistics.median(one / other for one, other in zip(base, its, strict=True))
        for way, its in seconds.items()
    }
    peaks = {}
    for count in (rows, arguments.many):
        if count != rows:
            path = path.with_name("many.csv")
            write_rows(path, count)
        peaks[f"{count:,}"] = peak_bytes(terms_of(bundle, path, LOGGING), path, out, count) / 1e6
    return {"seconds": seconds, "ratios": ratios, "peak_mb": peaks}


def _told(found: dict[str, Any]) -> str:
    lines = ["way                        median s    × pandas"]
    for way, its in found["seconds"].items():
        lines.append(f"{way:26} {statistics.median(its):9.2f} {found['ratios'][way]:11.2f}")
    lines += [f"peak of memory at {rows} rows: {peak:.0f} MB" for rows, peak in found["peak_mb"].items()]
    lines += [f"{name:26} {took:9.2f} µs a row" for name, took in found["us_a_row"].items()]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
