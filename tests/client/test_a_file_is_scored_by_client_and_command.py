"""`Client.batches` and `ml-pipeline batch`: a file goes in, its answers come back, whole or not at all."""

from __future__ import annotations

import csv
import json
import os
import pty
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import servers
from homes import ENDPOINT, REPOSITORY
from people import held_out_people
from servers import Server, free_port, wait_until
from terminals import COMMAND, run

from ml_pipeline.client import Client
from ml_pipeline.errors import InvalidInput, NotReachable, Refused


@pytest.fixture(scope="module")
def working(door: Server) -> Iterator[Server]:
    with servers.worker(door.home):
        yield door


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """A file of 50 people, one of whom cannot be read."""
    path = tmp_path / "people.csv"
    lines = held_out_people().head(50).to_csv(index=False).splitlines(keepends=True)
    lines[4] = f"old{lines[4]}"
    path.write_text("".join(lines))
    return path


def _environment(server: Server) -> dict[str, str]:
    inherited = {name: text for name, text in os.environ.items() if not name.startswith("ML_PIPELINE_")}
    return {**inherited, "ML_PIPELINE_URL": server.url, "ML_PIPELINE_API_KEY": server.home.keys["admin"]}


def test_the_client_sends_waits_and_fetches(working: Server, client: Client, people: Path, tmp_path: Path) -> None:
    job = client.batches.create(people, endpoint=ENDPOINT, algorithm="extra_trees", probabilities=True)
    assert (job["algorithm"], job["probabilities"]) == ("extra_trees", True)
    seen: list[str] = []
    done = client.batches.wait(job["id"], 40, lambda one: seen.append(one["state"]))
    assert (done["state"], done["rows_done"], done["rows_rejected"]) == ("succeeded", 50, 1)
    assert seen[-1] == "succeeded"
    assert client.batches.get(job["id"])["state"] == "succeeded"
    assert client.batches.list(ENDPOINT, 1, state="succeeded")[0]["id"] == job["id"]

    target = tmp_path / "out.csv"
    target.write_text("something else")
    assert client.batches.download(job["id"], target) == target
    rows = list(csv.DictReader(target.read_text().splitlines()))
    assert len(rows) == 49
    assert {row["label"] for row in rows} <= {"<=50K", ">50K"}
    assert [(one["row"], one["line"], one["field"]) for one in client.batches.errors(job["id"])] == [(3, 5, "age")]
    client.batches.download_errors(job["id"], tmp_path / "errors.csv")
    assert (tmp_path / "errors.csv").read_text().startswith("row,line,field,reason\n3,5,age,")
    with pytest.raises(Refused) as refused:
        client.batches.cancel(job["id"])
    assert refused.value.code == "conflict"


def test_a_short_file_is_answered_at_once(working: Server, client: Client, people: Path) -> None:
    told = client.batches.predict(people, endpoint=ENDPOINT)
    assert (len(told["rows"]), len(told["rejected"])) == (49, 1)


def test_what_cannot_be_had_leaves_what_there_was(door: Server, client: Client, people: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    target.write_text("as it was")
    with pytest.raises(Refused):
        client.batches.download(999_999, target)
    with pytest.raises(InvalidInput):
        client.batches.create(tmp_path / "nothing.csv", endpoint=ENDPOINT)
    with Client(f"http://127.0.0.1:{free_port()}", "key") as nobody, pytest.raises(NotReachable):
        nobody.batches.download(1, target)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["out.csv", "people.csv"]
    assert target.read_text() == "as it was"


def test_a_file_that_breaks_off_is_not_put_in_place(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65_536)
                head = b"HTTP/1.1 200 OK\r\nContent-Disposition: attachment\r\nContent-Length: 1000\r\n\r\n"
                connection.sendall(head + b"x" * 500)

        thread = threading.Thread(target=answer)
        thread.start()
        with Client(f"http://127.0.0.1:{listening.getsockname()[1]}", "key") as one, pytest.raises(NotReachable):
            one.batches.download(1, tmp_path / "out.csv")
        thread.join()
    assert list(tmp_path.iterdir()) == []


def test_the_command_scores_a_file(working: Server, people: Path, tmp_path: Path) -> None:
    out, rejected = tmp_path / "out.csv", tmp_path / "errors.csv"
    out.write_text("as it was")
    command = ("batch", str(people), "-o", str(out), "--endpoint", ENDPOINT)
    done = run(working, *command, "--errors", str(rejected))
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert "49 rows answered by random_forest 0.0.1" in done.stdout
    assert "1 row rejected" in done.stdout
    assert str(rejected) in done.stdout
    assert len(list(csv.DictReader(out.read_text().splitlines()))) == 49
    assert rejected.read_text().count("\n") == 2

    told = run(working, *command, "--no-log", "--version", "0.0.1", "--format", "parquet", "--json")
    job = json.loads(told.stdout)
    assert (job["state"], job["log_requests"], job["output_format"]) == ("succeeded", False, "parquet")
    assert out.read_bytes().startswith(b"PAR1")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["errors.csv", "out.csv", "people.csv"]


def test_a_link_leads_to_the_result(working: Server, people: Path, tmp_path: Path) -> None:
    link, real = tmp_path / "link.csv", tmp_path / "real.csv"
    link.symlink_to(real)
    assert run(working, "batch", str(people), "-o", str(link), "--endpoint", ENDPOINT).returncode == 0
    assert link.is_symlink()
    assert real.read_text().count("\n") == 50


def test_the_other_commands_show_what_there_is(working: Server, people: Path, tmp_path: Path) -> None:
    command = ("batch", str(people), "-o", str(tmp_path / "out.csv"), "--endpoint", ENDPOINT, "--json")
    job = str(json.loads(run(working, *command).stdout)["id"])
    assert json.loads(run(working, "batches", "list", "--limit", "1", "--json").stdout)[0]["id"] == int(job)
    assert "people.csv" in run(working, "batches", "list").stdout
    assert "succeeded" in run(working, "batches", "show", job).stdout
    assert "age" in run(working, "batches", "errors", job).stdout
    assert json.loads(run(working, "batches", "errors", job, "--json").stdout)[0]["row"] == 3
    assert run(working, "batches", "errors", job, "-o", str(tmp_path / "e.csv")).returncode == 0
    assert (tmp_path / "e.csv").read_text().startswith("row,")
    assert run(working, "batches", "result", job, "-o", str(tmp_path / "again.csv")).returncode == 0
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "out.csv").read_bytes()
    refused = run(working, "batches", "cancel", job)
    assert (refused.returncode, "succeeded already" in refused.stderr) == (1, True)


