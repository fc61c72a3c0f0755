"""`?wait=SECONDS`: a change is answered when every live process serves it, by servers that share one database."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from homes import ENDPOINT, Home
from people import PERSON
from servers import Server, wait_until
from strange_models import SlowToLoad, write_strange_bundle

from ml_pipeline.apps.endpoints.api import waiting
from ml_pipeline.apps.events import processes

STATUSES = "/api/v1/mlalgorithmstatuses"


def ids(server: Server) -> dict[str, int]:
    """Name to id of all algorithms."""
    with server.client("read") as client:
        return {one["name"]: one["id"] for one in client.get("/api/v1/mlalgorithms").json()}


def promote(server: Server, algorithm: int, **query: Any) -> httpx.Response:
    body = {"parent_mlalgorithm": algorithm, "status": "production"}
    with server.client("manage") as client:
        return client.post(STATUSES, json=body, params=query)


def told(reply: httpx.Response) -> tuple[int, str | None]:
    return reply.status_code, reply.headers.get("Serving")


def rows(home: Home) -> list[tuple[int, int]]:
    """Pid and revision of every process that is known, oldest first."""
    with closing(sqlite3.connect(home.folder / "db.sqlite3")) as database:
        return list(database.execute("SELECT pid, revision FROM events_servingprocess ORDER BY seen_at"))


def answering(server: Server) -> str:
    return str(server.predict(PERSON).json()["algorithm"])


@pytest.fixture
def pair(start: Callable[..., Server]) -> tuple[Server, Server]:
    """An ASGI and a WSGI server on one home, both of which have answered."""
    both = start("asgi"), start("wsgi")
    assert [answering(one) for one in both] == ["random_forest"] * 2
    return both


@pytest.fixture
def slow(home: Home, tmp_path: Path) -> Iterator[Path]:
    """Where to put a file so that the algorithm `strange`, which is registered, is loaded."""
    gate = tmp_path / "gate"
    gate.touch()
    bundle = write_strange_bundle(tmp_path / "slow", SlowToLoad(str(gate)))
    home.manage("register", str(bundle), "--endpoint", ENDPOINT, "--version", "1")
    gate.unlink()
    yield gate
    gate.touch()


def test_twenty_promotions_in_a_row_are_served_by_both_at_once_and_a_stop_leaves_no_row(
    home: Home, pair: tuple[Server, Server]
) -> None:
    known = ids(pair[0])
    for turn in range(20):
        name = ("extra_trees", "decision_tree", "random_forest")[turn % 3]
        assert told(promote(pair[turn % 2], known[name], wait="10")) == (201, "2/2")
        assert [answering(one) for one in pair] == [name] * 2
    assert len({pid for pid, _ in rows(home)}) == 2
    for left, server in enumerate(pair):
        assert server.stop() in (0, -15)
        assert len(rows(home)) == 1 - left


def test_a_process_that_cannot_load_it_is_counted_and_the_way_back_is_served(
    home: Home, start: Callable[..., Server]
) -> None:
    # Another machine on the same database, where the bundle was altered.
    home.copy(home.folder.parent / "other")
    other = Home(home.folder.parent / "other", f"sqlite:///{home.folder / 'db.sqlite3'}")
    code = "from ml_pipeline.apps.endpoints.models import MLAlgorithm as A; print(A.objects.get(name='extra_trees')"
    digest = home.python(f"import django; django.setup(); {code}.artifact_digest)").strip()
    bundle = other.folder / "artifacts" / "bundles" / f"{digest}.zip"
    bundle.write_bytes(bundle.read_bytes()[:-1])
    good, bad = start("asgi"), start("wsgi", at=other)
    assert [answering(good), answering(bad)] == ["random_forest"] * 2

    reply = promote(good, ids(good)["extra_trees"], wait="3")
    assert told(reply) == (202, "1/2")
    assert (reply.json()["status"], reply.json()["active"]) == ("production", True)
    assert [answering(good), answering(bad)] == ["extra_trees", "random_forest"]
    with bad.client("manage") as client:
        reply = client.post(f"/api/v1/endpoints/{ENDPOINT}/rollback", params={"wait": "10"})
    assert told(reply) == (201, "2/2")
    assert [answering(good), answering(bad)] == ["random_forest"] * 2


def test_a_killed_process_is_waited_for_until_it_is_dead_and_meanwhile_nobody_is_held_up(
    home: Home, pair: tuple[Server, Server]
) -> None:
    server, known = pair[0], ids(pair[0])
    pair[1].kill()
    killed_at = time.monotonic()
    # It has just been seen; whether this one has said by now that it follows is a matter of moments.
    assert told(promote(server, known["extra_trees"], wait="0")) in {(202, "0/2"), (202, "1/2")}
    with ThreadPoolExecutor() as pool:
        waiting_for_it = pool.submit(promote, server, known["decision_tree"], wait="30")
        wait_until(lambda: answering(server) == "decision_tree")
        # No transaction is open, and no thread of the predictions is taken.
        assert told(promote(server, known["random_forest"])) == (201, None)
        assert answering(server) == "random_forest"
        assert not waiting_for_it.done()
        assert told(waiting_for_it.result()) == (201, "1/1")
    assert time.monotonic() - killed_at < processes.LIVE_S + 2
    assert told(promote(server, known["extra_trees"], wait="10")) == (201, "1/1")


def test_while_it_is_being_loaded_the_time_runs_out_and_asking_again_waits_on(
    start: Callable[..., Server], slow: Path
) -> None:
    server = start("wsgi")
    strange = ids(server)["strange"]
    begun = time.monotonic()
    assert told(promote(server, strange, wait="0.5")) == (202, "0/1")
    # Not longer than it was asked to: without `wait` a load is waited for by ten seconds.
    assert time.monotonic() - begun < 5
    with ThreadPoolExecutor() as pool:
        again = pool.submit(promote, server, strange, wait="30")
        slow.touch()
        assert told(again.result()) == (200, "1/1")
    with server.client("predict") as client:
        reply = client.post(f"/api/v1/{ENDPOINT}/predict", json={"order": "fine"})
    assert reply.json()["algorithm"] == "strange"


def test_more_than_a_few_that_wait_are_refused_before_anything_is_changed(
    start: Callable[..., Server], slow: Path
) -> None:
    server = start("asgi")
    known = ids(server)
    assert told(promote(server, known["strange"], wait="0")) == (202, "0/1")

    def persist() -> httpx.Response:
        # A look below may have taken the place.
        while (reply := promote(server, known["strange"], wait="30")).status_code == 503:
            pass
        return reply

    with ThreadPoolExecutor() as pool:
        pending = [pool.submit(persist) for _ in range(waiting.MAX_AT_ONCE)]
        wait_until(lambda: promote(server, known["strange"], wait="0").status_code == 503)
        refused = promote(server, known["extra_trees"], wait="1")
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "overloaded")
        assert int(refused.headers["Retry-After"]) >= 1
        assert answering(server) == "random_forest"
        slow.touch()
        assert {told(one.result()) for one in pending} == {(200, "1/1")}
    assert promote(server, known["extra_trees"], wait="10").status_code == 201


def test_every_change_that_predictions_see_takes_it_and_the_reply_is_the_usual_one(
    start: Callable[..., Server],
) -> None:
    server = start("asgi")
    known = ids(server)
    alias = f"/api/v1/endpoints/{ENDPOINT}/aliases/candidate"
    changes: list[tuple[str, str, Any, int]] = [
        ("POST", "/api/v1/endpoints", {"name": "wine"}, 201),
        ("DELETE", "/api/v1/endpoints/wine", None, 204),
        ("PUT", alias, {"parent_mlalgorithm": known["extra_trees"]}, 201),
        ("PUT", alias, {"parent_mlalgorithm": known["extra_trees"]}, 200),
        ("DELETE", alias, None, 204),
        ("POST", f"/api/v1/mlalgorithms/{known['extra_trees']}/archive", {}, 201),
        ("POST", STATUSES, {"parent_mlalgorithm": known["decision_tree"], "status": "production"}, 201),
        ("POST", f"/api/v1/endpoints/{ENDPOINT}/rollback", {"reason": "worse"}, 201),
    ]
    with server.client("manage") as client:
        for method, path, body, status in changes:
            reply = client.request(method, path, json=body, params={"wait": "10"})
            assert told(reply) == (status, "1/1"), (method, path)
            assert bool(reply.content) == (status != 204)


@pytest.mark.parametrize("seconds", ["-1", "60.5", "61", "nan", "inf", "", "1e1", "soon", " 1", "٣"])
def test_what_is_no_number_of_seconds_is_refused_by_name_and_nothing_is_changed(door: Server, seconds: str) -> None:
    with door.client("admin") as client:
        reply = client.post("/api/v1/endpoints", json={"name": "shop"}, params={"wait": seconds})
        error = reply.json()["error"]
        assert (reply.status_code, error["code"], error["details"][0]["field"]) == (422, "invalid_input", "wait")
        assert client.get("/api/v1/endpoints/shop").status_code == 404


def test_what_knows_no_waiting_refuses_it_and_who_waits_may_not_mistype(door: Server) -> None:
    with door.client("admin") as client:
        asked = [
            client.get("/api/v1/endpoints", params={"wait": "1"}),
            client.patch("/api/v1/teams/default", json={"description": "ours"}, params={"wait": "1"}),
            client.post("/api/v1/endpoints", json={"name": "shop"}, params={"wiat": "1"}),
        ]
        assert [(one.status_code, one.json()["error"]["code"]) for one in asked] == [(400, "unknown_parameter")] * 3
        assert asked[2].json()["error"]["details"]["known"] == ["wait"]


def test_where_a_process_cannot_be_reported_changes_are_followed_all_the_same(
    home: Home, pair: tuple[Server, Server]
) -> None:
    known = ids(pair[0])
    with closing(sqlite3.connect(home.folder / "db.sqlite3", isolation_level=None)) as database:
        database.execute("ALTER TABLE events_servingprocess RENAME TO elsewhere")
        # It is committed, so it must not be answered with an error.
        assert told(promote(pair[0], known["extra_trees"], wait="1")) == (202, None)
        wait_until(lambda: answering(pair[1]) == "extra_trees")
        complaint = "cannot say which revision it serves"
        wait_until(lambda: all(complaint in one.log for one in pair))
        database.execute("ALTER TABLE elsewhere RENAME TO events_servingprocess")
    assert told(promote(pair[0], known["decision_tree"], wait="10")) == (201, "2/2")
    assert [one.log.count(complaint) for one in pair] == [1, 1]
