"""A million rows by a batch job, from file to result, beside pandas and scikit-learn; and predictions beside a job.

    python benchmarks/batch_jobs.py [--rows 1000000] [--rounds 3] [--seconds 20] [--rate 50] [--json]

On a home on SQLite with the reference forest, with a worker and no server: in turns the file of `batch_scoring` in
pandas chunks with scikit-learn on two threads, a job that logs nothing, and one that logs each row. A job's time is
that from when it is asked for until it has succeeded. Prints the median seconds, the medians of the ratios of
neighbouring turns, and the peak of the memory of the worker and its children. The children are nice to others, pandas
is not: on a machine that has other work run all of it under `nice -n 19`. Then a server answers --rate predictions a
second, sent when they are due whether others are answered or not, for --seconds at a time, in turns alone and beside a
job that logs to the same file; prints the 99th percentiles and the median of their ratios.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import batch_scoring
import httpx
import joblib
import turns
from turns import Home

sys.path.insert(0, str(turns.REPOSITORY / "tests" / "batches"))

from batched import Batches
from people import as_rows, held_out_people
from servers import Server

from ml_pipeline.apps.ml import bundles
from ml_pipeline.apps.ml.bundles import Bundle

PEOPLE = 500


class Memory:
    """The peak of what a process and all that descends from it have in memory."""

    def __init__(self, pid: int) -> None:
        self.peak_bytes = 0
        self._pid, self._is_over = pid, threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def end(self) -> float:
        """The peak in MB; nobody looks any more."""
        self._is_over.set()
        return self.peak_bytes / 1e6

    def _watch(self) -> None:
        while not self._is_over.wait(0.05):
            total = sum(batch_scoring._resident_bytes(pid) for pid in _family(self._pid))
            self.peak_bytes = max(self.peak_bytes, total)


def _family(pid: int) -> Iterator[int]:
    yield pid
    for listed in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = listed.read_text().split()
        except OSError:
            continue
        for child in children:
            yield from _family(int(child))


def job_of(batches: Batches, path: Path, *, log_requests: bool) -> Callable[[], int]:
    """Asks for a job and waits for it; says how many rows it answered."""

    def work() -> int:
        pk = batches.create(path, log_requests=log_requests)
        return batches.wait(pk, seconds=900).rows_done

    return work


def speed(home: Home, forest: Any, path: Path, options: Any) -> dict[str, Any]:
    """The seconds of each way, their ratios to the first, and the worker's memory."""
    seconds: dict[str, list[float]] = {"pandas and scikit-learn": [], "job": [], "job, logged": []}
    peaks: dict[str, float] = {}
    out = path.with_name("answers.csv")
    for number in range(options.rounds):
        # Each round has a log of its own: a longer one is slower to write to.
        batches = Batches(home.copy(path.with_name(f"home-{number}")))
        # Of the client alone: what it costs to begin a process that asks.
        asking = _asking_s(batches)
        with batches.worker() as worker:
            time.sleep(3)
            ways = {
                "pandas and scikit-learn": lambda: batch_scoring.by_pandas(forest, path, out),
                "job": job_of(batches, path, log_requests=False),
                "job, logged": job_of(batches, path, log_requests=True),
            }
            for way, work in ways.items():
                out.unlink(missing_ok=True)
                memory = Memory(worker.pid)
                took_s = batch_scoring.timed(work, options.rows) - (asking if way.startswith("job") else 0.0)
                seconds[way].append(took_s)
                peaks[way] = max(memory.end(), peaks.get(way, 0.0))
                print(f"  {way}: {took_s:.2f} s, {peaks[way]:.0f} MB", file=sys.stderr)
    return {"seconds": seconds, "ratios": _ratios(seconds), "peak_mb": peaks}


def _asking_s(batches: Batches) -> float:
    begun = time.perf_counter()
    batches.create_all()
    return time.perf_counter() - begun


def _ratios(seconds: dict[str, list[float]]) -> dict[str, float]:
    base = next(iter(seconds.values()))
    return {
        way: statistics.median(one / other for one, other in zip(base, its, strict=True))
        for way, its in seconds.items()
    }


