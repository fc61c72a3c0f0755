"""The folder of this machine's shards: who counts together, what of the dead stays, and when it begins anew.

All processes that share a home folder on one machine count as one server, whichever of them is asked. What a dead one
counted stays, in one file for all of them, as long as any other lives or whoever would start another in its place.
When nobody is left, the next begins at 0.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import socket
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

from ml_pipeline.metrics import families, processes, shards
from ml_pipeline.metrics.families import Kind
from ml_pipeline.metrics.shards import About, Key, Record, Shard

DEAD = "dead.folded"
# The folder of another machine, or of a container that had another name, goes when nothing has changed in it so long.
FORGOTTEN_S = 86_400.0
# How long the folder's lock is waited for.
PATIENCE_S = 5.0


class Contents(NamedTuple):
    """What all of them counted together, and whose the live shards are."""

    totals: dict[Key, list[float]]
    # By pid.
    gauges: dict[tuple[Key, int], float]
    live: Sequence[About]


class Folder:
    """The shards of one machine under `home`."""

    def __init__(self, home: Path) -> None:
        host = hashlib.sha256(socket.gethostname().encode()).hexdigest()[:16]
        self._all = home / "metrics"
        self.path = self._all / host
        self._dead = self.path / DEAD

    def begin(self, role: str) -> Shard:
        """A shard for this process; what is left of the dead is folded, or forgotten. Raises OSError."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._locked():
            self._tidy()
            about = About(os.getpid(), role, processes.leaders())
            return Shard(self.path / f"{uuid4().hex}.shard", about)

    def read(self) -> Contents:
        """What there is now. Raises OSError."""
        contents = Contents({}, {}, [])
        with self._locked():
            live = []
            for path, about, records in self._present():
                is_live = path != self._dead and shards.is_live(path)
                if is_live:
                    live.append(about)
                _add(contents, records, about.pid if is_live else None)
        return contents._replace(live=live)

    def _present(self) -> Iterator[tuple[Path, About, list[Record]]]:
        # A shard that is in the folded one already may still be there, where somebody was killed in between.
        folded: frozenset[str] = frozenset()
        for path in [self._dead, *self._shards()]:
            found = None if path.name in folded else shards.read(path)
            if found is not None:
                folded |= frozenset(found[0].folded)
                yield path, *found

    def _shards(self) -> list[Path]:
        # `glob` would show none where the folder cannot be read now.
        return sorted(path for path in self.path.iterdir() if path.suffix == ".shard")

    def _tidy(self) -> None:
        # Before they are read: what is dead by then counts no more.
        is_live = {path: shards.is_live(path) for path in self._shards()}
        present = list(self._present())
        leaders = {leader for _, about, _ in present for leader in about.leaders if processes.is_there(leader)}
        dead = [one for one in present if not is_live.get(one[0])]
        if leaders or any(is_live.values()):
            if any(path != self._dead for path, _, _ in dead):
                self._fold(dead, tuple(sorted(leaders)))
        else:
            self._dead.unlink(missing_ok=True)
        for path, lives in is_live.items():
            if not lives:
                path.unlink(missing_ok=True)
        self._forget_others()

    def _fold(self, dead: Sequence[tuple[Path, About, list[Record]]], leaders: tuple[tuple[int, str], ...]) -> None:
        contents = Contents({}, {}, [])
        for _, _, records in dead:
            _add(contents, records, None)
        names = tuple(path.name for path, _, _ in dead if path != self._dead)
        totals = [Record(key, tuple(values)) for key, values in contents.totals.items()]
        shards.write(self._dead, About(0, "dead", leaders, names), totals)

    def _forget_others(self) -> None:
        for other in self._all.iterdir():
            # Where it changes meanwhile, or is another user's, it is not ours to tidy up.
            with contextlib.suppress(OSError):
                if other != self.path and _is_forgotten(other):
                    shutil.rmtree(other, ignore_errors=True)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        file = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _take(file)
            yield
        finally:
            os.close(file)


def _is_forgotten(folder: Path) -> bool:
    files = list(folder.iterdir())
    changed_at = max(file.stat().st_mtime for file in [folder, *files])
    return changed_at < time.time() - FORGOTTEN_S and not any(map(shards.is_live, files))


def _take(file: int) -> None:
    # Held for milliseconds; by a process that was stopped in the middle of them, for ever.
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                raise TimeoutError("another process holds the folder of metrics for long") from None
            time.sleep(0.005)
        else:
            return


def _add(contents: Contents, records: Sequence[Record], pid: int | None) -> None:
    for key, values in records:
        family = families.TABLE.get(key[0])
        # Written by another version of ours, it may be anything.
        if family is None or len(values) != family.width or len(key) != len(family.labels) + 1:
            continue
        if family.kind is Kind.GAUGE:
            if pid is not None:
                contents.gauges[key, pid] = values[0]
            continue
        total = contents.totals.setdefault(key, [0.0] * family.width)
        for number, value in enumerate(values):
            total[number] += value
