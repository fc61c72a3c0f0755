"""How long a server takes to refuse hostile uploads, and what its other clients and its memory notice of them.

    python benchmarks/hostile_uploads.py [--door asgi] [--json FILE]

Prints a Markdown table a door and writes JSON. Seconds to the refusal, the neighbour's p99 while it lasts relative to
its p99 before, and how much memory the server's own processes gained.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import neighbours
from neighbours import LocalHome, Server

# isort: split
import hostile_archives
import hostile_graphs
import hostile_programs
import hostile_tables
import wine

BASELINE_S, SETTLE_S = 10.0, 1.0


def cases() -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """Case to the files and the metadata of its upload; all made before anything is measured."""
    found: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
    about = {"signature": hostile_graphs.SIGNATURE}
    for name, content in {**hostile_graphs.swelling(), **hostile_graphs.endless()}.items():
        found[f"ONNX: {name}"] = (wine.files(content, "m.onnx", hostile_graphs.ROWS), about)
    bomb = hostile_archives.swollen("schema.json", 2_000_000_000)
    found["skops of 2 GB"] = (wine.files(bomb, "m.skops"), {})
    found["skops of 2 GB that says otherwise"] = (wine.files(hostile_archives.lying(bomb, 1_000), "m.skops"), {})
    found["zip of 100,000 members"] = (wine.files(hostile_archives.oddities()["100,000 members"], "m.zip"), {})
    order = hostile_programs.skops_in_disguise(Path("/nonexistent/canary"))["a function transformer of os.system"]
    found["skops of os.system"] = (wine.files(order, "m.skops"), {})
    tables = [("csv", hostile_tables.csv_bombs()), ("parquet", hostile_tables.parquet_bombs())]
    tables += [("csv", {"one cell of 400 MB": b"x\n" + b"9" * 400_000_000 + b"\n"})]
    for kind, bombs in tables:
        for name, content in bombs.items():
            found[f"{kind}: {name}"] = (wine.files(hostile_graphs.honest(), "m.onnx", content, f"r.{kind}"), about)
    return found


def measured(server: Server, files: dict[str, Any], metadata: dict[str, Any]) -> dict[str, Any]:
    """Status, seconds and the memory gained by one upload."""
    before = neighbours.server_bytes(server)
    with server.client("manage") as client, neighbours.Memory(server) as memory:
        begun = time.perf_counter()
        reply = client.post(wine.UPLOADS, data=wine.form("hostile", **metadata), files=files)
        took = time.perf_counter() - begun
        time.sleep(0.1)
    return {"status": reply.status_code, "seconds": round(took, 2), "gained_mb": (memory.peak_bytes - before) / 1e6}


def run(door: str, folder: Path, uploads: dict[str, tuple[dict[str, Any], dict[str, Any]]]) -> dict[str, Any]:
    """The measurements behind one door."""
    home = LocalHome(folder)
    home.make()
    with neighbours.served(door, home) as server:
        neighbours.neighbour_latencies_s(server, 2)
        before = neighbours.neighbour_latencies_s(server, BASELINE_S)
        first = neighbours.server_bytes(server)
        rows: dict[str, dict[str, Any]] = {}
        during: list[float] = []
        for name, (files, metadata) in uploads.items():
            stop = neighbours.neighbour(server)
            time.sleep(SETTLE_S)
            rows[name] = measured(server, files, metadata)
            latencies = stop()
            rows[name]["p99_ratio"] = neighbours.quantile(latencies, 0.99) / neighbours.quantile(before, 0.99)
            during += latencies
        gained = (neighbours.server_bytes(server) - first) / 1e6
    p99 = [neighbours.quantile(part, 0.99) for part in (before, during)]
    return {
        "door": door,
        "cases": rows,
        "p99_before_ms": p99[0] * 1e3,
        "p99_during_ms": p99[1] * 1e3,
        "p99_ratio": p99[1] / p99[0],
        "slowest_refusal_s": max(row["seconds"] for row in rows.values()),
        "gained_mb": gained,
    }


def table(result: dict[str, Any]) -> str:
    """The result as Markdown."""
    lines = [
        f"| {result['door']} | status | seconds | p99 ÷ before | memory, MB |",
        "|---|---|---|---|---|",
    ]
    for name, row in result["cases"].items():
        cells = (name, row["status"], f"{row['seconds']:.2f}", f"{row['p99_ratio']:.2f}", f"{row['gained_mb']:+.0f}")
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    whole = (result["slowest_refusal_s"], result["p99_ratio"], result["gained_mb"])
    lines.append("| all | | {:.2f} at most | {:.2f} | {:+.0f} in the end |".format(*whole))
    return "\n".join(lines)


def main() -> None:
    """Runs it behind each door that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--door", choices=("asgi", "wsgi"), action="append")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--only", default="", help="cases whose name has this")
    options = parser.parse_args()
    results = []
    for door in options.door or ("asgi", "wsgi"):
        uploads = {name: one for name, one in cases().items() if options.only in name}
        with tempfile.TemporaryDirectory() as folder:
            results.append(run(door, Path(folder) / "home", uploads))
        print(table(results[-1]), flush=True)
    neighbours.report(results, options.json)


if __name__ == "__main__":
    main()
