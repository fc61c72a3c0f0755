"""uWSGI, as the documentation starts it: what it answers is logged, its processes follow, and none is missed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from homes import ENDPOINT, Home
from people import PERSON
from servers import Server, wait_until
from strange_models import write_strange_bundle

pytestmark = pytest.mark.services

PREDICT = f"/api/v1/{ENDPOINT}/predict"
JSON = {"Content-Type": "application/json"}
AT_ONCE = 8
# How many processes logged what each algorithm answered.
WRITERS = """
import json
import django
django.setup()
from ml_pipeline.apps.endpoints.models import MLRequest
from ml_pipeline.apps.predictions.models import JournalBatch
writers = dict(JournalBatch.objects.values_list("pk", "writer"))
found = {}
for name, batch in MLRequest.objects.values_list("parent_mlalgorithm__name", "batch_id"):
    found.setdefault(name, set()).add(writers[batch])
print(json.dumps({name: len(some) for name, some in found.items()}))
"""
LOGGED = """
import django
django.setup()
from ml_pipeline.apps.endpoints.models import MLRequest
print(*MLRequest.objects.values_list("pk", flat=True))
"""


@pytest.fixture(scope="module")
def one(module_home: Home) -> Iterator[Server]:
    """One process."""
    server = Server("uwsgi", module_home, {}).start()
    yield server
    server.stop()


@pytest.fixture
def two(start: Callable[..., Server]) -> Server:
    """Two processes, each a worker of its own."""
    return start("uwsgi", UWSGI_PROCESSES="2")


def ask(server: Server, times: int) -> list[tuple[float, httpx.Response]]:
    """When each of so many requests began, and its reply."""

    def once(_: int) -> tuple[float, httpx.Response]:
        return time.monotonic(), server.predict(PERSON)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(once, range(times)))


def test_a_prediction_is_logged_and_takes_feedback(one: Server) -> None:
    with one.client() as client:
        for reply in (client.post(PREDICT, json=PERSON), client.post(PREDICT, data=PERSON)):
            assert reply.status_code == 200, reply.text
            address = f"/api/v1/mlrequests/{reply.json()['request_id']}"
            assert client.put(address, json={"feedback": ">50K"}).status_code == 200
            logged = client.get(address).json()
            assert (logged["full_response"], logged["feedback"]) == (reply.json(), ">50K")
        assert client.head("/readyz").status_code == 200
        assert client.get("/api/docs").status_code == 200


@pytest.mark.parametrize("path", [PREDICT, "/api/v1/endpoints"])
def test_an_announced_body_over_the_limit_is_refused(one: Server, path: str) -> None:
    with one.client() as client:
        reply = client.post(path, content=b" " * 30_000_000, headers=JSON)
        assert (reply.status_code, reply.json()["error"]["code"]) == (413, "too_large")
        assert client.post(PREDICT, content=json.dumps(PERSON).encode().ljust(10_000_000)).status_code == 200


@pytest.mark.parametrize("path", [PREDICT, "/api/v1/endpoints"])
def test_a_chunked_body_is_read_or_refused_and_never_taken_for_an_empty_one(one: Server, path: str) -> None:
    body = {PREDICT: PERSON, "/api/v1/endpoints": {"name": "chunked"}}[path]
    with one.client() as client:
        reply = client.post(path, content=iter([json.dumps(body).encode()]), headers=JSON)
        assert reply.status_code in (200, 201) or "chunked" in reply.json()["error"]["message"]
        assert client.post(PREDICT, json=PERSON).status_code == 200


def test_clients_that_go_away_harm_nobody(one: Server) -> None:
    key = one.home.keys["predict"]
    head = f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nX-Api-Key: {key}\r\nContent-Length: 1000\r\n\r\n"
    for _ in range(2 * AT_ONCE):
        with socket.create_connection(("127.0.0.1", one.port), timeout=10) as connection:
            connection.sendall(head.encode() + b'{"age":')
    assert one.predict(PERSON).status_code == 200


@pytest.mark.parametrize("sent", ["", "\r\n{"], ids=["head", "body"])
def test_a_client_that_is_silent_is_given_up_after_four_seconds(one: Server, sent: str) -> None:
    key = one.home.keys["predict"]
    head = f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nX-Api-Key: {key}\r\nContent-Length: 1000\r\n{sent}"
    with socket.create_connection(("127.0.0.1", one.port), timeout=10) as connection:
        connection.sendall(head.encode())
        with connection.makefile("rb") as reply:
            assert reply.readline() in (b"", b"HTTP/1.1 400 Bad Request\r\n")


def test_every_process_follows_a_promotion_within_a_second(home: Home, two: Server) -> None:
    before = ask(two, 10 * AT_ONCE)
    assert {reply.json()["algorithm"] for _, reply in before} == {"random_forest"}
    with two.client() as client:
        tree = client.get("/api/v1/mlalgorithms?name=decision_tree").json()[0]["id"]
        body = {"parent_mlalgorithm": tree, "status": "production"}
        assert client.post("/api/v1/mlalgorithmstatuses", json=body).status_code == 201
        promoted_at = time.monotonic()
    after = []
    while time.monotonic() < promoted_at + 2:
        after += ask(two, AT_ONCE)
    assert {reply.status_code for _, reply in after} == {200}
    late = [begun - promoted_at for begun, reply in after if reply.json()["algorithm"] != "decision_tree"]
    assert max(late, default=0) <= 1
    assert json.loads(home.python(WRITERS)) == {"random_forest": 2, "decision_tree": 2}


def test_a_process_that_is_killed_is_replaced_and_nothing_answered_is_missed(home: Home, two: Server) -> None:
    answered = []
    for _ in range(3):
        workers = Path(f"/proc/{two.pid}/task/{two.pid}/children").read_text().split()
        assert len(workers) == 2
        with ThreadPoolExecutor(AT_ONCE) as pool:
            asked = [pool.submit(two.predict, PERSON) for _ in range(10 * AT_ONCE)]
            for one in asked[:AT_ONCE]:
                one.exception()
            os.kill(int(workers[0]), signal.SIGKILL)
        # Whoever was in its hands gets no reply.
        replies = [one.result() for one in asked if not isinstance(one.exception(), httpx.TransportError)]
        answered += [reply.json()["request_id"] for reply in replies if reply.status_code == 200]
        wait_until(lambda: two.predict(PERSON).status_code == 200, 30)
    assert len(answered) >= 3 * AT_ONCE
    logged = home.python(LOGGED).split()
    assert set(answered) <= set(logged)
    assert len(set(logged)) == len(logged)


def test_native_models_run_apart_and_nothing_is_left_when_it_stops(
    home: Home, start: Callable[..., Server], tmp_path: Path
) -> None:
    bundle = write_strange_bundle(tmp_path / "strange")
    home.manage("register", str(bundle), "--endpoint", "strange", "--version", "1")
    server = start("uwsgi", UWSGI_PROCESSES="2")
    with server.client("predict") as client:
        for order, status in [("fine", 200), ("raise", 500)] * 5:
            reply = client.post("/api/v1/strange/predict?status=testing", json={"order": order})
            assert reply.status_code == status, reply.text
    # Masters, workers and the algorithm's processes; all are of one session.
    assert len(of_session(server.pid)) > 3
    assert server.stop() == 0
    wait_until(lambda: not of_session(server.pid))


def of_session(leader: int) -> list[int]:
    found = []
    for one in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.getsid(int(one.name)) == leader:
                found.append(int(one.name))
    return found
