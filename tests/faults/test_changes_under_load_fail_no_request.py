"""Promoting, registering and rolling back under load: no request fails, and whoever answered is who it says it was."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import NamedTuple

import adders
import httpx
import pytest
from homes import Home
from servers import Server

CLIENTS = 8
# A version is registered and then promoted with every so many changes.
REGISTERS_EVERY = 20
# Each asks at most so often, which is far more than there is time for.
MOST_REQUESTS = 100_000


class Standing(NamedTuple):
    """What is in production between two changes."""

    turn: int
    version: int


class Answer(NamedTuple):
    """One reply, and the version that had to answer, where no change was under way."""

    expected: int | None
    x: int
    request_id: str
    algorithm: str
    version: str
    value: float


class Crowd:
    """Clients that predict all the time, each on one connection to one of `servers`."""

    def __init__(self, servers: Sequence[Server], standing: Standing) -> None:
        self._servers = servers
        self._asked = itertools.count()
        self._is_over = False
        # None while a change is under way.
        self.standing: Standing | None = standing
        self.answers: list[Answer] = []

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Fails if any of their requests did."""
        with ThreadPoolExecutor(CLIENTS) as pool:
            working: list[Future[None]] = []
            try:
                working += [
                    pool.submit(self._predict, self._servers[one % len(self._servers)]) for one in range(CLIENTS)
                ]
                yield
            finally:
                self._is_over = True
            for one in working:
                one.result()

    def _predict(self, server: Server) -> None:
        with closing(adders.KeepAlive(server)) as connection:
            for _ in range(MOST_REQUESTS):
                if self._is_over:
                    return
                self._ask(connection)

    def answering(self) -> list[int]:
        """The version that each server answers with now, on a connection of its own."""
        versions = []
        for server in self._servers:
            with closing(adders.KeepAlive(server)) as connection:
                versions.append(int(self._ask(connection).version))
        return versions

    def _ask(self, connection: adders.KeepAlive) -> Answer:
        """One prediction, kept among the answers."""
        before, x = self.standing, next(self._asked)
        reply = connection.ask({"x": x})
        expected = before.version if before is not None and before is self.standing else None
        answer = Answer(expected, x, *(reply[name] for name in ("request_id", "algorithm", "version", "value")))
        self.answers.append(answer)
        return answer


class Operator:
    """Changes what is in production, by the servers in turn."""

    def __init__(self, clients: Sequence[httpx.Client], servers: Sequence[Server], query: dict[str, str]) -> None:
        self._clients, self._servers, self._query = clients, servers, query
        self._serving = f"{len(servers)}/{len(servers)}" if query else None
        # Version to id, and what a rollback goes back through.
        self._known = {1: 1, 2: 2}
        self._past = [1]
        self._draw = random.Random(f"{len(servers)} servers")

    @property
    def standing(self) -> int:
        """The version in production."""
        return self._past[-1]

    def change(self, turn: int) -> None:
        """A rollback, or a promotion: of a version just registered, or of another one that is known."""
        server = turn % len(self._servers)
        client = self._clients[server]
        if turn % REGISTERS_EVERY == REGISTERS_EVERY - 1 and len(self._known) < adders.MOST_VERSIONS:
            version = len(self._known) + 1
            self._known[version] = adders.register(self._servers[server], version)
            self._promote(client, version)
        elif len(self._past) > 1 and self._draw.random() < 0.35:
            self._past.pop()
            address = f"/api/v1/endpoints/{adders.ENDPOINT}/rollback"
            self._check(client.post(address, json={"reason": "in turn"}, params=self._query))
        else:
            self._promote(client, self._draw.choice([one for one in self._known if one != self.standing]))

    def _promote(self, client: httpx.Client, version: int) -> None:
        self._past.append(version)
        self._check(adders.promote(client, self._known[version], **self._query))

    def _check(self, reply: httpx.Response) -> None:
        assert reply.status_code == 201, reply.text
        assert reply.json()["parent_mlalgorithm"] == self._known[self.standing]
        assert reply.headers.get("Serving") == self._serving


def check(home: Home, answers: Sequence[Answer]) -> None:
    """Fails unless each answer and each logged row names the version whose answer it is, and all of them are logged."""
    truly = {answer.request_id.replace("-", ""): adders.told_apart(answer.value) for answer in answers}
    misnamed = [
        answer
        for answer in answers
        if adders.told_apart(answer.value) != (int(answer.version), answer.x)
        or answer.algorithm != f"plus-{answer.version}"
    ]
    assert not misnamed, f"{len(misnamed)} of {len(answers)}: {misnamed[:3]}"
    late = [answer for answer in answers if answer.expected not in (None, int(answer.version))]
    assert not late, f"{len(late)} of {len(answers)} by another than was in production: {late[:3]}"
    rows = adders.logged(home)
    assert {row.id for row in rows} == set(truly)
    assert len(rows) == len(answers)
    for row in rows:
        version, x = truly[row.id]
        told = json.loads(row.full_response)
        assert (row.algorithm, row.version) == (f"plus-{version}", str(version))
        assert (told["algorithm"], told["version"], told["value"]) == (row.algorithm, row.version, float(row.response))
        assert json.loads(row.input_data) == {"x": x}


def go_through(home: Home, servers: Sequence[Server], changes: int, **query: str) -> None:
    """Makes so many changes under load, and after each asks every server who answers now."""
    crowd = Crowd(servers, Standing(0, 1))
    clients = [server.client("manage") for server in servers]
    operator = Operator(clients, servers, query)
    try:
        # A process behind gunicorn is there, to be waited for, with its first request.
        assert crowd.answering() == [1] * len(servers)
        with crowd.at_work():
            for turn in range(1, changes + 1):
                crowd.standing = None
                operator.change(turn)
                crowd.standing = Standing(turn, operator.standing)
                assert crowd.answering() == [operator.standing] * len(servers)
    finally:
        for client in clients:
            client.close()
    assert len({answer.expected for answer in crowd.answers} - {None}) > 2
    assert len(crowd.answers) > CLIENTS * changes
    check(home, crowd.answers)


@pytest.mark.parametrize(("door", "changes"), [("asgi", 200), ("wsgi", 60)])
def test_changes_are_served_from_their_reply_on(
    home: Home, start: Callable[..., Server], door: str, changes: int
) -> None:
    go_through(home, [start(door)], changes)


def test_two_servers_on_postgresql_follow_what_was_waited_for(
    postgres_home: Home, start: Callable[..., Server]
) -> None:
    servers = [start("asgi", at=postgres_home), start("wsgi", at=postgres_home)]
    go_through(postgres_home, servers, 40, wait="10")
