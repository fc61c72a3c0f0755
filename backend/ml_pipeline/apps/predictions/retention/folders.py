"""Folders: an archive's files, written under a name that does not count, then renamed; nothing is ever replaced."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from ml_pipeline.apps.ml import bundles
from ml_pipeline.apps.predictions.integrity.ledger import Archive, Ledger
from ml_pipeline.apps.predictions.retention import parquet
from ml_pipeline.apps.predictions.retention.parquet import Table

REQUESTS, BATCHES, FEEDBACK = "requests.parquet", "batches.parquet", "feedback.parquet"
FINISHED, UNFINISHED = "log-", ".unfinished-"


class Files(NamedTuple):
    """The tables of an archive that is being written."""

    folder: Path
    requests: Table
    batches: Table
    feedback: Table

    def close(self, before: str) -> tuple[Path, list[tuple[str, int, str]]]:
        """The folder under its own name, and its files, all of them durable."""
        files = [table.close() for table in (self.requests, self.batches, self.feedback)]
        bundles.sync_directory(self.folder)
        to = self.folder.parent
        folder = self.folder.rename(to / f"{FINISHED}{before}-{secrets.token_hex(4)}")
        bundles.sync_directory(to)
        return folder, files


@contextmanager
def begun(to: Path) -> Iterator[Files]:
    """Tables in a new folder under `to`; what is not closed by the end of the block is removed."""
    to.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=to.resolve()))
    try:
        yield Files(
            folder,
            Table(folder / REQUESTS, parquet.REQUESTS),
            Table(folder / BATCHES, parquet.BATCHES),
            Table(folder / FEEDBACK, parquet.FEEDBACK),
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def is_intact(archive: Archive, *names: str) -> bool:
    """Whether its files, all or those named, are there as they were written."""
    files = [one for one in archive.files if not names or one.name in names]
    try:
        return all(parquet.digest(archive.folder / one.name) == one.sha256 for one in files)
    except OSError:
        return False


def sweep(ledger: Ledger) -> None:
    """What deeds say is replaced is gone."""
    for one in ledger.replaced:
        if one.folder.exists():
            remove(one.folder)


def remove(folder: Path) -> None:
    """The folder of an archive is gone."""
    shutil.rmtree(folder)
    bundles.sync_directory(folder.parent)


def strays(ledger: Ledger, *more: Path) -> list[str]:
    """Folders beside the archives, and in `more`, that look like theirs and that no deed names."""
    known = {one.folder for one in ledger.archives.values()}
    places: Iterable[Any] = {one.parent for one in known} | {one.resolve() for one in more}
    found = (path for place in places for path in (*place.glob(f"{FINISHED}*"), *place.glob(f"{UNFINISHED}*")))
    return sorted(str(path) for path in found if path.is_dir() and path not in known)
