"""From the JSON of a run to Markdown: python -m benchmarks.data_plane.report [FILE]. Standard library only."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from benchmarks.data_plane import figures
from benchmarks.data_plane.claims import claims
from benchmarks.data_plane.figures import Document, Shot

REPOSITORY = Path(__file__).resolve().parents[2]
RESULTS = REPOSITORY / "benchmarks" / "results" / "data_plane.json"
PAGE = REPOSITORY / "docs" / "performance.md"
NAMES = {
    "product-sqlite": "**ML_Pipeline, SQLite**",
    "product-postgresql": "**ML_Pipeline, PostgreSQL**",
    "empty-asgi": "empty ASGI app",
    "fastapi-onnx": "FastAPI + ONNX Runtime, no log",
    "fastapi-sklearn": "FastAPI + scikit-learn, no log",
    "tutorial": "the tutorial's way",
}
# Above this share of the server's core, what was measured is the machine's other work.
DISTURBED = 0.15
INTRODUCTION = """\
# Performance

<!-- Made by docs/check.py --write from benchmarks/results/data_plane.json. -->

Every number on this page is of one run of `make bench BENCH=--publish`. Ratios hold elsewhere; absolute figures are
this machine's.

One row of the Adult data a request, as JSON; the reference random forest. The server, with all its processes and with
PostgreSQL where it is used, has one core, `wrk` with one thread another. Each server is started anew in each round; 50
of its replies are compared with scikit-learn's before anything is timed and 200 after, to 1e-5, and a single refused
request ends the run. The servers take turns, and those whose turn it is not are stopped. A figure is the median of the
rounds, a ratio the median of the rounds' ratios.

