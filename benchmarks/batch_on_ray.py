"""Rows from CSV to CSV by the reference forest on a Ray cluster of two nodes here, beside two child processes.

    python benchmarks/batch_on_ray.py [--rows 500000] [--rounds 3] [--json]

Needs the extra `ray`. In turns: the engine of this machine with two child processes, and that of the cluster, whose
nodes have a processor each; both with what is logged of each row (which is made, not stored). The cluster is started
before and ended after. Prints the seconds of each, those until the first chunk and those of processors, Ray's own
processes included, and the median of the ratios of neighbouring turns. Every output must be the same.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import statistics
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tests"), str(REPOSITORY / "tests" / "batches")]

import clusters  # noqa: E402
from clusters import Cluster  # noqa: E402
from servers import wait_until  # noqa: E402

from benchmarks.batch_scoring import ALLOWED, LOGGING, terms_of, trained, write_rows  # noqa: E402
from ml_pipeline.apps.batches.engines import engine  # noqa: E402
from ml_pipeline.apps.ml.bundles import Bundle  # noqa: E402
from ml_pipeline.apps.ml.scoring import cuts, dialects  # noqa: E402

PROCESSES = 2


class Turn(NamedTuple):
    """Seconds of all and until the first chunk, seconds of processors, and the sha256 of output and log."""

    all_s: float
    first_s: float
    spent_s: float
    digest: str


def turn(address: str, cluster: Cluster, bundle: Bundle, path: Path) -> Turn:
    """One run of the engine at that address; the empty one is this machine."""
    found = list(cuts.of_csv(path, dialects.read(path)))
    # What the turn before has started takes its time along when it goes.
    wait_until(lambda: not cluster.scoring, 60)
    where = cluster if address else None
    digest, first_s, before_s, begun = hashlib.sha256(), 0.0, spent_s(where), time.perf_counter()
    score = engine.chosen(address, processes=PROCESSES)
    chunks = ((cut, None) for cut in found)
    results = score(terms_of(bundle, path, LOGGING), path, chunks, allowed=ALLOWED, deadline_s=60.0)
    for _, scored in islice(results, len(found)):
        first_s = first_s or time.perf_counter() - begun
        digest.update(scored.output + (scored.logged or b""))
    all_s = time.perf_counter() - begun
    # Processes that are gone would not be counted.
    used_s = spent_s(where) - before_s
    for _ in results:
        raise SystemExit("there are more chunks than there were")
    return Turn(all_s, first_s, used_s, digest.hexdigest())


def spent_s(cluster: Cluster | None) -> float:
    """Seconds of processors that this process and what it has started have used, and a cluster."""
    total = 0
    for pid in {os.getpid(), *clusters.beneath(os.getpid()), *(cluster.processes if cluster else ())}:
        with contextlib.suppress(OSError):
            total += sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]))
    return total / os.sysconf("SC_CLK_TCK")


def run(cluster: Cluster, bundle: Bundle, path: Path, rounds: int) -> dict[str, Any]:
    """The turns of each way, and what they say."""
    turns: dict[str, list[Turn]] = {"two child processes": [], "two Ray nodes": []}
    for _ in range(rounds):
        for way, where in zip(turns, ("", cluster.address), strict=True):
            turns[way].append(turn(where, cluster, bundle, path))
            print(f"  {way}: {turns[way][-1].all_s:.2f} s", file=sys.stderr)
    if len({one.digest for its in turns.values() for one in its}) != 1:
        raise SystemExit("the outputs differ")
    here, there = turns.values()
    pairs = list(zip(there, here, strict=True))
    return {
        "seconds": {way: [round(one.all_s, 2) for one in its] for way, its in turns.items()},
        "first_chunk_s": {way: [round(one.first_s, 2) for one in its] for way, its in turns.items()},
        "processor_s": {way: [round(one.spent_s, 2) for one in its] for way, its in turns.items()},
        "processor_ratio": round(statistics.median(one.spent_s / other.spent_s for one, other in pairs), 3),
        "ratio": round(statistics.median(one.all_s / other.all_s for one, other in pairs), 3),
    }


def main() -> None:
    """Trains, writes the rows, starts a cluster, takes turns, prints."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--rounds", type=int, default=3, help="turns of each way")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        _, bundle = trained(Path(name) / "bundles")
        path = Path(name) / "people.csv"
        write_rows(path, arguments.rows)
        with clusters.started() as cluster:
            os.environ["RAY_AUTH_TOKEN_PATH"] = str(cluster.token_path)
            found = run(cluster, bundle, path, arguments.rounds)
    print(json.dumps(found, indent=2) if arguments.json else _told(found))


def _told(found: dict[str, Any]) -> str:
    lines = ["way                    median s   first chunk s   processor s"]
    for way in found["seconds"]:
        medians = [statistics.median(found[name][way]) for name in ("seconds", "first_chunk_s", "processor_s")]
        lines.append(f"{way:22} {medians[0]:8.2f} {medians[1]:15.2f} {medians[2]:13.2f}")
    of_time, of_processors = found["ratio"], found["processor_ratio"]
    return "\n".join([*lines, f"the cluster takes {of_time:.3f} × the time, {of_processors:.3f} × the processors"])


if __name__ == "__main__":
    main()