async def answered(server: Server, seconds: float, rate: float) -> list[float]:
    """The seconds from when each prediction was due until it was answered."""
    rows = as_rows(held_out_people().head(PEOPLE))
    headers = {"Authorization": f"Bearer {server.home.keys['predict']}"}
    took: list[float] = []

    async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=60) as client:

        async def ask(number: int, due: float) -> None:
            reply = await client.post("/api/v1/income_classifier/predict", json=rows[number % PEOPLE])
            reply.raise_for_status()
            took.append(time.perf_counter() - due)

        begun = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for number in range(round(seconds * rate)):
                due = begun + number / rate
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                group.create_task(ask(number, due))
    return took


@contextmanager
def job_beside(batches: Batches, path: Path) -> Iterator[dict[str, float]]:
    """While the block lasts a job is scored and logged; then it is cancelled. Says how many rows it did a second."""
    pk = batches.create(path)
    while batches.state(pk, "log_seq") < 1:
        time.sleep(0.05)
    begun, found = time.perf_counter(), {"rows_a_s": 0.0}
    yield found
    found["rows_a_s"] = batches.logged(pk) / (time.perf_counter() - begun)
    batches.cancel(pk)
    batches.wait(pk, "cancelled")


def beside(home: Home, path: Path, options: Any) -> dict[str, Any]:
    """The 99th percentiles of predictions alone and beside a job, in ms, and their ratios."""
    # A collection of this process's own takes a tenth of a second, and would count as the server's.
    gc.collect()
    gc.freeze()
    home = home.copy(path.with_name("home-beside"))
    batches = Batches(home)
    server = Server("asgi", home, {}).start()
    alone, together, rates = [], [], []
    try:
        asyncio.run(answered(server, 3, options.rate))
        with batches.worker():
            for _ in range(options.rounds):
                alone.append(_p99_ms(asyncio.run(answered(server, options.seconds, options.rate))))
                with job_beside(batches, path) as found:
                    together.append(_p99_ms(asyncio.run(answered(server, options.seconds, options.rate))))
                rates.append(found["rows_a_s"])
                print(f"  p99 {alone[-1]:.1f} ms alone, {together[-1]:.1f} beside a job", file=sys.stderr)
    finally:
        server.stop()
    ratio = statistics.median(one / other for one, other in zip(together, alone, strict=True))
    return {"p99_ms_alone": alone, "p99_ms_beside": together, "p99_ratio": ratio, "rows_a_s": rates}


def _p99_ms(took: list[float]) -> float:
    return 1e3 * statistics.quantiles(took, n=100)[98]


def main() -> None:
    """Makes the home and the file, takes turns, prints."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3, help="turns of each way")
    parser.add_argument("--seconds", type=float, default=20.0, help="of predictions, a turn; 0 for none")
    parser.add_argument("--rate", type=float, default=50.0, help="predictions a second")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="batch-jobs-") as name:
        folder = Path(name)
        trained = turns.trained(folder)
        forest = joblib.load(Bundle(trained / "random_forest").folder / bundles.JOBLIB_MODEL)
        home = Home(folder / "home").prepare(trained)
        path = folder / "people.csv"
        batch_scoring.write_rows(path, options.rows)
        found = speed(home, forest, path, options)
        if options.seconds:
            found |= beside(home, path, options)
    print(json.dumps(found, indent=2) if options.json else _told(found))


def _told(found: dict[str, Any]) -> str:
    lines = ["way                        median s    × pandas    peak MB"]
    for way, its in found["seconds"].items():
        peak = found["peak_mb"][way]
        lines.append(f"{way:26} {statistics.median(its):9.2f} {found['ratios'][way]:11.2f} {peak:10.0f}")
    if "p99_ratio" in found:
        lines.append(f"p99 of predictions beside a job ÷ alone: {found['p99_ratio']:.2f}")
        lines.append(f"rows a second of the job meanwhile: {statistics.median(found['rows_a_s']):,.0f}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
