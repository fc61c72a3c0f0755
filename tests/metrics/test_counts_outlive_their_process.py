"""What a process counted stays counted when it dies, and is forgotten when nobody is left of its server."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ml_pipeline.metrics import families, folders, shards
from ml_pipeline.metrics.folders import FORGOTTEN_S, Contents, Folder
from ml_pipeline.metrics.recorder import Recorder
from ml_pipeline.metrics.shards import SEGMENT_BYTES, About, Shard

FAILURES = families.COMMIT_FAILURES
# Opens a shard in the home, counts, says so, and stays until it is killed.
CHILD = """
import sys
from pathlib import Path
from ml_pipeline.metrics import families
from ml_pipeline.metrics.recorder import Recorder
recorder = Recorder()
recorder.open(Path(sys.argv[1]), "server")
recorder.add(families.COMMIT_FAILURES, "predictions", amount=float(sys.argv[2]))
recorder.observe(families.COMMITS, 0.3, "predictions")
recorder.set(families.QUEUE_ROWS, float(sys.argv[2]))
print("there", flush=True)
sys.stdin.read()
"""
# As gunicorn's arbiter: leads a group in which it starts one worker at a time, and says when the worker is there.
ARBITER = f"""
import subprocess, sys
child = {CHILD!r}
for line in sys.stdin:
    command = [sys.executable, "-c", child, sys.argv[1], line.strip()]
    worker = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE)
    worker.stdout.readline()
    print(worker.pid, flush=True)
    worker.wait()
    print("gone", flush=True)
"""
Start = Callable[[float], subprocess.Popen[str]]


def _popen(program: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, process_group=0)


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a server of one process that counts so many failures; it leads its group."""
    running = []

    def begin(amount: float) -> subprocess.Popen[str]:
        process = _popen(CHILD, str(tmp_path), str(amount))
        running.append(process)
        assert _line(process) == "there"
        return process

    yield begin
    for process in running:
        _end(process)


def failures(contents: Contents | None) -> float:
    assert contents is not None
    return contents.totals.get((FAILURES.name, "predictions"), [0.0])[0]


def test_the_counts_of_a_killed_process_stay_and_its_gauges_go(tmp_path: Path, start: Start) -> None:
    first, second = start(3), start(4)
    folder = Folder(tmp_path)
    found = folder.read()
    assert failures(found) == 7
    assert sorted(found.gauges.values()) == [3, 4]
    assert {about.pid for about in found.live} == {first.pid, second.pid}
    _end(first)
    found = folder.read()
    assert failures(found) == 7
    assert list(found.gauges.values()) == [4]
    third = start(5)
    found = folder.read()
    assert failures(found) == 12
    assert sum(found.totals[families.COMMITS.name, "predictions"][:-1]) == 3
    assert {about.pid for about in found.live} == {second.pid, third.pid}


def test_shards_of_the_dead_become_one_file(tmp_path: Path, start: Start) -> None:
    start(1)
    for _ in range(5):
        _end(start(1))
    start(1)
    folder = Folder(tmp_path)
    assert failures(folder.read()) == 7
    # Two that live, those of the dead in one, and the lock.
    files = sorted(path.name for path in folder.path.iterdir())
    assert len(files) == 4
    assert sum(path.stat().st_size for path in folder.path.iterdir()) == 3 * SEGMENT_BYTES


def test_when_nobody_is_left_the_next_begins_at_0(tmp_path: Path, start: Start) -> None:
    first, second = start(3), start(4)
    _end(first)
    _end(second)
    start(5)
    assert failures(Folder(tmp_path).read()) == 5


def test_the_only_worker_of_an_arbiter_is_replaced_and_nothing_is_forgotten(tmp_path: Path) -> None:
    arbiter = _popen(ARBITER, str(tmp_path))
    assert arbiter.stdin is not None
    try:
        for _ in range(3):
            arbiter.stdin.write("2\n")
            arbiter.stdin.flush()
            os.kill(int(_line(arbiter)), signal.SIGKILL)
            assert _line(arbiter) == "gone"
        arbiter.stdin.write("2\n")
        arbiter.stdin.flush()
        worker = int(_line(arbiter))
        assert failures(Folder(tmp_path).read()) == 8
        os.kill(worker, signal.SIGKILL)
    finally:
        _end(arbiter)


def test_a_shard_that_was_folded_by_somebody_who_was_killed_then_counts_once(tmp_path: Path, start: Start) -> None:
    start(1)
    _end(start(2))
    folder = Folder(tmp_path)
    (dead,) = [path for path in folder.path.glob("*.shard") if not shards.is_live(path)]
    kept = dead.read_bytes()
    start(4)
    assert not dead.exists()
    # As if it had not been removed.
    dead.write_bytes(kept)
    assert failures(folder.read()) == 7
    start(8)
    assert not dead.exists()
    assert failures(folder.read()) == 15