The product checks a key, validates the row, routes it, and has the prediction committed to disk before it answers; the
run ends when a round's rows in the log are fewer than its answers, or more by over one a connection and load: so many
may be under way when a load ends, and that far the comparison is not exact. Feedback is counted likewise.
"""
SERVERS = """\
The empty ASGI app, FastAPI and ML_Pipeline run on the same uvicorn with uvloop and httptools. FastAPI + ONNX Runtime
has the very model file that ML_Pipeline serves; its handler was tried in several ways, and the fastest is measured. The
tutorial's way is Django REST Framework, a DataFrame of one row, scikit-learn, and one row saved by the ORM on SQLite,
under gunicorn with one process and four threads. Bytes of a logged row are the growth of the database, indexes and all.
"+" is PostgreSQL's own time. The last two columns: how many times that server's rate ML_Pipeline's is.
"""
ALGORITHMS = """\
Each is a decision tree under an endpoint of its own, in production and loaded. "One": all requests ask one of them.
"All": each request asks the next one, so hardly two that wait are for the same algorithm.
"""
WORKERS = """\
One process has one core, two have two, and PostgreSQL runs on the same ones. Where there is no third core, `wrk` shares
the second with them.
"""


def page(document: Document) -> str:
    """The text of docs/performance.md."""
    return f"{INTRODUCTION}\n{markdown(document)}"


def markdown(document: Document) -> str:
    """The run as Markdown, without an introduction."""
    sections = [_claims(document)]
    for part, section in (
        ("servers", _servers),
        ("feedback", _feedback),
        ("workers", _workers),
        ("rows", _rows),
        ("algorithms", _algorithms),
    ):
        if part in document:
            sections.append(section(document))
    return "\n".join([*sections, _run(document)])


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _claims(document: Document) -> str:
    rows = [[one.text, one.bound, one.measured, "yes" if one.holds else "**no**"] for one in claims(document)]
    usual, _ = figures.disturbance(document)
    title = "## What must hold\n\n"
    if usual > DISTURBED:
        title += f"**Worth nothing: others had {usual:.0%} of the server's core while it was measured.**\n\n"
    return title + _table(["", "bound", "measured", "holds"], rows)


def _servers(document: Document) -> str:
    contestants = document["servers"]["contestants"]
    connections = list(contestants["empty-asgi"]["shots"])
    tables = [_connections(document, number) for number in connections]
    ways = [
        f"{NAMES[name]}: " + ", ".join(f"`{way}` {rate:,.0f}" for way, rate in rates.items())
        for name, rates in document["servers"]["ways"].items()
    ]
    tried = "Handlers tried, requests/s: " + "; ".join(ways) + ".\n"
    return "\n".join(["## Servers\n", SERVERS, *tables, _sizes(document, "servers", NAMES), tried])


def _connections(document: Document, number: str) -> str:
    rows = []
    for name, server in NAMES.items():
        shot = Shot("servers", name, number)
        own = [f"{figures.median(document, shot, 'rate'):,.0f}"]
        own += [f"{figures.median(document, shot, figure):.2f}" for figure in ("p50_ms", "p99_ms")]
        own.append(_cpu(document, shot))
        product = Shot("servers", "product-sqlite", number)
        own.append(_ratio(figures.ratio(document, product, shot)))
        own.append(_ratio(figures.ratio(document, product._replace(contestant="product-postgresql"), shot)))
        rows.append([server, *own])
    title = "1 connection" if number == "1" else f"{number} connections"
    heads = [title, "requests/s", "p50 ms", "p99 ms", "CPU µs a request", "ML_Pipeline, SQLite: ×", "PostgreSQL: ×"]
    return _table(heads, rows)


def _cpu(document: Document, shot: Shot) -> str:
    own = f"{figures.median(document, shot, 'cpu_us'):,.0f}"
    database = figures.median(document, shot, "database_cpu_us")
    return f"{own} + {database:,.0f}" if database else own


def _ratio(value: float) -> str:
    return f"{value:.0f}" if value >= 20 else f"{value:.2f}"


def _sizes(document: Document, part: str, names: dict[str, str]) -> str:
    rows = []
    for name, title in names.items():
        start, memory, row = (
            figures.once(document, part, name, figure) for figure in ("start_s", "memory_mb", "row_bytes")
        )
        rows.append([title, f"{start:.2f}", f"{memory:,.0f}", f"{row:,.0f}" if row else "–"])
    return _table(["", "start to first reply, s", "memory after the load, MB", "bytes a logged row"], rows)


def _feedback(document: Document) -> str:
    rows = []
    for name, title in (("feedback-sqlite", "SQLite"), ("feedback-postgresql", "PostgreSQL")):
        asked = Shot("feedback", name, "predictions")
        given = asked._replace(shot="feedback")
        rates = [f"{figures.median(document, shot, 'rate'):,.0f}" for shot in (asked, given)]
        late = f"{figures.median(document, given, 'p99_ms'):.2f}"
        rows.append([title, *rates, late, _cpu(document, given), _ratio(figures.ratio(document, given, asked))])
    heads = ["32 connections", "predictions/s", "feedback/s", "feedback p99 ms", "CPU µs a feedback", "ratio"]
    about = "`PUT /api/v1/mlrequests/{id}`, each of a logged request, each a new row.\n"
    return "\n".join(["## Feedback\n", about, _table(heads, rows)])


def _workers(document: Document) -> str:
    rows = []
    for number in document["workers"]["contestants"]["workers-1"]["shots"]:
        one, two = Shot("workers", "workers-1", number), Shot("workers", "workers-2", number)
        rates = [f"{figures.median(document, shot, 'rate'):,.0f}" for shot in (one, two)]
        costs = [_cpu(document, shot) for shot in (one, two)]
        quotients = [_ratio(figures.ratio(document, two, one, of)) for of in ("rate", "cpu_us", "all_cpu_us")]
        rows.append([number, *rates, *costs, *quotients])
    heads = ["connections", "one: requests/s", "two: requests/s", "one: CPU µs a request", "two: CPU µs a request"]
    heads += ["rate ×", "CPU ×", "CPU with PostgreSQL's ×"]
    return "\n".join(["## Two processes\n", WORKERS, _table(heads, rows)])


def _rows(document: Document) -> str:
    counts = document["rows"]["counts"]
    rows = list(_against_first(document, "rows", [f"rows-{count}" for count in counts], "32"))
    titled = [[f"{count:,}", *row] for count, row in zip(counts, rows, strict=True)]
    heads = ["logged rows", "requests/s", "p99 ms", "CPU µs a request", "ratio"]
    sizes = _sizes(document, "rows", {f"rows-{count}": f"{count:,}" for count in counts})
    about = "SQLite, 32 connections. The rows are copies of really logged ones, put in from outside.\n"
    return "\n".join(["## Logged rows\n", about, _table(heads, titled), sizes])


def _algorithms(document: Document) -> str:
    counts = document["algorithms"]["counts"]
    names = [f"algorithms-{count}" for count in counts]
    rows = []
    for shot in ("one", "all"):
        measured = _against_first(document, "algorithms", names, shot)
        rows += [[f"{count:,}, {shot} asked", *row] for count, row in zip(counts, measured, strict=True)]
    heads = ["live algorithms", "requests/s", "p99 ms", "CPU µs a request", "ratio"]
    sizes = _sizes(document, "algorithms", {name: name.rpartition("-")[2] for name in names})
    return "\n".join(["## Algorithms\n", ALGORITHMS, _table(heads, rows), sizes])


def _against_first(document: Document, part: str, names: Sequence[str], shot: str) -> Iterator[list[str]]:
    first = Shot(part, names[0], shot)
    for name in names:
        own = Shot(part, name, shot)
        rate, late = figures.median(document, own, "rate"), figures.median(document, own, "p99_ms")
        yield [f"{rate:,.0f}", f"{late:.2f}", _cpu(document, own), _ratio(figures.ratio(document, own, first))]


def _run(document: Document) -> str:
    run = document["run"]
    libraries = ", ".join(f"{name} {version}" for name, version in run["libraries"].items())
    kind = "A short run, which shows that it works and no more. " if run["short"] else ""
    rounds = "1 round" if run["rounds"] == 1 else f"{run['rounds']} rounds"
    lines = [
        f"{kind}{run['at']}, commit {run['commit']}; {rounds} of {run['seconds']} s each; {run['took_s']} s in all.",
        f"{run['processor']}, {run['cores']} cores{_shared(run)}; Linux {run['kernel']}; Python {run['python']}.",
        f"{libraries}.",
    ]
    if "servers" in document:
        growing, over = (figures.fdatasync_ms(document, way) for way in ("growing", "overwriting"))
        disk = f"8 kB and fdatasync: {over:.3f} ms over what is there, {growing:.3f} ms where the file grows."
        lines.append(f"PostgreSQL {document['servers']['postgresql']}. {disk}")
    usual, most = figures.disturbance(document)
    lines.append(f"What else ran on the server's core: {usual:.1%} of it in the median, {most:.1%} at most.")
    return "## The run\n\n" + "\n".join(lines) + "\n"


def _shared(run: Document) -> str:
    return ", the two being threads of one core" if run["cores_share_hardware"] else ""


if __name__ == "__main__":
    print(markdown(json.loads(Path(sys.argv[1] if len(sys.argv) > 1 else RESULTS).read_text(encoding="utf-8"))))
