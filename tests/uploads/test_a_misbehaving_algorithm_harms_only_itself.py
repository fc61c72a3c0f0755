"""An algorithm that loops, and one that crashes: 504 and 503 for theirs, logged; others go on; nothing is left running.

How quickly others go on is measured by benchmarks/misbehaving_algorithms.py.
"""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import crafted_models
import httpx
import processes
import pytest
import wine
from homes import Home
from servers import Server, wait_until

LOOPING = "/api/v1/looping/predict"
CRASHING = ("/api/v1/crashing/predict", "/api/v1/crashing-skops/predict")
TESTING = {"status": "testing"}


@pytest.fixture(scope="module")
def misbehaving_home(prepared_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The home with a looping and two crashing algorithms, by the operator and by an upload."""
    folder = tmp_path_factory.mktemp("misbehaving")
    home = prepared_home.copy(folder / "home")
    for name, model in (("looping", crafted_models.Looping()), ("crashing", crafted_models.crafted_boosting())):
        (folder / name).mkdir()
        for file, content in crafted_models.training_bundle(model, name).items():
            (folder / name / file).write_bytes(content)
        home.manage("register", str(folder / name), "--endpoint", name, "--version", "1")
    server = Server("asgi", home, {}).start()
    try:
        with server.client("manage") as client:
            form = wine.form("crashing", endpoint="crashing-skops")
            crafted = crafted_models.skops_file(crafted_models.crafted_boosting())
            files = wine.files(crafted, "m.skops", crafted_models.sound_rows())
            reply = client.post(wine.UPLOADS, data=form, files=files)
            assert reply.status_code == 201, reply.text
            assert reply.json()["is_isolated"]
    finally:
        server.stop()
    return home


@pytest.fixture(params=["asgi", "wsgi"])
def server(request: pytest.FixtureRequest, misbehaving_home: Home, tmp_path: Path) -> Iterator[Server]:
    home = misbehaving_home.copy(tmp_path / "home")
    running = Server(request.param, home, {"ML_PIPELINE_DEADLINE_MS": "1500"})
    yield running.start()
    running.stop()


def _asked(server: Server, path: str, row: dict[str, float], times: int = 1) -> list[int]:
    parameters = {} if path == wine.NEIGHBOUR else TESTING
    with server.client("predict") as client:
        return [client.post(path, json=row, params=parameters).status_code for _ in range(times)]


def _outcomes(server: Server) -> Counter[str]:
    with server.client("read") as client:
        return Counter(row["outcome"] for row in client.get("/api/v1/mlrequests", params={"limit": "1000"}).json())


def _processes(server: Server) -> list[int]:
    return processes.children_of(server._process.pid)  # type: ignore[union-attr]


def test_what_loops_is_too_late_and_replaced(server: Server) -> None:
    assert _asked(server, LOOPING, crafted_models.QUICK) == [200]
    assert _asked(server, LOOPING, crafted_models.LOOPING) == [504]
    wait_until(lambda: _asked(server, LOOPING, crafted_models.QUICK) == [200])
    assert _outcomes(server)["deadline_exceeded"] == 1


@pytest.mark.parametrize("path", CRASHING)
def test_what_crashes_is_unavailable_and_replaced(server: Server, path: str) -> None:
    assert _asked(server, path, crafted_models.SOUND) == [200]
    for _ in range(2):
        with server.client("predict") as client:
            reply = client.post(path, json=crafted_models.FATAL, params=TESTING)
        assert (reply.status_code, reply.json()["error"]["code"]) == (503, "not_ready")
        assert int(reply.headers["retry-after"]) >= 1
        wait_until(lambda: _asked(server, path, crafted_models.SOUND) == [200])
    assert _outcomes(server)["not_ready"] >= 2


def test_others_are_answered_while_clients_hammer_the_looping_one(server: Server) -> None:
    # As many as would keep every thread of either server busy, if each kept one.
    clients = 8
    with ThreadPoolExecutor(clients + 1) as pool:
        hammering = [pool.submit(_asked, server, LOOPING, crafted_models.LOOPING, 2) for _ in range(clients)]
        others = pool.submit(_asked, server, wine.NEIGHBOUR, wine.ROW, 100)
        assert others.result() == [200] * 100
        statuses = {status for one in hammering for status in one.result()}
    assert statuses <= {503, 504}
    assert 504 in statuses


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGKILL])
def test_no_process_is_left(server: Server, sign: signal.Signals) -> None:
    assert _asked(server, LOOPING, crafted_models.QUICK) == [200]
    assert _asked(server, CRASHING[0], crafted_models.SOUND) == [200]
    running = _processes(server)
    assert len(running) >= 3
    with ThreadPoolExecutor(1) as pool:
        busy = pool.submit(_asked_or_cut, server)
        wait_until(lambda: _under_way(server) == 1)
        if sign == signal.SIGKILL:
            server.kill()
        else:
            server.stop()
        busy.result()
    wait_until(lambda: not [pid for pid in running if processes.is_alive(pid)])


def _under_way(server: Server) -> int:
    with server.client(None) as client:
        return int(client.get("/readyz").json()["queue"]["rows"])


def _asked_or_cut(server: Server) -> list[int]:
    try:
        return _asked(server, LOOPING, crafted_models.LOOPING)
    except httpx.TransportError:
        return []


def test_a_tree_that_crashes_its_converter_is_served_as_it_came(server: Server) -> None:
    crafted = crafted_models.skops_file(crafted_models.crafted_tree())
    form, files = wine.form("tree", endpoint="crafted"), wine.files(crafted, "m.skops", crafted_models.sound_rows())
    with server.client("manage") as client:
        reply = client.post(wine.UPLOADS, data=form, files=files)
    assert reply.status_code == 201, reply.text
    record = reply.json()
    assert (record["runtime"], record["is_isolated"]) == ("sklearn", True)
    assert "SIGSEGV" in record["runtime_reason"]
    path = "/api/v1/crafted/predict"
    assert _asked(server, path, crafted_models.SOUND) == [200]
    assert _asked(server, path, crafted_models.FATAL) == [503]
    wait_until(lambda: _asked(server, path, crafted_models.SOUND) == [200])
