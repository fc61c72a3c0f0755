"""Work folders: where a process works for a while on this machine; what a killed one left is cleared."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

from django.conf import settings
from django.utils import timezone

REGISTRATION, BATCH = "registration-", "batch-"
_KINDS = (REGISTRATION, BATCH)


@contextmanager
def made(kind: str) -> Iterator[Path]:
    """An empty folder (but for a lock), which is gone after the block."""
    name = f"{kind}{uuid4().hex}"
    begun, folder = settings.WORK_DIR / f".{name}", settings.WORK_DIR / name
    begun.mkdir(mode=0o700, parents=True)
    try:
        # Held as long as this process lives and works here: how a clean-up tells the living from the dead.
        with (begun / "lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            # Seen by a clean-up only once it is held.
            begun.rename(folder)
            yield folder
    finally:
        for one in (begun, folder):
            shutil.rmtree(one, ignore_errors=True)


def clear(grace: timedelta) -> int:
    """How many were removed: those that nobody works in any more, and beginnings older than `grace`."""
    removed = 0
    for path in settings.WORK_DIR.iterdir():
        if path.name.startswith(_KINDS):
            removed += _clear_abandoned(path)
        # Of another process's beginning only the age tells whether it is still at it. What else is there is not ours.
        elif _age(path) > grace:
            removed += _clear_begun(path)
    return removed


def _clear_begun(path: Path) -> int:
    # A work folder before it was locked; an upload on its way in, as Django names it.
    if path.name.startswith(tuple(f".{kind}" for kind in _KINDS)):
        shutil.rmtree(path, ignore_errors=True)
    elif ".upload" in path.name and path.is_file():
        path.unlink(missing_ok=True)
    else:
        return 0
    return 1


def _clear_abandoned(folder: Path) -> int:
    try:
        with (folder / "lock").open() as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
    except BlockingIOError:
        return 0
    except FileNotFoundError:
        # Gone meanwhile.
        return 0
    return 1


def _age(path: Path) -> timedelta:
    try:
        return timedelta(seconds=max(0.0, timezone.now().timestamp() - path.stat().st_mtime))
    except FileNotFoundError:
        return timedelta(0)
