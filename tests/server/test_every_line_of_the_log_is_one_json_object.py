"""Whatever came in, the log has a JSON object a line: nobody forges a line, or sends a terminal an order."""

from __future__ import annotations

import gc
import json
import logging
import re
import socket
import threading
import warnings
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

import pytest
from homes import Home
from servers import Server, wait_until
from strange_models import write_strange_bundle

from ml_pipeline.wire import log_lines

FORGED = '{"level": "critical", "message": "forged"}'
ATTACKS = {
    "line feed": f"a\n{FORGED}\nb",
    "carriage return": f"a\r{FORGED}\rb",
    "escape": "a\x1b[2J\x1b]0;owned\x07b",
    "eight bit escape": "a\x9b2Jb",
    "line separators": f"a\u2028{FORGED}\u2029\x85\x0b\x0cb",
    "delete": "a\x7f\x08b",
    "quotes": 'a", "level": "critical", "x": "b',
    "right to left": "a\u202e\u2066b",
    "format": "%s %(x)s %n {0} {x}",
    "long": "x" * 200_000,
}


@pytest.fixture(scope="module", params=["asgi", "wsgi"])
def server(
    request: pytest.FixtureRequest, module_home: Home, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    if not (module_home.folder / "strange").exists():
        write_strange_bundle(module_home.folder / "strange")
        module_home.manage("register", str(module_home.folder / "strange"), "--endpoint", "strange", "--version", "1")
    running = Server(request.param, module_home, {}).start()
    yield running
    running.stop()


def _is_printable(log: bytes) -> bool:
    return not re.search(rb"[^\x20-\x7e\n]", log)


def _exchange(server: Server, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(request)
        received = b""
        try:
            while piece := connection.recv(65_536):
                received += piece
        except ConnectionResetError:
            pass
    return received


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_a_model_says_of_a_row_is_one_line(server: Server, attack: str) -> None:
    before = len(server.lines)
    order = "raise " + ATTACKS[attack].replace("\x00", "")
    with server.client("predict") as client:
        reply = client.post("/api/v1/strange/predict?status=testing", json={"order": order})
    assert reply.status_code == 500
    wait_until(lambda: len(server.lines) > before)
    (line,) = server.lines[before:]
    assert set(line) == {"time", "level", "logger", "message", "request_id", "exception"}
    assert (line["level"], line["logger"]) == ("error", "ml_pipeline.apps.predictions.calls")
    assert datetime.fromisoformat(line["time"]).utcoffset() is not None
    assert reply.json()["error"]["details"]["request_id"] == line["request_id"]
    assert "Traceback (most recent call last)" in line["exception"]
    assert len(line["exception"]) < 30_000
    assert _is_printable(server.log_path.read_bytes())


HEADERS = ("Host", "X-Unit", "Authorization", "X-Api-Key", "Referer", "X-Forwarded-Host", "Cookie")


def test_hostile_heads_forge_no_line(server: Server) -> None:
    for text in ATTACKS.values():
        path = quote(text[:4_000].encode(), safe="")
        end = " HTTP/1.1\r\nConnection: close\r\nContent-Length: 0\r\n"
        for asked in (f"GET /api/v1/{path}?{path}", f"POST /login/{path}", f"POST /admin/login/?next={path}"):
            _exchange(server, f"{asked}{end}Host: 127.0.0.1\r\n\r\n".encode())
        for name in (*HEADERS, f"X-{path}"):
            _exchange(server, f"GET /api/v1/endpoints{end}{name}: {text[:4_000]}\r\n\r\n".encode())
        _exchange(server, f"{text[:100]} /{end}\r\n".encode())
    lines = server.lines
    assert not [line for line in lines if line["level"] == "critical" or line["message"] == "forged"]
    assert _is_printable(server.log_path.read_bytes())


def test_a_forged_host_is_in_the_log_as_it_came(server: Server) -> None:
    before = len(server.lines)
    reply = _exchange(server, b"GET /admin/ HTTP/1.1\r\nConnection: close\r\nHost: evil'.example\r\n\r\n")
    wait_until(lambda: len(server.lines) > before)
    (line,) = server.lines[before:]
    assert line["logger"] == "django.security.DisallowedHost"
    assert f"x-request-id: {line['request_id']}".encode() in reply.lower()


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_text_is_in_its_line_as_it_was(lines: Callable[[], list[str]], attack: str) -> None:
    logging.getLogger("some").error("%s", ATTACKS[attack], exc_info=ValueError(ATTACKS[attack]))
    (line,) = lines()
    found = json.loads(line)
    if attack != "long":
        assert found["message"] == ATTACKS[attack]
        assert found["exception"] == f"ValueError: {ATTACKS[attack]}"
    assert _is_printable(line.encode())
    assert len(line) < 50_000


@pytest.fixture
def lines(tmp_path: Path) -> Iterator[Callable[[], list[str]]]:
    """A log of this process as servers have it; what `take_over` changes is as before afterwards."""
    handler = logging.FileHandler(tmp_path / "log")
    handler.setFormatter(log_lines.formatter())
    root, hooks = logging.getLogger(), (threading.excepthook, log_lines.sys.unraisablehook)
    root.addHandler(handler)
    yield lambda: (tmp_path / "log").read_text().splitlines()
    root.removeHandler(handler)
    handler.close()
    threading.excepthook, log_lines.sys.unraisablehook = hooks
    logging.captureWarnings(False)


def test_a_thread_that_fails_and_a_warning_are_lines_too(lines: Callable[[], list[str]]) -> None:
    class Careless:
        def __del__(self) -> None:
            raise ValueError("nobody\nhears")

    def fail() -> None:
        raise ValueError(f"a\n{FORGED}")

    with warnings.catch_warnings():
        log_lines.take_over()
        warnings.warn(f"odd\n{FORGED}", UserWarning, stacklevel=1)
        thread = threading.Thread(target=fail, name="the one")
        thread.start()
        thread.join()
        Careless()
        gc.collect()
    found = [json.loads(line) for line in lines()]
    assert [(line["logger"], line["level"]) for line in found] == [
        ("py.warnings", "warning"),
        ("ml_pipeline.wire.log_lines", "critical"),
        ("ml_pipeline.wire.log_lines", "error"),
    ]
    assert "the one" in found[1]["message"]
    assert found[1]["exception"].endswith(FORGED)
    assert "nobody\nhears" in found[2]["exception"]


def test_the_handlers_of_a_server_that_was_here_first_write_lines_of_ours(
    lines: Callable[[], list[str]], tmp_path: Path
) -> None:
    handler = logging.FileHandler(tmp_path / "access")
    logger = logging.getLogger("uvicorn.access")
    logger.addHandler(handler)
    try:
        log_lines.take_over()
        logger.warning('%s - "%s"', "127.0.0.1", f"GET /\n{FORGED}")
    finally:
        logger.removeHandler(handler)
        handler.close()
    (line,) = (tmp_path / "access").read_text().splitlines()
    assert json.loads(line)["message"] == f'127.0.0.1 - "GET /\n{FORGED}"'


def test_an_api_key_in_a_message_is_left_out(lines: Callable[[], list[str]], module_home: Home) -> None:
    key = module_home.keys["admin"]
    logging.getLogger("some").error("a path: /?key=%s&x", key, exc_info=ValueError(f"with {key} in it"))
    (line,) = lines()
    assert key not in line
    assert json.loads(line)["message"] == "a path: /?key=mlp_…&x"
    assert "with mlp_… in it" in json.loads(line)["exception"]


@pytest.mark.parametrize("door", ["asgi", "wsgi"])
def test_starts_requests_and_stops_of_several_processes_are_lines_too(home: Home, door: str) -> None:
    server = Server(door, home, {"WEB_CONCURRENCY": "2"})
    own = server._command()
    if door == "asgi":
        own = [one for one in own if one not in ("--no-access-log", "--log-level", "warning")]
        own += ["--log-config", "deploy/uvicorn/log.json"]
    else:
        own += ["--access-logfile", "-"]
    server._command = lambda: own  # type: ignore[method-assign]
    server.start()
    try:
        with server.client("read") as client:
            assert client.get("/api/v1/endpoints").status_code == 200
        wait_until(lambda: any("/api/v1/endpoints" in line["message"] for line in server.lines), 60)
    finally:
        server.stop()
    assert len(server.lines) > 5
    assert all({"time", "level", "logger", "message"} <= set(line) for line in server.lines)
