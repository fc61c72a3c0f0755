"""What it takes to fold the log into totals of hours, and to read 90 days of them.

    python benchmarks/folding.py [--rows 1000000] [--commit 500] [--labelled 0.3] [--home FOLDER] [--json]

Logs so many Adult requests of three algorithms over a day on SQLite, `--commit` rows a commit, with feedback on a share
of them; folds all of it in this very process as a worker does; then gives every hour and day of 90 the fullest totals
that came of it and reads them merged, as metrics are. Prints seconds of the clock and of the processor, and the peak of
memory; the log is made by another process. `--home` keeps what takes a minute to make.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import turns
from turns import Home

SEED = 7
DAYS = 90
BEGUN = datetime(2026, 5, 1, tzinfo=UTC)
READINGS = 20


def main() -> None:
    """Makes the home, logs, folds, reads, prints."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--commit", type=int, default=500, metavar="ROWS")
    parser.add_argument("--labelled", type=float, default=0.3, metavar="SHARE")
    parser.add_argument("--home", type=Path)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--inside", choices=("log", "fold"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        inside(options)
        return
    with home_of(options.home) as home:
        given = ("--rows", str(options.rows), "--commit", str(options.commit), "--labelled", str(options.labelled))
        home.run(sys.executable, __file__, *given, "--inside", "log")
        found = json.loads(home.run(sys.executable, __file__, *given, "--inside", "fold").stdout)
    print(json.dumps(found) if options.json else told(found))


