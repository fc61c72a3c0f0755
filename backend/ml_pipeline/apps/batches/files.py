"""Files of a job in the storage: what was sent, the parts that are done, and what they were put together to.

Each is whole and on disk before any row of the database names it, and none is ever changed. A part is named by a token
of whoever made it: one who lost his lease writes beside the others, and nobody reads it.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from django.core.files.base import File
from django.core.files.storage import Storage, storages


def storage() -> Storage:
    """Where they are."""
    return storages["batches"]


def input_name(uid: UUID) -> str:
    """What was sent."""
    return f"{uid.hex}/input"


def output_part_name(uid: UUID, number: int, token: str) -> str:
    """The rows of a chunk with their answers: lines of CSV without a header, or a stream of Arrow."""
    return f"{uid.hex}/{number}-{token}.output"


def errors_part_name(uid: UUID, number: int, token: str) -> str:
    """A chunk's rejected rows, each a line of JSON: [row, line, field, reason]. There is none without such rows."""
    return f"{uid.hex}/{number}-{token}.errors"


def result_name(uid: UUID) -> str:
    """All rows with their answers: the file that is fetched."""
    return f"{uid.hex}/result"


@contextlib.contextmanager
def sent(content: File[Any]) -> Iterator[UUID]:
    """Who sent `content` is recorded under this id in the block; without a record it is not kept."""
    uid = uuid4()
    name = storage().save(input_name(uid), content)
    try:
        yield uid
    except BaseException:
        with contextlib.suppress(OSError):
            storage().delete(name)
        raise


def local_path(name: str) -> Path | None:
    """Where the file is on this machine; None where it must be fetched."""
    try:
        return Path(storage().path(name))
    except NotImplementedError:
        return None


def fetched(name: str, scratch: Path) -> Path:
    """The file on this machine: `scratch` where it had to be fetched."""
    path = local_path(name)
    if path is not None:
        return path
    with storage().open(name, "rb") as source, scratch.open("wb") as target:
        shutil.copyfileobj(source, target, 1_000_000)
    return scratch


def clear(uid: UUID, *, keep: Collection[str] = ()) -> None:
    """Of the job's files those with the names `keep` are left."""
    folder = uid.hex
    left = 0
    for name in _names(folder):
        if name in keep:
            left += 1
        else:
            storage().delete(name)
    if not left:
        # Object storage has no folders, and whoever lost his lease may have written to it.
        with contextlib.suppress(OSError):
            storage().delete(folder)


def folders() -> Iterator[tuple[UUID, datetime]]:
    """The jobs that have files, each with when the latest was stored."""
    try:
        found, _ = storage().listdir("")
    except FileNotFoundError:
        return
    for folder in found:
        try:
            uid = UUID(hex=folder)
            moments = [storage().get_modified_time(name) for name in _names(folder)]
        # What is not ours, and what goes meanwhile.
        except (ValueError, FileNotFoundError):
            continue
        yield uid, max(moments, default=datetime.min.replace(tzinfo=UTC))


def _names(folder: str) -> list[str]:
    try:
        _, names = storage().listdir(folder)
    except FileNotFoundError:
        return []
    return [f"{folder}/{name}" for name in names]