def test_what_goes_wrong_has_an_exit_code_of_its_own(working: Server, people: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    out.write_text("as it was")
    ask = ("-o", str(out), "--endpoint", ENDPOINT)
    broken = tmp_path / "broken.csv"
    broken.write_text(people.read_text() + '"never closed' + "x\n" * 700_000)
    picture = tmp_path / "picture.csv"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n")
    for code, arguments in (
        (1, ("batch", str(broken), *ask)),
        (1, ("batch", str(picture), *ask)),
        (1, ("batch", str(people), *ask, "--version", "9")),
        (1, ("batches", "show", "999999")),
        (2, ("batch", str(tmp_path / "nothing.csv"), *ask)),
        (2, ("batch", str(people), "-o", str(tmp_path / "no" / "out.csv"), "--endpoint", ENDPOINT)),
        (2, ("batch", str(people), "-o", str(out))),
        (2, ("batch", str(people), "-o", "/dev/null", "--endpoint", ENDPOINT)),
        (2, ("batch", str(people), "-o", "/proc/out.csv", "--endpoint", ENDPOINT)),
        (2, ("batch", str(people), *ask, "--errors", str(out))),
    ):
        done = run(working, *arguments)
        assert (done.returncode, done.stdout) == (code, ""), (arguments, done)
        assert done.stderr
        assert "Traceback" not in done.stderr
    assert run(f"http://127.0.0.1:{free_port()}", "batch", str(people), *ask).returncode == 3
    assert out.read_text() == "as it was"


def _state(server: Server, scope: str = "read") -> dict[str, Any]:
    with server.client(scope) as client:
        found: list[dict[str, Any]] = client.get("/api/v1/batches", params={"limit": "1"}).json()
    return found[0] if found else {"id": 0, "state": ""}


def test_ctrl_c_cancels_the_batch(door: Server, people: Path, tmp_path: Path) -> None:
    # No worker takes it: those of other tests are gone, or this one would be over.
    before = _state(door)["id"]
    command = [COMMAND, "batch", str(people), "-o", str(tmp_path / "out.csv"), "--endpoint", ENDPOINT]
    process = subprocess.Popen(
        command, env=_environment(door), cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_until(lambda: _state(door)["id"] > before)
    # It has the reply once it asks again; a moment before it would not know what to cancel.
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    told, complained = process.communicate(timeout=30)
    job = _state(door)
    assert job["state"] in ("cancelled", "succeeded")
    if job["state"] == "cancelled":
        assert (process.returncode, told, complained) == (1, "", f"Batch {job['id']} is cancelled.\n")
        assert sorted(one.name for one in tmp_path.iterdir()) == ["people.csv"]


def test_whoever_waits_for_a_worker_in_vain_is_told(start: Callable[..., Server], people: Path, tmp_path: Path) -> None:
    server = start("asgi")
    command = [COMMAND, "batch", str(people), "-o", str(tmp_path / "out.csv"), "--endpoint", ENDPOINT]
    with subprocess.Popen(
        command, env=_environment(server), cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert "waits for a worker: none runs" in process.stderr.readline()
        batch = str(_state(server)["id"])
        assert "waits for a worker" in run(server, "batches", "show", batch).stdout
        server.stop()
        _, complained = process.communicate(timeout=60)
    assert process.returncode == 3
    assert f"Batch {batch} goes on" in complained


def test_on_a_terminal_a_bar_shows_how_far_it_is(working: Server, people: Path, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    command = [COMMAND, "batch", str(people), "-o", str(tmp_path / "out.csv"), "--endpoint", ENDPOINT]
    environment = {**_environment(working), "TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen(
        command, env=environment, cwd=REPOSITORY, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs
    ) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                part = os.read(ours, 65_536)
            except OSError:
                break
            if not part:
                break
            shown += part
        assert process.stdout is not None
        told = process.stdout.read().decode()
    os.close(ours)
    assert process.returncode == 0
    assert b"people.csv" in shown
    assert b"waiting for a worker" in shown
    assert "49 rows answered" in told