@contextmanager
def home_of(known: Path | None) -> Iterator[Home]:
    """A copy, for the block, of the home that is in `known`, or of a new one; it has three algorithms."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        made = Home(known or Path(folder) / "home")
        if not made.is_complete:
            made.prepare(turns.trained(Path(folder)))
        yield made.copy(Path(folder) / "copy")


def told(found: dict[str, Any]) -> str:
    """In words."""
    return (
        f"{found['rows']:,} requests in {found['commits']:,} commits, {found['labelled']:,} with feedback: folded in "
        f"{found['seconds']:.1f} s ({found['cpu_s']:.1f} s of the processor, {found['rows'] / found['seconds']:,.0f} a "
        f"second), of which {found['held_s']:.1f} s in {found['transactions']:,} transactions, the longest "
        f"{found['longest_ms']:.1f} ms; {found['memory_mb']:.0f} MB at most, {found['before_mb']:.0f} MB before. "
        f"{found['windows']:,} windows of {found['window_kb']:.1f} kB, at most {found['largest_kb']:.1f} kB. "
        f"{DAYS} days of {found['algorithms']} algorithms: {found['reading_ms']:.0f} ms "
        f"({found['reading_cpu_ms']:.0f} ms of the processor)."
    )


def inside(options: argparse.Namespace) -> None:
    """One of the two parts, in the home."""
    import django

    django.setup()
    if options.inside == "log":
        log(options.rows, options.commit, options.labelled)
    else:
        print(json.dumps(folded() | read()))


def log(rows: int, a_commit: int, share: float) -> None:
    """The log has the rows, and feedback on that share of them."""
    from django.db import connection, transaction
    from people import as_rows, held_out_people

    from ml_pipeline.apps.endpoints.models import MLAlgorithm
    from ml_pipeline.apps.predictions import journal, writers
    from ml_pipeline.apps.predictions.writers import Batch

    draw = random.Random(SEED)  # noqa: S311
    inputs = [json.dumps(row, separators=(",", ":")) for row in as_rows(held_out_people())]
    algorithms = list(MLAlgorithm.objects.order_by("pk").values_list("pk", "name", "version", "signature"))
    writer, head, writing = UUID(int=draw.getrandbits(128)), journal.GENESIS, writers.of(connection)
    step = timedelta(days=1) / rows
    told: list[tuple[str, str]] = []
    for seq, begin in enumerate(range(0, rows, a_commit), start=1):
        moments = [BEGUN + at * step for at in range(begin, min(begin + a_commit, rows))]
        entries = [entry(draw, algorithms, moment, inputs) for moment in moments]
        head = journal.chained(head, entries)
        if (begin // a_commit * a_commit) % 10_000 < a_commit:
            transaction.set_autocommit(False)
        writing.add(connection, Batch(writer, seq, len(entries), head, journal.stamp(moments[-1])), entries)
        if begin + a_commit >= rows or (begin + a_commit) % 10_000 < a_commit:
            transaction.commit()
        told += [(one.id, draw.choice(algorithms[0][3]["labels"])) for one in entries if draw.random() < share]
    with connection.cursor() as cursor:
        values = [(request_id, json.dumps(label), "tests", journal.now()) for request_id, label in told]
        insert = "INSERT INTO endpoints_feedback (request_id, value, actor, created_at) VALUES (%s, %s, %s, %s)"
        cursor.executemany(insert, values)
    transaction.commit()


def entry(draw: random.Random, algorithms: list[Any], moment: datetime, inputs: list[str]) -> Any:
    """One prediction as it is logged."""
    from ml_pipeline.apps.predictions import journal
    from ml_pipeline.apps.predictions.writers import Entry

    pk, name, version, signature = draw.choice(algorithms)
    made_ms = int(moment.timestamp() * 1_000)
    request_id = f"{made_ms:012x}7{draw.getrandbits(12):03x}8{draw.getrandbits(60):015x}"
    probability = round(draw.betavariate(0.5, 1.5), 9)
    label = signature["labels"][probability > 0.5]
    reply = {"request_id": str(UUID(request_id)), "status": "OK", "label": label, "probability": probability}
    reply |= {"algorithm": name, "version": version, "endpoint": "income_classifier"}
    latency_us = round(draw.lognormvariate(7, 0.6))
    text = json.dumps(reply, separators=(",", ":"))
    kept = (draw.choice(inputs), text, label, probability, latency_us, None, None, journal.stamp(moment))
    return Entry(request_id, pk, "ok", 1, *kept)


def folded() -> dict[str, Any]:
    """What it took to fold all that the log has."""
    from django.db.models import Count, Sum

    from ml_pipeline.apps.jobs import jobs, leases
    from ml_pipeline.apps.monitoring import folding
    from ml_pipeline.apps.monitoring.apps import FOLDING
    from ml_pipeline.apps.monitoring.models import Window
    from ml_pipeline.apps.predictions.models import JournalBatch

    jobs.stand([FOLDING])
    lease = leases.claim([FOLDING], "benchmark", lease_s=3_600)
    if lease is None:
        raise RuntimeError("there is nothing to fold")
    took: list[float] = []
    folding.rests.give_way = took.append
    before_mb = peak_mb()
    begun, cpu = time.monotonic(), time.process_time()
    while folding.work(lease) == 0.0:
        pass
    counted = Window.objects.filter(hours=1).aggregate(rows=Sum("requests"), labelled=Sum("labelled"), all=Count("pk"))
    sizes = [sum(map(len, row)) for row in Window.objects.values_list("traffic", "performance", "features", "slices")]
    return {
        "seconds": time.monotonic() - begun + sum(took),
        "cpu_s": time.process_time() - cpu,
        "rows": counted["rows"],
        "labelled": counted["labelled"],
        "commits": JournalBatch.objects.count(),
        "transactions": len(took),
        "held_s": sum(took),
        "longest_ms": max(took) * 1e3,
        "memory_mb": peak_mb(),
        "before_mb": before_mb,
        "windows": len(sizes),
        "window_kb": statistics.fmean(sizes) / 1e3,
        "largest_kb": max(sizes) / 1e3,
    }


def read() -> dict[str, Any]:
    """What it takes to read 90 days in which every window is as full as the fullest."""
    from django.db.models.functions import Length

    from ml_pipeline.apps.monitoring import readings, sql
    from ml_pipeline.apps.monitoring.models import Window
    from ml_pipeline.apps.monitoring.readings import Range
    from ml_pipeline.apps.monitoring.totals import PARTS, WHOLE

    copies, end = [], sql.hour_at(BEGUN)
    stored = set(Window.objects.values_list("parent_mlalgorithm", "hours", "begins_at"))
    for pk, hours in {one[:2] for one in stored}:
        of_this = Window.objects.filter(parent_mlalgorithm=pk, hours=hours)
        fullest = of_this.annotate(size=Length("performance")).order_by("-size").values(*WHOLE, *PARTS)[0]
        for hour in range((end - (DAYS + 8) * 24) // hours * hours, end, hours):
            if (pk, hours, sql.begins_at(hour)) not in stored:
                copies.append(Window(parent_mlalgorithm_id=pk, hours=hours, begins_at=sql.begins_at(hour), **fullest))
    Window.objects.bulk_create(copies, batch_size=200)
    ids = {one.parent_mlalgorithm_id for one in copies}
    # Neither end is at midnight.
    until = BEGUN - timedelta(hours=11.5)
    took, cpu = [], time.process_time()
    for _ in range(READINGS):
        begun = time.perf_counter()
        found = readings.merged(ids, Range.of(until - timedelta(days=DAYS), until))
        figures = [one.outcomes.metrics() for one in found.values() if one.outcomes is not None]
        took.append((time.perf_counter() - begun) * 1e3)
        if len(figures) != len(ids):
            raise RuntimeError("something is missing")
    cpu_ms = (time.process_time() - cpu) / READINGS * 1e3
    return {"reading_ms": statistics.median(took), "reading_cpu_ms": cpu_ms, "algorithms": len(ids)}


def peak_mb() -> float:
    """The most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ml_pipeline.server.settings")
    main()
