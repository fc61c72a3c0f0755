"""What checkpoints cost a writer: SQLite's own, after every 1,000 pages, against the product's, in turns.

    python benchmarks/checkpoints.py [--rounds 5] [--seconds 4] [--warm-up 3] [--rate 0] [--folder DIR]

One thread commits 16 rows of 1 kB at a time with synchronous=FULL, as fast as it can, or `--rate` times a second. The
first seconds do not count: the log's file grows to its usual size. Prints the median over the rounds of each round's
p50, p99 and p99.9 of a commit, and the longest that the log was.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

os.environ.setdefault("ML_PIPELINE_HOME", tempfile.mkdtemp())
os.environ.setdefault("ML_PIPELINE_SECRET_KEY", "only-for-benchmarks-nothing-is-served-with-it")
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ml_pipeline.server.settings")

from ml_pipeline.apps.predictions.checkpoints import Checkpointer

TABLE = """
CREATE TABLE r (id CHAR(32) PRIMARY KEY, algorithm INT, created_at TEXT, key_id INT, input TEXT, response TEXT);
CREATE INDEX r_algorithm ON r (algorithm, id);
CREATE INDEX r_key ON r (key_id, id);
"""
ROWS = 16


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--warm-up", type=float, default=3.0, help="seconds before, that do not count")
    parser.add_argument("--rate", type=float, default=0.0, help="commits a second; 0: as many as can be")
    parser.add_argument("--folder", type=Path, help="where the database lies; its disk is what is measured")
    options = parser.parse_args()
    measured: dict[str, list[list[float]]] = {"SQLite's own": [], "the product's": []}
    for _ in range(options.rounds):
        for name, rounds in measured.items():
            with tempfile.TemporaryDirectory(dir=options.folder) as folder:
                rounds.append(measure(Path(folder) / "db.sqlite3", name == "the product's", options))
    print("| checkpoints | commits/s | p50 ms | p99 ms | p99.9 ms | max ms | longest log MB |")
    print("|---|---|---|---|---|---|---|")
    for name, rounds in measured.items():
        print(f"| {name} | " + " | ".join(f"{statistics.median(one):.2f}" for one in zip(*rounds, strict=True)) + " |")


def measure(database: Path, is_ours: bool, options: argparse.Namespace) -> list[float]:
    """Commits a second; p50, p99, p99.9 and maximum of a commit in ms; the longest log in MB."""
    turns = threading.Lock()

    @contextmanager
    def exclusive() -> Iterator[None]:
        with turns:
            yield

    with closing(sqlite3.connect(database, isolation_level=None, timeout=10)) as writer:
        for setting in (f"wal_autocheckpoint={0 if is_ours else 1000}", "journal_mode=WAL", "synchronous=FULL"):
            writer.execute(f"PRAGMA {setting}")
        writer.executescript(TABLE)
        checkpointer = Checkpointer(database, exclusive)
        if is_ours:
            checkpointer.start()
        times, longest = commits(writer, turns, database, options)
        checkpointer.stop()
    times.sort()
    quantiles = [1e3 * times[int(share * len(times))] for share in (0.5, 0.99, 0.999)]
    return [len(times) / options.seconds, *quantiles, 1e3 * times[-1], longest / 1e6]


def commits(
    writer: sqlite3.Connection, turns: threading.Lock, database: Path, options: argparse.Namespace
) -> tuple[list[float], int]:
    """Seconds that each commit took, and the bytes of the log at its longest."""
    times: list[float] = []
    longest = counted = 0
    log = database.with_name(f"{database.name}-wal")
    begun = time.perf_counter()
    while (now := time.perf_counter()) < begun + options.warm_up + options.seconds:
        if options.rate:
            time.sleep(max(0.0, begun + len(times) / options.rate - now))
        first = ROWS * len(times)
        rows = [(f"{first + row:032x}", 3, "2026-01-01T00:00:00", 7, "x" * 900, "y" * 100) for row in range(ROWS)]
        now = time.perf_counter()
        with turns:
            writer.execute("BEGIN IMMEDIATE")
            writer.executemany("INSERT INTO r VALUES (?, ?, ?, ?, ?, ?)", rows)
            writer.execute("COMMIT")
        times.append(time.perf_counter() - now)
        counted += now >= begun + options.warm_up
        longest = max(longest, log.stat().st_size)
    return times[len(times) - counted :], longest


if __name__ == "__main__":
    main()
