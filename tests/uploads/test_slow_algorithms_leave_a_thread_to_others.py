"""A server of four threads, and two algorithms that loop: whoever asks for another one is answered meanwhile."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import crafted_models
import httpx
import wine
from homes import Home
from servers import Server, wait_until

NAMES = ("looping", "looping-too")
CLIENTS = 4
# Two that ask and one that is next.
HELD = 3
# In seconds: longer than others need, however busy the machine is.
LOOPING = {"x": 40.0, "y": 0.0}


def _asked(server: Server, name: str) -> tuple[int, str]:
    try:
        with server.client("predict") as client:
            path = f"/api/v1/{name}/predict"
            reply = client.post(path, json=LOOPING, params={"status": "testing"})
    except httpx.TransportError:
        return 0, "cut"
    return reply.status_code, reply.json().get("error", {}).get("code", "")


def _done(asked: list[Future[tuple[int, str]]]) -> list[tuple[int, str]]:
    return [one.result() for one in asked if one.done()]


def test_others_are_answered_while_two_algorithms_loop(home: Home, tmp_path: Path) -> None:
    for name in NAMES:
        (tmp_path / name).mkdir()
        for file, content in crafted_models.training_bundle(crafted_models.Looping(), name).items():
            (tmp_path / name / file).write_bytes(content)
        home.manage("register", str(tmp_path / name), "--endpoint", name, "--version", "1")
    server = Server("wsgi", home, {"ML_PIPELINE_DEADLINE_MS": "60000"}).start()
    with ThreadPoolExecutor(len(NAMES) * CLIENTS) as pool:
        try:
            asked = [pool.submit(_asked, server, name) for _ in range(CLIENTS) for name in NAMES]
            wait_until(lambda: len(_done(asked)) == len(asked) - HELD)
            assert set(_done(asked)) == {(503, "overloaded")}
            with server.client("predict") as client:
                assert [client.post(wine.NEIGHBOUR, json=wine.ROW).status_code for _ in range(50)] == [200] * 50
            # They loop for longer than others took, so these were not answered after them.
            assert len(_done(asked)) == len(asked) - HELD
        finally:
            server.kill()
