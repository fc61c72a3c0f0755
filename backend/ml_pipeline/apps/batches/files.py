"""Files of a job in the storage: what was sent, the parts that are done, and what they were put together to.

Each is whole and on disk before any row of the database names it, and none is ever changed. A part is named by a token
of whoever made it: one who lost his lease writes beside the others, and nobody reads it.
"""

from __future__ import annotations

from uuid import UUID

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