def test_what_was_counted_before_a_shard_was_there_is_in_it(tmp_path: Path) -> None:
    recorder = Recorder()
    child = recorder.child(FAILURES, "predictions")
    child.cells[0] += 2
    recorder.open(tmp_path, "server")
    child.cells[0] += 1
    assert failures(recorder.contents()) == 3
    recorder.close()


def test_a_fork_counts_for_itself(tmp_path: Path) -> None:
    recorder = Recorder()
    recorder.open(tmp_path, "server")
    child = recorder.child(FAILURES, "predictions")
    child.cells[0] += 2
    program = f"""
import os, sys, json
from pathlib import Path
from ml_pipeline.metrics import families
from ml_pipeline.metrics.recorder import Recorder
recorder = Recorder()
recorder.open(Path({str(tmp_path)!r}), "server")
child = recorder.child(families.COMMIT_FAILURES, "predictions")
child.cells[0] += 10
pid = os.fork()
if pid == 0:
    child.cells[0] += 100  # In memory: it has no shard yet.
    recorder.open(Path({str(tmp_path)!r}), "server")
    child.cells[0] += 100
    os._exit(0)
os.waitpid(pid, 0)
found = recorder.contents()
print(json.dumps([len(found.live), found.totals[families.COMMIT_FAILURES.name, "predictions"][0]]))
"""
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert json.loads(done.stdout) == [2, 212]
    recorder.close()


def test_many_children_take_several_segments(tmp_path: Path) -> None:
    shard = Shard(tmp_path / "one.shard", About(1, "server"))
    cells = [shard.add((families.REQUESTS.name, "e" * 60, f"a{number}", "1", "ok"), 20) for number in range(1_000)]
    for number, one in enumerate(cells):
        one[0], one[19] = float(number), -1.0
    found = shards.read(tmp_path / "one.shard")
    assert found is not None
    about, records = found
    assert about == About(1, "server")
    assert [record.key[2] for record in records] == [f"a{number}" for number in range(1_000)]
    assert [(record.values[0], record.values[19]) for record in records] == [(float(one), -1.0) for one in range(1_000)]
    assert (tmp_path / "one.shard").stat().st_size % SEGMENT_BYTES == 0
    shard.close()


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"\xff" * SEGMENT_BYTES, b"\0" * SEGMENT_BYTES])
def test_what_is_no_shard_is_passed_over(tmp_path: Path, content: bytes) -> None:
    folder = Folder(tmp_path)
    folder.begin("server").close()
    (folder.path / "bad.shard").write_bytes(content)
    assert folder.read().totals == {}


def test_without_a_disk_it_counts_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "metrics").write_text("in the way")
    recorder = Recorder()
    recorder.open(tmp_path, "server")
    recorder.add(FAILURES, "predictions")
    assert recorder.own()[FAILURES.name, "predictions"] == [1.0]
    assert not recorder.is_shared
    assert "is seen by itself alone" in caplog.text


def test_folders_of_machines_that_are_gone_go(tmp_path: Path) -> None:
    recent, old = tmp_path / "metrics" / "recent", tmp_path / "metrics" / "old"
    for folder in (recent, old):
        folder.mkdir(parents=True)
        (folder / "x.shard").write_bytes(b"")
    past = old.stat().st_mtime - FORGOTTEN_S - 60
    os.utime(old / "x.shard", (past, past))
    os.utime(old, (past, past))
    Folder(tmp_path).begin("server").close()
    assert recent.exists()
    assert not old.exists()


def test_a_folder_that_is_held_for_long_fails_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "PATIENCE_S", 0.05)
    folder = Folder(tmp_path)
    folder.begin("server").close()
    with (folder.path / "lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(TimeoutError):
            folder.read()
        recorder = Recorder()
        recorder.open(tmp_path, "server")
        assert not recorder.is_shared
    assert folder.read().totals == {}


def test_a_shard_that_cannot_be_read_now_leaves_no_part_of_the_sums(tmp_path: Path, start: Start) -> None:
    start(3.0)
    folder = Folder(tmp_path)
    # Any failure but that it is gone; who lacks descriptors has another.
    (folder.path / "unreadable.shard").mkdir()
    with pytest.raises(OSError, match="directory"):
        folder.read()


def test_a_live_shard_that_nobody_understands_stays(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.begin("server").close()
    strange = folder.path / "strange.shard"
    strange.write_bytes(b"of another version")
    with strange.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        folder.begin("server").close()
        assert strange.exists()
    folder.begin("server").close()
    assert not strange.exists()


def test_a_folder_of_another_machine_that_cannot_be_looked_into_hinders_nobody(tmp_path: Path) -> None:
    other = tmp_path / "metrics" / "other"
    other.mkdir(parents=True)
    # As a file that the other machine removes just now.
    (other / "gone.shard").symlink_to(other / "nothing")
    Folder(tmp_path).begin("server").close()
    assert other.exists()
