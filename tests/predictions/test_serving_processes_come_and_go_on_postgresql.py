"""Serving processes on PostgreSQL: waited for while they are live, each known by a row of its own, until they end."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psycopg
from homes import Home
from people import PERSON
from servers import Server, wait_until

OPEN = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'"


def move(server: Server, status: str, **query: Any) -> httpx.Response:
    with server.client("manage") as client:
        body = {"parent_mlalgorithm": 1, "status": status}
        return client.post("/api/v1/mlalgorithmstatuses", json=body, params=query)


def told(reply: httpx.Response) -> tuple[int, str | None]:
    return reply.status_code, reply.headers.get("Serving")


def answers(server: Server) -> bool:
    return server.predict(PERSON).status_code == 200


def test_no_transaction_is_open_while_a_killed_process_is_waited_for_and_a_stop_leaves_no_row(
    tmp_path: Path, postgres_url: str, bundles: Path, start: Callable[..., Server]
) -> None:
    home = Home(tmp_path / "home", postgres_url).make()
    home.register(bundles / "decision_tree", version="1")
    pair = start("asgi", at=home), start("wsgi", at=home)
    # A process behind gunicorn is there with its first request.
    assert [answers(one) for one in pair] == [False] * 2
    for turn in range(11):
        status = ("production", "staging")[turn % 2]
        assert told(move(pair[turn % 2], status, wait="10")) == (201, "2/2")
        assert [answers(one) for one in pair] == [status == "production"] * 2
    with psycopg.connect(postgres_url, autocommit=True) as database, ThreadPoolExecutor() as pool:
        pair[1].kill()
        waiting_for_it = pool.submit(move, pair[0], "staging", wait="30")
        wait_until(lambda: not answers(pair[0]))
        assert database.execute(OPEN).fetchone() == (0,)
        assert not waiting_for_it.done()
        assert told(waiting_for_it.result()) == (201, "1/1")
        pair[0].stop()
        # That of the killed one, dead, until somebody removes it.
        assert database.execute("SELECT count(*) FROM events_servingprocess").fetchone() == (1,)


def test_a_fork_has_a_row_of_its_own_and_takes_only_that_with_it(tmp_path: Path, postgres_url: str) -> None:
    # Not on SQLite, whose locks in a fork are those that the parent's threads held just then.
    told = (
        Home(tmp_path / "postgresql", postgres_url)
        .make()
        .python(
            """
import os, sys
import ml_pipeline.server.wsgi
from django.db import connection
from ml_pipeline.apps.events.models import ServingProcess
from ml_pipeline.apps.predictions import assembly
service = assembly.exchange().service
service.start()
connection.close()
read, write = os.pipe()
child = os.fork()
if not child:
    before = service.is_started
    service.start()
    pids = set(ServingProcess.objects.values_list("pid", flat=True))
    os.write(write, f"{before} {pids == {os.getpid(), os.getppid()}} ".encode())
    sys.exit()
os.waitpid(child, 0)
left = list(ServingProcess.objects.values_list("pid", flat=True))
print(os.read(read, 100).decode() + str(left == [os.getpid()]))
"""
        )
    )
    assert told.split() == ["False", "True", "True"]
    with psycopg.connect(postgres_url) as database:
        assert database.execute("SELECT count(*) FROM events_servingprocess").fetchone() == (0,)
