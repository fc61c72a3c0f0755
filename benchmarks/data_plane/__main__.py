"""The data plane beside servers that do less, on one core, in one run.

    python -m benchmarks.data_plane [--short] [--only PART] [--json FILE] [--folder FOLDER] [--publish]

Prints Markdown, and writes JSON. --publish puts the JSON into benchmarks/results and makes docs/performance.md of it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.data_plane import machine, parts, report
from benchmarks.data_plane.errors import RunFailed
from benchmarks.data_plane.rounds import Plan
from benchmarks.data_plane.stage import Stage

KEPT = machine.REPOSITORY / ".venv" / "bench"


def main() -> int:
    """The command: 0 when everything was measured and every reply was right."""
    arguments = _arguments()
    # Ended from outside, it ends its servers too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    begun = time.perf_counter()
    try:
        machine.wrk()
        KEPT.mkdir(parents=True, exist_ok=True)
        document = _run(arguments, begun)
    except RunFailed as error:
        print(f"The benchmark failed: {error}", file=sys.stderr)
        return 1
    print(report.markdown(document))
    if arguments.publish:
        report.RESULTS.parent.mkdir(exist_ok=True)
        shutil.copy(arguments.json, report.RESULTS)
        report.PAGE.write_text(report.page(document), encoding="utf-8")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.data_plane", description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--short", action="store_true", help="one round of seconds each, smaller numbers: does it work?"
    )
    parser.add_argument("--only", choices=parts.PARTS, action="append", help="only this part; may be repeated")
    parser.add_argument("--rounds", type=int, help="default: 3, short 1")
    parser.add_argument("--seconds", type=int, help="for each measurement; default: 8, short 2")
    parser.add_argument("--json", type=Path, default=KEPT / "data_plane.json", help="written after each part")
    parser.add_argument("--folder", type=Path, default=KEPT, help="for databases: 15 GB, on a disk that matters to you")
    parser.add_argument("--publish", action="store_true", help="into benchmarks/results and docs/performance.md")
    arguments = parser.parse_args()
    if arguments.publish and (arguments.short or arguments.only):
        parser.error("what is published is one whole run: neither --short nor --only.")
    return arguments


def _run(arguments: argparse.Namespace, begun: float) -> dict[str, Any]:
    cores = machine.cores()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="run-", dir=arguments.folder) as folder:
        Path(folder).chmod(0o711)
        plan = Plan(
            rounds=arguments.rounds or (1 if arguments.short else 3),
            seconds=arguments.seconds or (2 if arguments.short else 8),
            warm_up_s=1 if arguments.short else 3,
            folder=Path(folder),
            client=cores[2:3] or cores[1:2],
            server=cores[:1],
            both=cores[:2],
            say=lambda text: print(f"{time.perf_counter() - begun:6.0f} s  {text}", file=sys.stderr, flush=True),
        )
        document: dict[str, Any] = {"run": _about(plan, short=arguments.short)}
        stage = Stage(plan, KEPT / "bundles")
        try:
            for name in arguments.only or parts.PARTS:
                plan.say(f"{name}:")
                document[name] = parts.PARTS[name](stage, arguments.short)
                document["run"]["took_s"] = round(time.perf_counter() - begun)
                arguments.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        finally:
            stage.close()
    return document


def _about(plan: Plan, *, short: bool) -> dict[str, Any]:
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "short": short,
        "rounds": plan.rounds,
        "seconds": plan.seconds,
        **machine.facts(plan.client[0], plan.server[0]),
    }


if __name__ == "__main__":
    sys.exit(main())
