"""`kill -9` of the server at each step of a registration: no version without its bytes, no bytes without a version
after a clean-up, no process left, and the same upload is taken by the next server."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import ordered
import processes
import pytest
import skops.io
import wine
from homes import Home
from servers import Server, wait_until

# What versions there are with all of their bytes, and how much a clean-up removes.
_CLEARED = """
import django, json
django.setup()
from datetime import timedelta
from ml_pipeline.apps.endpoints import registrations
from ml_pipeline.apps.endpoints.models import MLAlgorithm
digests = list(MLAlgorithm.objects.values_list("artifact_digest", flat=True))
for digest in digests:
    registrations.store().bundle(digest).verify()
print(json.dumps([digests, sum(registrations.clean_up(timedelta(0)))]))
"""

# The model's own steps, by how often it has been asked when the server is killed: the first row, all rows together, one
# by one, and when it is timed.
TURNS = (1, 2, 5)


def _killed(server: Server, name: str, files: object, moment: Callable[[], bool]) -> None:
    def upload() -> None:
        try:
            with server.client("manage") as client:
                client.post(wine.UPLOADS, data=wine.form(name), files=files)  # type: ignore[arg-type]
        except httpx.TransportError:
            return

    with ThreadPoolExecutor(1) as pool:
        uploading = pool.submit(upload)
        # Some moments are over before anybody can look: then the upload is complete, which is as well.
        wait_until(lambda: moment() or uploading.done(), 30)
        server.kill()
        uploading.result()


def _check_clean(home: Home) -> int:
    wait_until(lambda: not processes.registrations(home.folder))
    known, removed = json.loads(home.python(_CLEARED))
    stored = {path.name for path in (home.folder / "artifacts" / "bundles").iterdir()}
    assert stored == {f"{digest}.zip" for digest in known}
    assert not list((home.folder / "work").iterdir())
    assert not list((home.folder / "cache").glob(".*"))
    return int(removed)


def _work(home: Home, pattern: str) -> bool:
    return any((home.folder / "work").glob(pattern))


def _moments(home: Home, marks: Path) -> dict[str, Callable[[], bool]]:
    """Step to whether it has come: by what lies in the work folder, and by what the model was asked."""

    def asked(turn: int) -> Callable[[], bool]:
        path = marks / f"turn-{turn}"
        return lambda: path.exists() and path.read_text() == str(turn)

    return {
        "the body is coming in": lambda: _work(home, "*.upload*"),
        "starting": lambda: bool(processes.registrations(home.folder)),
        "opening the artifact": lambda: _work(home, "registration-*/unpacked"),
        **{f"answering, turn {turn}": asked(turn) for turn in TURNS},
        "writing the bundle": lambda: _work(home, "registration-*/bundle"),
        "the record is written": lambda: _work(home, "registration-*/record.json"),
        "the bytes are being stored": lambda: any((home.folder / "artifacts" / "bundles").glob(".incoming-*")),
    }


# The child and its supervisor know no door, so behind the second one some of the steps will do.
@pytest.mark.parametrize(
    ("door", "some"), [("asgi", None), ("wsgi", ("the body is coming in", "starting", "answering, turn 1"))]
)
def test_a_kill_at_any_step_leaves_nothing(
    home: Home, start: Callable[..., Server], tmp_path: Path, door: str, some: tuple[str, ...] | None
) -> None:
    environment = ordered.installed(tmp_path / "installed")
    moments = _moments(home, tmp_path)
    for step in some or moments:
        server = start(door, **environment)
        turn = step.partition("turn ")[2]
        order = f"wait {turn} {tmp_path / f'turn-{turn}'}" if turn else "fine"
        _killed(server, step, ordered.files(order), moments[step])
        _check_clean(home)
    server = start(door, **environment)
    with server.client("read") as client:
        versions = {one["name"] for one in client.get(wine.UPLOADS).json()}
    assert not versions & {"starting", "answering, turn 1", "answering, turn 2", "answering, turn 5"}
    with server.client("manage") as client:
        for step in some or moments:
            reply = client.post(wine.UPLOADS, data=wine.form(step), files=ordered.files("fine"))
            assert reply.status_code == (200 if step in versions else 201), reply.text
    assert _check_clean(home) == 0


@pytest.mark.parametrize("door", ["asgi", "wsgi"])
def test_bytes_that_were_stored_and_not_recorded_are_cleared(
    home: Home, start: Callable[..., Server], door: str
) -> None:
    server = start(door)
    with server.client("predict") as client:
        # It knows its keys from here on, and reads nothing more of the database.
        assert client.post(wine.NEIGHBOUR, json=wine.ROW).status_code == 200
    stored = home.folder / "artifacts" / "bundles"
    before = set(stored.glob("*.zip"))
    # Another model than the neighbour, whose bytes are stored already.
    model = bytes(skops.io.dumps(wine.tree()))
    files = wine.files(model, "m.skops")
    # Somebody else holds the database, so the bytes are stored and the record has to wait.
    holder = sqlite3.connect(home.folder / "db.sqlite3", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    _killed(server, "stored", files, lambda: set(stored.glob("*.zip")) > before)
    holder.execute("ROLLBACK")
    holder.close()
    orphans = set(stored.glob("*.zip")) - before
    assert len(orphans) == 1
    _check_clean(home)
    assert set(stored.glob("*.zip")) == before
    server = start(door)
    with server.client("manage") as client:
        reply = client.post(wine.UPLOADS, data=wine.form("stored"), files=wine.files(model, "m.skops"))
    assert reply.status_code == 201, reply.text
    _check_clean(home)


def test_what_a_kill_left_half_written_is_cleared(home: Home, start: Callable[..., Server]) -> None:
    start("asgi").kill()
    (home.folder / "cache" / ".half-a-bundle").mkdir(parents=True)
    (home.folder / "artifacts" / "bundles" / ".incoming-half").write_bytes(b"PK")
    (home.folder / "work" / "half.upload.skops").write_bytes(b"PK")
    (home.folder / "work" / "registration-dead").mkdir()
    (home.folder / "work" / "registration-dead" / "lock").touch()
    assert _check_clean(home) == 4


def test_what_else_lies_in_the_work_folder_is_left_alone(home: Home, start: Callable[..., Server]) -> None:
    start("asgi").kill()
    work = home.folder / "work"
    (work / "lost+found").mkdir()
    (work / "notes.txt").write_text("an operator's")
    (work / ".registration-begun").mkdir()
    assert json.loads(home.python(_CLEARED))[1] == 1
    assert {path.name for path in work.iterdir()} == {"lost+found", "notes.txt"}
