"""Rounds: contestants started and checked, the shots taken in turns, all checked again and stopped."""

from __future__ import annotations

import contextlib
import functools
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.data_plane import machine, wrk
from benchmarks.data_plane.asks import Ask
from benchmarks.data_plane.audits import Count, settled
from benchmarks.data_plane.contestants import Contestant, Running

CHECKED_BEFORE, CHECKED_AFTER = 50, 200
WARM_UP_CONNECTIONS = 32
# After a pause, until what polls has polled.
SETTLE_S = 0.3


@dataclass(frozen=True)
class Plan:
    """How long and how often; `client` are wrk's cores, `server` those of one process, `both` those of two."""

    rounds: int
    seconds: int
    warm_up_s: int
    folder: Path
    client: tuple[int, ...]
    server: tuple[int, ...]
    both: tuple[int, ...]
    say: Callable[[str], None]


def _questions(running: Running) -> Sequence[Ask]:
    return running.contestant.questions


@dataclass(frozen=True)
class Shot:
    """One run of wrk: what is asked, over how many connections, with the key of which scope."""

    name: str
    connections: int
    asks: Callable[[Running], Sequence[Ask]] = _questions
    scope: str = "predict"


def predictions(connections: Iterable[int]) -> list[Shot]:
    """A shot of predictions for each number of connections."""
    return [Shot(str(number), number) for number in connections]


def play(plan: Plan, contestants: Sequence[Contestant], shots: Sequence[Shot]) -> dict[str, Any]:
    """Contestant to what was measured of it, a list entry a round."""
    found: dict[str, Any] = {
        one.name: {"start_s": [], "memory_mb": [], "row_bytes": [], "shots": {shot.name: [] for shot in shots}}
        for one in contestants
    }
    for number in range(plan.rounds):
        plan.say(f"round {number + 1} of {plan.rounds}")
        # Another one is the first each time.
        order = [*contestants[number % len(contestants) :], *contestants[: number % len(contestants)]]
        _round(plan, order, shots, found)
    for one in contestants:
        # Whoever is measured next does not have it beside it.
        if one.cluster:
            one.cluster.process.pause()
    return found


def _round(plan: Plan, contestants: Sequence[Contestant], shots: Sequence[Shot], found: dict[str, Any]) -> None:
    with contextlib.ExitStack() as stack:
        running = [_started(plan, one, stack, found[one.name]) for one in contestants]
        scopes = {shot.scope for shot in shots}
        books = [_booked(one, scopes) for one in running]
        for shot in shots:
            for one, book in zip(running, books, strict=True):
                figures = _taken(plan, one, shot)
                found[one.contestant.name]["shots"][shot.name].append(figures)
                book.counts[shot.scope].add(int(figures["requests"]), shot.connections)
        for one, book in zip(running, books, strict=True):
            own = found[one.contestant.name]
            own["memory_mb"].append(one.process.tree.memory_bytes() / 1e6)
            one.resume()
            _audit(one, book, own)
            one.check(_sampled(one.contestant.questions, CHECKED_AFTER))
            one.stop()


def _started(plan: Plan, contestant: Contestant, stack: contextlib.ExitStack, found: dict[str, Any]) -> Running:
    if contestant.cluster:
        contestant.cluster.process.resume()
    running = Running(contestant, plan.folder)
    stack.callback(running.stop)
    found["start_s"].append(running.start_s)
    running.check(_sampled(contestant.questions, CHECKED_BEFORE))
    file = wrk.write(contestant.questions, plan.folder / "warm-up.tsv")
    load = {"connections": WARM_UP_CONNECTIONS, "seconds": plan.warm_up_s, "cores": plan.client}
    wrk.run(running.url, running.headers(), file, **load)
    running.pause()
    return running


def _sampled(questions: Sequence[Ask], count: int) -> Sequence[Ask]:
    return random.Random(count).sample(questions, min(count, len(questions)))  # noqa: S311  (the same each time)


@dataclass(frozen=True)
class Book:
    """What a server's database held when the shots began, and what it was asked since; both by scope."""

    rows: Mapping[str, int]
    asked: Mapping[str, int]
    size_bytes: int
    counts: Mapping[str, Count]


def _booked(running: Running, scopes: Iterable[str]) -> Book:
    ledger, counts = running.contestant.ledger, {scope: Count() for scope in scopes}
    if ledger is None:
        return Book({}, {}, 0, counts)
    running.resume()
    # What the warm-up left under way is not part of it.
    rows = {scope: settled(functools.partial(ledger.rows, scope)) for scope in scopes}
    book = Book(rows, dict(running.asked), ledger.size_bytes(), counts)
    running.pause()
    return book


def _taken(plan: Plan, running: Running, shot: Shot) -> dict[str, float]:
    running.resume()
    time.sleep(SETTLE_S)
    file = wrk.write(shot.asks(running), plan.folder / "shot.tsv")
    cores = running.contestant.cores
    before, busy, begun = running.cpu_s(), machine.busy_s(cores), time.perf_counter()
    figures = wrk.run(
        running.url,
        running.headers(shot.scope),
        file,
        connections=shot.connections,
        seconds=plan.seconds,
        cores=plan.client,
    )
    own, database = (now - then for now, then in zip(running.cpu_s(), before, strict=True))
    others = machine.busy_s(cores) - busy - own - database
    share = max(0.0, others / len(cores) / (time.perf_counter() - begun))
    running.pause()
    plan.say(f"{running.contestant.name}, {shot.name}: {figures.rate:,.0f} requests/s, p99 {figures.p99_ms:.1f} ms")
    return {
        "requests": figures.requests,
        "rate": figures.rate,
        "p50_ms": figures.p50_ms,
        "p99_ms": figures.p99_ms,
        "cpu_us": own / figures.requests * 1e6,
        "database_cpu_us": database / figures.requests * 1e6,
        "others": share,
    }


def _audit(running: Running, book: Book, found: dict[str, Any]) -> None:
    ledger = running.contestant.ledger
    if ledger is None:
        return
    for scope, count in book.counts.items():
        # What a shot asked and checked by itself.
        count.add(running.asked[scope] - book.asked.get(scope, 0))
        count.check(ledger.rows(scope) - book.rows[scope], f"{running.contestant.name}, {scope}:")
    logged = ledger.rows("predict") - book.rows["predict"]
    found["row_bytes"].append((ledger.size_bytes() - book.size_bytes) / logged)
