"""`kill -9` of a server under load at random moments: what was answered before is in the log, once, as it was told."""

from __future__ import annotations

import itertools
import json
import random
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPException
from typing import Any

import adders
import log_chains
from homes import Home
from servers import Server

KILLS = 15
CLIENTS = 8
# Rows of a request; None for one that is not in a list.
SIZES = (None, None, None, 1, 2, 5)
# The server is killed when this many requests at most are answered.
MOST_ANSWERED = 300


class Load:
    """Clients of one server, one of which kills it in the end. `asked` gives numbers that nobody else asks about."""

    def __init__(self, server: Server, asked: Iterator[int], draw: random.Random) -> None:
        self._server, self._asked = server, asked
        self._last = draw.randrange(1, MOST_ANSWERED)
        # Right after a reply was read there is nothing of that client under way; so it also sends another before.
        self._sends_another = draw.random() < 0.5
        self._seeds = [draw.random() for _ in range(CLIENTS)]
        self._killing = threading.Lock()
        self._is_killed = False
        self.answered: list[bytes] = []

    def run(self) -> list[bytes]:
        """The bodies of all replies with status 200, the server killed."""
        with ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(self._ask, self._seeds))
        assert self._is_killed
        return self.answered

    def _ask(self, seed: float) -> None:
        draw = random.Random(seed)
        try:
            with closing(adders.KeepAlive(self._server)) as connection:
                while not self._is_killed:
                    # Before it is sent: whatever else is answered meanwhile counts for the next.
                    is_last = self._sends_another and len(self.answered) >= self._last
                    connection.send(self._rows(draw.choice(SIZES)))
                    if is_last:
                        self._kill()
                    self.answered.append(connection.receive())
                    if not self._sends_another and len(self.answered) >= self._last:
                        self._kill()
        except (OSError, HTTPException):
            if not self._is_killed:
                raise

    def _rows(self, size: int | None) -> Any:
        rows = [{"x": next(self._asked)} for _ in range(size or 1)]
        return rows[0] if size is None else rows

    def _kill(self) -> None:
        with self._killing:
            if not self._is_killed:
                self._is_killed = True
                self._server.kill()


def check(home: Home, answered: list[bytes], asked: int) -> None:
    """Fails unless the log has what was answered, and nothing that was not asked, or twice."""
    rows = adders.logged(home)
    texts = {row.id: row.full_response for row in rows}
    assert len(texts) == len(rows)
    lost = [body for body in answered if body != _as_logged(body, texts)]
    assert not lost, f"{len(lost)} of {len(answered)} answers are not in the log: {lost[:3]}"
    numbers = Counter(json.loads(row.input_data)["x"] for row in rows)
    twice = [number for number, times in numbers.items() if times > 1]
    assert not twice, f"logged more than once: {twice[:3]}"
    assert not numbers or 0 <= min(numbers) <= max(numbers) < asked
    for row in rows:
        assert adders.told_apart(json.loads(row.full_response)["value"]) == (1, json.loads(row.input_data)["x"])


def _as_logged(body: bytes, texts: dict[str, str]) -> bytes:
    reply = json.loads(body)
    rows = reply if isinstance(reply, list) else [reply]
    found = ",".join(texts.get(row["request_id"].replace("-", ""), "absent") for row in rows)
    return (f"[{found}]" if isinstance(reply, list) else found).encode()


def survive(home: Home, door: str, seed: str) -> None:
    """Kills a server behind `door` KILLS times; after each start, and in the end, the log is checked."""
    draw = random.Random(seed)
    answered: list[bytes] = []
    asked = itertools.count()
    for _ in range(KILLS):
        server = Server(door, home, {}).start()
        try:
            check(home, answered, next(asked))
            answered += Load(server, asked, draw).run()
        finally:
            server.stop()
    check(home, answered, next(asked))
    server = Server(door, home, {}).start()
    try:
        check(home, answered, next(asked))
    finally:
        server.stop()
    chains = log_chains.checked(home)
    assert sum(batch.rows for batch in chains) == len(adders.logged(home)) >= len(answered) >= KILLS
    assert all(batch.holds for batch in chains)
    # Each process that wrote is a writer of its own.
    assert len({batch.writer for batch in chains}) == KILLS
