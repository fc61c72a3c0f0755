"""What the data plane must hold, and whether it does in a run. Imports nothing but the standard library."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from benchmarks.data_plane import figures
from benchmarks.data_plane.figures import Document, Shot

SQLITE = Shot("servers", "product-sqlite", "32")
POSTGRESQL = Shot("servers", "product-postgresql", "32")
ONNX = Shot("servers", "fastapi-onnx", "32")


class Claim(NamedTuple):
    """A sentence, the bound as it reads, what was measured, and whether that is within the bound."""

    text: str
    bound: str
    measured: str
    holds: bool


def claims(document: Document) -> list[Claim]:
    """The claims about the parts that the run has."""
    found: list[Claim] = []
    for part, judged in (
        ("servers", _servers),
        ("feedback", _feedback),
        ("workers", _workers),
        ("rows", _rows),
        ("algorithms", _algorithms),
    ):
        if part in document:
            found += judged(document)
    return found


def _at_least(text: str, bound: float, measured: float) -> Claim:
    return Claim(text, f"≥ {bound:g}", f"{measured:.2f}", measured >= bound)


def _at_most(text: str, bound: float, measured: float) -> Claim:
    return Claim(text, f"≤ {bound:g}", f"{measured:.2f}", measured <= bound)


def _servers(document: Document) -> Iterator[Claim]:
    for shot, other, bound, text in (
        (SQLITE, ONNX, 1.8, "SQLite: rate by that of FastAPI + ONNX Runtime without a log"),
        (SQLITE, ONNX._replace(contestant="empty-asgi"), 0.15, "SQLite: rate by that of an empty ASGI app"),
        (SQLITE, ONNX._replace(contestant="tutorial"), 80, "SQLite: rate by that of the tutorial's way"),
        (POSTGRESQL, ONNX, 1.0, "PostgreSQL, on the same core: rate by that of FastAPI + ONNX Runtime without a log"),
    ):
        yield _at_least(f"{text}, 32 connections", bound, figures.ratio(document, shot, other))
    own = figures.median(document, SQLITE._replace(shot="1"), "p50_ms")
    theirs = figures.median(document, ONNX._replace(shot="1"), "p50_ms")
    bound = 2 * theirs + 1.5 * figures.fdatasync_ms(document)
    text = "SQLite, one connection: p50, bounded by 2 × that of FastAPI + ONNX Runtime + 1.5 × an fdatasync"
    yield Claim(text, f"≤ {bound:.2f} ms", f"{own:.2f} ms", own <= bound)
    for shot, name in ((SQLITE, "SQLite"), (POSTGRESQL, "PostgreSQL")):
        yield _at_most(f"{name}: p99 by p50, 32 connections", 4, figures.spread(document, shot))


def _feedback(document: Document) -> Iterator[Claim]:
    for database, name in (("sqlite", "SQLite"), ("postgresql", "PostgreSQL")):
        asked = Shot("feedback", f"feedback-{database}", "predictions")
        measured = figures.ratio(document, asked._replace(shot="feedback"), asked)
        yield _at_least(f"{name}: rate of feedback by that of predictions, 32 connections", 0.5, measured)


def _workers(document: Document) -> Iterator[Claim]:
    # One process has larger batches with all the connections than each of two that share them.
    two = Shot("workers", "workers-2", "64")
    text = "PostgreSQL: processor time a request in two processes by that in one"
    for connections, how in (("32", "32 connections a process"), ("64", "64 connections in all")):
        one = Shot("workers", "workers-1", connections)
        yield _at_most(f"{text}, {how}", 1.15, figures.ratio(document, two, one, "cpu_us"))


def _rows(document: Document) -> Iterator[Claim]:
    most = document["rows"]["counts"][-1]
    measured = figures.ratio(document, Shot("rows", f"rows-{most}", "32"), Shot("rows", "rows-0", "32"))
    yield _at_least(f"SQLite: rate with {most:,} logged rows by that with none, 32 connections", 0.9, measured)


def _algorithms(document: Document) -> Iterator[Claim]:
    most = document["algorithms"]["counts"][-1]
    many, one = Shot("algorithms", f"algorithms-{most}", "one"), Shot("algorithms", "algorithms-1", "one")
    text = f"SQLite: rate of one algorithm among {most:,} live by that of it alone, 32 connections"
    yield _at_least(text, 0.9, figures.ratio(document, many, one))
