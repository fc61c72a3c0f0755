"""Rows from CSV to CSV by the reference forest on a Ray cluster of two nodes here, beside two child processes.

    python benchmarks/batch_on_ray.py [--rows 500000] [--rounds 3] [--json]

Needs the extra `ray`. In turns: the engine of this machine with two child processes, and that of the cluster, whose
nodes have a processor each; both with what is logged of each row (which is made, not stored). The cluster is started
before and ended after. Prints the seconds of each, how long the first chunk takes, and the median of the ratios of
neighbouring turns; every output must be the same. What Ray's own processes use of the two processors is in its turns.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tests"), str(REPOSITORY / "tests" / "batches")]

import clusters  # noqa: E402

from benchmarks.batch_scoring import ALLOWED, LOGGING, terms_of, trained, write_rows  # noqa: E402
from ml_pipeline.apps.batches.engines import engine  # noqa: E402
from ml_pipeline.apps.ml.bundles import Bundle  # noqa: E402
from ml_pipeline.apps.ml.scoring import cuts, dialects  # noqa: E402

PROCESSES = 2


class Turn(NamedTuple):
    """Seconds of all and until the first chunk, and the sha256 of output and log."""

    all_s: float
    first_s: float
    digest: str


def turn(address: str, bundle: Bundle, path: Path) -> Turn:
    """One run of the engine at that address; the empty one is this machine."""
    chunks = ((cut, None) for cut in cuts.of_csv(path, dialects.read(path)))
    digest, first_s, begun = hashlib.sha256(), 0.0, time.perf_counter()
    score = engine.chosen(address, processes=PROCESSES)
    for _, scored in score(terms_of(bundle, path, LOGGING), path, chunks, allowed=ALLOWED, deadline_s=60.0):
        first_s = first_s or time.perf_counter() - begun
        digest.update(scored.output + (scored.logged or b""))
    return Turn(time.perf_counter() - begun, first_s, digest.hexdigest())


def run(address: str, bundle: Bundle, path: Path, rounds: int) -> dict[str, Any]:
    """The turns of each way, and what they say."""
    turns: dict[str, list[Turn]] = {"two child processes": [], "two Ray nodes": []}
    for _ in range(rounds):
        for way, where in zip(turns, ("", address), strict=True):
            turns[way].append(turn(where, bundle, path))
            print(f"  {way}: {turns[way][-1].all_s:.2f} s", file=sys.stderr)
    if len({one.digest for its in turns.values() for one in its}) != 1:
        raise SystemExit("the outputs differ")
    here, there = turns.values()
    ratios = [one.all_s / other.all_s for one, other in zip(there, here, strict=True)]
    return {
        "seconds": {way: [round(one.all_s, 2) for one in its] for way, its in turns.items()},
        "first_chunk_s": {way: [round(one.first_s, 2) for one in its] for way, its in turns.items()},
        "ratio": round(statistics.median(ratios), 3),
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
            found = run(cluster.address, bundle, path, arguments.rounds)
    print(json.dumps(found, indent=2) if arguments.json else _told(found))


def _told(found: dict[str, Any]) -> str:
    lines = ["way                    median s   first chunk s"]
    for way, its in found["seconds"].items():
        first_s = statistics.median(found["first_chunk_s"][way])
        lines.append(f"{way:22} {statistics.median(its):8.2f} {first_s:15.2f}")
    return "\n".join([*lines, f"the cluster takes {found['ratio']:.3f} × the time"])


if __name__ == "__main__":
    main()
