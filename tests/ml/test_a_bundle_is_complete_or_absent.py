"""Wherever a writer is killed, a bundle stands there whole or not at all; the store heals what was damaged."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ml_pipeline.apps.ml import artifacts
from ml_pipeline.apps.ml.artifacts import ArtifactStore, Bundle
from ml_pipeline.errors import InvalidArtifact

OLD = {"a.bin": b"old" * 100, "b.bin": b"old"}
NEW = {"a.bin": b"new" * 100, "c.bin": b"new"}

# Writes NEW over OLD in a child that is killed at its k-th step on files, for every k; prints what stood there then.
KILLED_AT_EVERY_STEP = """
import itertools, os, shutil, signal, sys
from pathlib import Path
from ml_pipeline.apps.ml import artifacts

root, OLD, NEW = Path(sys.argv[1]), eval(sys.argv[2]), eval(sys.argv[3])

def killed_at(step):
    steps = itertools.count()
    def hook(event, arguments):
        if event in watched and next(steps) == step:
            os.kill(os.getpid(), signal.SIGKILL)
    watched = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod", "shutil.rmtree"}
    sys.addaudithook(hook)

def standing(folder):
    try:
        bundle = artifacts.Bundle(folder)
    except artifacts.InvalidArtifact:
        return "partial" if folder.exists() else "absent"
    bundle.verify()
    return bundle.manifest["name"]

for step in itertools.count():
    folder = root / str(step) / "bundle"
    if "replace" in sys.argv:
        artifacts.write_bundle(folder, {"name": "old"}, OLD)
    pid = os.fork()
    if not pid:
        killed_at(step)
        artifacts.write_bundle(folder, {"name": "new"}, NEW)
        os._exit(0)
    status = os.waitpid(pid, 0)[1]
    print(standing(folder))
    if status == 0:
        break
    assert os.WTERMSIG(status) == signal.SIGKILL
"""


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def seen_after_each_kill(root: Path, *options: str) -> list[str]:
    command = [sys.executable, "-c", KILLED_AT_EVERY_STEP, str(root), repr(OLD), repr(NEW), *options]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


def test_a_kill_at_any_step_leaves_nothing_or_all(tmp_path: Path) -> None:
    seen = seen_after_each_kill(tmp_path)
    assert len(seen) > 5
    assert set(seen) == {"absent", "new"}


def test_a_kill_while_one_is_replaced_leaves_nothing_or_one_of_them_whole(tmp_path: Path) -> None:
    seen = seen_after_each_kill(tmp_path, "replace")
    assert len(seen) > 8
    assert {"old", "new"} <= set(seen) <= {"old", "new", "absent"}
    assert seen[-1] == "new"


def test_a_write_that_fails_leaves_what_was_there_and_no_trace(tmp_path: Path) -> None:
    artifacts.write_bundle(tmp_path / "bundle", {"name": "old"}, OLD)
    with pytest.raises(OSError, match="too long"):
        artifacts.write_bundle(tmp_path / "bundle", {"name": "new"}, {**NEW, "n" * 300: b""})
    with pytest.raises(ValueError, match="JSON compliant"):
        artifacts.write_bundle(tmp_path / "bundle", {"name": "new", "metric": float("nan")}, NEW)
    assert names_in(tmp_path) == ["bundle"]
    bundle = Bundle(tmp_path / "bundle")
    bundle.verify()
    assert bundle.manifest["name"] == "old"


def test_a_replaced_bundle_holds_no_file_of_the_former(tmp_path: Path) -> None:
    artifacts.write_bundle(tmp_path / "bundle", {"name": "old"}, OLD)
    bundle = artifacts.write_bundle(tmp_path / "bundle", {"name": "new"}, NEW)
    assert {name: bundle.read(name) for name in bundle.files} == NEW
    assert names_in(bundle.folder) == ["a.bin", "c.bin", "manifest.json"]
    assert names_in(tmp_path) == ["bundle"]


def test_the_same_content_has_the_same_digest_and_other_content_another(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    digest = store.add({"name": "a", "about": "x"}, OLD)
    assert store.add({"about": "x", "name": "a"}, dict(reversed(OLD.items()))) == digest
    assert names_in(tmp_path) == [digest]
    others = {store.add({"name": "b", "about": "x"}, OLD), store.add({"name": "a", "about": "x"}, NEW)}
    assert len(others | {digest}) == 3
    assert store.bundle(digest).digest == digest


@pytest.mark.parametrize("damage", ["a.bin", "manifest.json", "all"])
def test_adding_a_bundle_again_heals_a_damaged_copy(tmp_path: Path, damage: str) -> None:
    store = ArtifactStore(tmp_path)
    digest = store.add({"name": "a"}, OLD)
    for name in names_in(tmp_path / digest) if damage == "all" else [damage]:
        (tmp_path / digest / name).write_bytes(b"damaged")
    with pytest.raises(InvalidArtifact):
        store.bundle(digest).verify()
    assert store.add({"name": "a"}, OLD) == digest
    store.bundle(digest).verify()


def test_many_may_add_the_same_bundle_at_once(tmp_path: Path) -> None:
    store, barrier, digests = ArtifactStore(tmp_path), threading.Barrier(8), []

    def add() -> None:
        barrier.wait()
        digests.append(store.add({"name": "a"}, OLD))

    threads = [threading.Thread(target=add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(digests) == 8
    assert names_in(tmp_path) == [digests[0]]
    store.bundle(digests[0]).verify()


def test_a_digest_that_is_not_stored_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArtifact, match="is not a bundle"):
        ArtifactStore(tmp_path).load("0" * 64)
