"""What a model that is being examined may use: no secret, no network, so much memory, time and disk; and no more."""

from __future__ import annotations

import io
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import hostile_graphs
import ordered
import processes
import pytest
import refusals
import wine
from homes import Home
from servers import Server, wait_until

MEMORY_MB = 1_500


@pytest.fixture(scope="module", params=["asgi", "wsgi"])
def server(
    request: pytest.FixtureRequest, module_home: Home, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    environment = ordered.installed(tmp_path_factory.mktemp("installed"))
    environment["ML_PIPELINE_REGISTRATION_MEMORY_MB"] = str(MEMORY_MB)
    running = Server(request.param, module_home, {**environment, "PGPASSWORD": "hunter2", "AWS_SECRET": "hunter2"})
    yield running.start()
    running.stop()


def test_an_honest_class_is_registered(server: Server) -> None:
    reply = refusals.upload(server, ordered.files("fine"))
    assert reply.status_code == 201, reply.text
    assert reply.json()["runtime"] == "python"


def test_two_are_examined_at_once_and_the_third_is_told_to_come_again(server: Server, tmp_path: Path) -> None:
    before = refusals.traces(server)
    begun = [tmp_path / "first", tmp_path / "second"]
    with ThreadPoolExecutor(2) as pool:
        uploads = [pool.submit(refusals.upload, server, ordered.files(f"wait 1 {path}")) for path in begun]
        wait_until(lambda: all(path.exists() for path in begun), 30)
        held = processes.registrations(server.home.folder)
        third = refusals.upload(server, wine.files(hostile_graphs.honest(), "m.onnx", hostile_graphs.ROWS))
        with server.client("predict") as client:
            assert client.post(wine.NEIGHBOUR, json=wine.ROW).status_code == 200
        for pid in held:
            _check_poor(pid)
        replies = [upload.result() for upload in uploads]
    assert third.status_code == 503
    assert third.json()["error"]["code"] == "overloaded"
    assert int(third.headers["retry-after"]) >= 1
    # Both slept, which costs no processor time: the clock ended them.
    assert ["took too long" in refusals.message_of(reply) for reply in replies] == [True, True]
    assert len(held) == 2
    assert not [pid for pid in held if processes.is_alive(pid)]
    assert refusals.traces(server) == before


def _check_poor(pid: int) -> None:
    variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    names = {one.partition(b"=")[0].decode() for one in variables if one}
    assert "PATH" in names
    assert not [name for name in names if name.startswith(("ML_PIPELINE_", "DJANGO_", "PG", "AWS"))]
    assert not [one for one in variables if b"hunter2" in one]
    limits = dict(line.rsplit(None, 3)[:2] for line in Path(f"/proc/{pid}/limits").read_text().splitlines()[1:13])
    limits = {name.strip(): value for name, value in limits.items()}
    assert int(limits["Max core file size"]) == 0
    assert int(limits["Max file size"]) <= 2_000_000_000
    assert int(limits["Max cpu time"]) <= 700
    assert int(limits["Max address space"]) < (MEMORY_MB + 1_000) * 1_000_000
    # Its niceness, and its descriptors: none is the database's or a socket.
    assert int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[16]) >= 10
    opened = [str(one.readlink()) for one in Path(f"/proc/{pid}/fd").iterdir()]
    assert not [one for one in opened if "sqlite" in one or one.startswith("socket:")]


def test_no_address_can_be_reached(server: Server) -> None:
    probe = "from ml_pipeline.apps.ml.isolation import limits; print(limits.deny_network())"
    can_deny = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.5)
        reply = refusals.upload(server, ordered.files(f"connect {listener.getsockname()[1]}"))
        # Where the system cannot deny it the rest of the limits still hold, and docs say so.
        if can_deny.strip() == "True":
            with pytest.raises(TimeoutError):
                listener.accept()
            assert "unreachable" in refusals.message_of(reply)
        else:
            listener.accept()


@pytest.mark.parametrize(
    ("order", "said"),
    [
        ("spin", "took too long"),
        (f"allocate {2 * MEMORY_MB * 1_000_000}", "allocate"),
        ("crash", "SIGABRT"),
    ],
)
def test_what_it_does_wrong_is_told(server: Server, order: str, said: str) -> None:
    (message,) = refusals.refused(server, {order: ordered.files(order)}).values()
    assert said in message


def test_a_file_grows_no_larger_than_it_may(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "written"
    refusals.refused(server, {"write": ordered.files(f"write {path}")})
    assert path.stat().st_size <= 2_000_000_000
    path.unlink()


def test_what_it_started_ends_with_it(server: Server, tmp_path: Path) -> None:
    started = tmp_path / "started"
    refusals.refused(server, {"spawn": ordered.files(f"spawn {started}")})
    wait_until(lambda: not processes.is_alive(int(started.read_text())))


def test_what_it_prints_reaches_no_log(server: Server) -> None:
    (message,) = refusals.refused(server, {"shout": ordered.files("shout forged!")}).values()
    assert "was loud" in message
    assert "forged!" not in server.log_path.read_text()


def test_an_artifact_without_its_rows_is_told_what_it_lacks(server: Server) -> None:
    files = {"artifact": ("model.skops", io.BytesIO(wine.skops_file()))}
    (message,) = refusals.refused(server, {"rows": files}).values()
    assert "sample" in message
