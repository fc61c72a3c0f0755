"""Wherever a writer is killed, a bundle stands there whole or not at all; the store heals what was damaged."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from small_models import flipped, store_at

from ml_pipeline.apps.ml import bundles
from ml_pipeline.apps.ml.bundles import Bundle
from ml_pipeline.errors import InvalidArtifact

OLD = {"a.bin": b"old" * 100, "b.bin": b"old"}
NEW = {"a.bin": b"new" * 100, "c.bin": b"new"}

# Writes NEW over OLD in a child that is killed at its k-th step on files, for every k; prints what stood there then.
KILLED_AT_EVERY_STEP = """
import itertools, os, shutil, signal, sys
from pathlib import Path
from ml_pipeline.apps.ml import bundles

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
        bundle = bundles.Bundle(folder)
    except bundles.InvalidArtifact:
        return "partial" if folder.exists() else "absent"
    bundle.verify()
    return bundle.manifest["name"]

for step in itertools.count():
    folder = root / str(step) / "bundle"
    if "replace" in sys.argv:
        bundles.write_bundle(folder, {"name": "old"}, OLD)
    pid = os.fork()
    if not pid:
        killed_at(step)
        bundles.write_bundle(folder, {"name": "new"}, NEW)
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
    bundles.write_bundle(tmp_path / "bundle", {"name": "old"}, OLD)
    with pytest.raises(OSError, match="too long"):
        bundles.write_bundle(tmp_path / "bundle", {"name": "new"}, {**NEW, "n" * 300: b""})
    with pytest.raises(ValueError, match="JSON compliant"):
        bundles.write_bundle(tmp_path / "bundle", {"name": "new", "metric": float("nan")}, NEW)
    assert names_in(tmp_path) == ["bundle"]
    bundle = Bundle(tmp_path / "bundle")
    bundle.verify()
    assert bundle.manifest["name"] == "old"


def test_a_replaced_bundle_holds_no_file_of_the_former(tmp_path: Path) -> None:
    bundles.write_bundle(tmp_path / "bundle", {"name": "old"}, OLD)
    bundle = bundles.write_bundle(tmp_path / "bundle", {"name": "new"}, NEW)
    assert {name: bundle.read(name) for name in bundle.files} == NEW
    assert names_in(bundle.folder) == ["a.bin", "c.bin", "manifest.json"]
    assert names_in(tmp_path) == ["bundle"]


def added(root: Path, name: str, files: dict[str, bytes]) -> str:
    """The digest of that bundle, which is in the store at `root` now."""
    bundle = bundles.write_bundle(root / "made" / name, {"name": name}, files)
    store_at(root).add(bundle)
    return bundle.digest


def objects_in(root: Path) -> list[Path]:
    return sorted(path for path in (root / "storage").rglob("*") if path.is_file())


def test_the_same_content_has_the_same_digest_and_other_content_another(tmp_path: Path) -> None:
    digest = bundles.write_bundle(tmp_path / "1", {"name": "a", "about": "x"}, OLD).digest
    again = bundles.write_bundle(tmp_path / "2", {"about": "x", "name": "a"}, dict(reversed(OLD.items())))
    assert again.digest == digest
    others = {
        bundles.write_bundle(tmp_path / "3", {"name": "b", "about": "x"}, OLD).digest,
        bundles.write_bundle(tmp_path / "4", {"name": "a", "about": "x"}, NEW).digest,
    }
    assert len(others | {digest}) == 3


def test_what_was_added_is_fetched_whole_and_added_again_it_is_one_object(tmp_path: Path) -> None:
    digest = added(tmp_path, "a", OLD)
    assert added(tmp_path, "a", OLD) == digest
    assert [path.name for path in objects_in(tmp_path)] == [f"{digest}.zip"]
    store = store_at(tmp_path)
    assert store.holds(digest)
    assert [one for one, _ in store.stored()] == [digest]
    bundle = store.bundle(digest)
    assert bundle.digest == digest
    assert {name: bundle.read(name) for name in bundle.files} == OLD
    store.discard(digest)
    assert not store.holds(digest)
    assert objects_in(tmp_path) == []
    with pytest.raises(InvalidArtifact, match="absent"):
        store.bundle(digest)


@pytest.mark.parametrize("damage", ["a.bin", "manifest.json", "all"])
def test_a_damaged_copy_in_the_cache_is_fetched_again(tmp_path: Path, damage: str) -> None:
    digest = added(tmp_path, "a", OLD)
    folder = store_at(tmp_path).bundle(digest).folder
    for name in names_in(folder) if damage == "all" else [damage]:
        (folder / name).write_bytes(b"damaged")
    bundle = store_at(tmp_path).bundle(digest)
    assert bundle.folder == folder
    assert {name: bundle.read(name) for name in bundle.files} == OLD
    assert names_in(folder.parent) == [digest]


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "another"])
def test_adding_a_bundle_again_heals_a_damaged_object(tmp_path: Path, damage: str) -> None:
    digest = added(tmp_path, "a", OLD)
    (stored,) = objects_in(tmp_path)
    content = stored.read_bytes()
    other = added(tmp_path / "elsewhere", "b", NEW)
    damaged = {
        "cut": content[:-30],
        "flipped": flipped(content, len(content) // 3),
        "empty": b"",
        "another": (tmp_path / "elsewhere" / "storage" / "bundles" / f"{other}.zip").read_bytes(),
    }
    stored.write_bytes(damaged[damage])
    with pytest.raises(InvalidArtifact, match="absent or was altered"):
        store_at(tmp_path).bundle(digest)
    assert added(tmp_path, "a", OLD) == digest
    store_at(tmp_path).bundle(digest).verify()
    assert objects_in(tmp_path) == [stored]


def test_many_may_add_the_same_bundle_at_once(tmp_path: Path) -> None:
    bundle = bundles.write_bundle(tmp_path / "made", {"name": "a"}, OLD)
    store, barrier = store_at(tmp_path), threading.Barrier(8)

    def add(_: int) -> None:
        barrier.wait()
        store.add(bundle)
        store.bundle(bundle.digest).verify()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(8)))
    assert [path.name for path in objects_in(tmp_path)] == [f"{bundle.digest}.zip"]
    store.bundle(bundle.digest).verify()
    assert names_in(tmp_path / "cache") == [bundle.digest]


def test_a_digest_that_is_not_stored_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArtifact, match="absent"):
        store_at(tmp_path).bundle("0" * 64)
    assert not store_at(tmp_path).holds("0" * 64)
