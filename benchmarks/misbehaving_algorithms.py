"""What others notice of an algorithm that loops and of one that crashes, and how soon each answers again.

    python benchmarks/misbehaving_algorithms.py [--door asgi] [--json FILE]

Eight clients hammer an algorithm that loops for 10 seconds, while one client asks an honest neighbour. Rounds with and
without them take turns; the figures are medians over the rounds.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import neighbours
from neighbours import LocalHome, Server

# isort: split
import crafted_models

CLIENTS, HAMMERED_S, BASELINE_S, ROUNDS = 8, 15.0, 10.0, 5
LOOPING, CRASHING = "/api/v1/looping/predict", "/api/v1/crashing/predict"


def prepared(folder: Path) -> LocalHome:
    """A home where both are registered by the operator."""
    home = LocalHome(folder / "home")
    home.make()
    for name, model in (("looping", crafted_models.Looping()), ("crashing", crafted_models.crafted_boosting())):
        (folder / name).mkdir()
        for file, content in crafted_models.training_bundle(model, name).items():
            (folder / name / file).write_bytes(content)
        home.manage("register", str(folder / name), "--endpoint", name, "--version", "1")
    return home


def asked(server: Server, path: str, row: dict[str, float]) -> int:
    """The status of one prediction."""
    with server.client("predict") as client:
        return status_of(client, path, row)


def status_of(client: httpx.Client, path: str, row: dict[str, float]) -> int:
    """The status of one prediction, over a connection that is there."""
    return client.post(path, json=row, params={"status": "testing"}).status_code


def replaced_s(server: Server, path: str, wrong: dict[str, float], right: dict[str, float]) -> tuple[int, float]:
    """The status of the answer to `wrong`, and seconds from it until `right` is answered."""
    status = asked(server, path, wrong)
    begun = time.perf_counter()
    while asked(server, path, right) != 200:
        time.sleep(0.01)
    return status, time.perf_counter() - begun


def hammered(server: Server) -> tuple[list[float], Counter[int]]:
    """The neighbour's latencies in seconds while eight clients ask the looping one, and what those were told."""
    until = time.perf_counter() + HAMMERED_S + 2
    statuses: Counter[int] = Counter()

    def hammer() -> None:
        # One connection each: making a client costs more of the machine than all that it asks.
        with server.client("predict") as client:
            while time.perf_counter() < until:
                status = status_of(client, LOOPING, crafted_models.LOOPING)
                statuses[status] += 1
                # As a client does that was told to come again.
                time.sleep(0.2 if status == 503 else 0)

    threads = [threading.Thread(target=hammer) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    time.sleep(1)
    latencies = neighbours.neighbour_latencies_s(server, HAMMERED_S)
    for thread in threads:
        thread.join()
    return latencies, statuses


def run(door: str, folder: Path) -> dict[str, Any]:
    """The measurements behind one door."""
    with neighbours.served(door, prepared(folder)) as server:
        for path in (LOOPING, CRASHING):
            assert asked(server, path, crafted_models.SOUND) == 200  # noqa: S101  (or nothing below means anything)
        neighbours.neighbour_latencies_s(server, 2)
        statuses: Counter[int] = Counter()
        rounds = []
        for _ in range(ROUNDS):
            before = neighbours.neighbour_latencies_s(server, BASELINE_S)
            during, told = hammered(server)
            statuses += told
            rounds.append(
                [neighbours.quantile(part, share) * 1e3 for share in (0.5, 0.99) for part in (before, during)]
            )
        late, late_s = replaced_s(server, LOOPING, crafted_models.LOOPING, crafted_models.QUICK)
        crashed, crashed_s = replaced_s(server, CRASHING, crafted_models.FATAL, crafted_models.SOUND)
    medians = [statistics.median(column) for column in zip(*rounds, strict=True)]
    ratios = [one[3] / one[2] for one in rounds]
    return {
        "door": door,
        "p50_before_ms": medians[0],
        "p50_during_ms": medians[1],
        "p99_before_ms": medians[2],
        "p99_during_ms": medians[3],
        "p99_ratio": statistics.median(ratios),
        "p99_ratios": ratios,
        "looping": dict(statuses),
        "late": {"status": late, "replaced_s": late_s},
        "crashed": {"status": crashed, "replaced_s": crashed_s},
    }


def table(results: list[dict[str, Any]]) -> str:
    """The results as Markdown."""
    lines = [
        "| door | p50 before → during, ms | p99 before → during, ms | ratio | after 504, s | after 503, s |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {one['door']} | {one['p50_before_ms']:.2f} → {one['p50_during_ms']:.2f} "
        f"| {one['p99_before_ms']:.2f} → {one['p99_during_ms']:.2f} | {one['p99_ratio']:.2f} "
        f"| {one['late']['replaced_s']:.2f} | {one['crashed']['replaced_s']:.2f} |"
        for one in results
    ]
    return "\n".join(lines)


def main() -> None:
    """Runs it behind each door that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--door", choices=("asgi", "wsgi"), action="append")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    results = []
    for door in options.door or ("asgi", "wsgi"):
        with tempfile.TemporaryDirectory() as folder:
            results.append(run(door, Path(folder)))
    print(table(results))
    neighbours.report(results, options.json)


if __name__ == "__main__":
    main()
