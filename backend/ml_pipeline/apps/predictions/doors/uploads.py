"""Uploads: large bodies on their way to Django, where they lie, and how many may be under way."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ml_pipeline.errors import Overloaded

# In one process and to one route, from the first byte until the reply: each lies on disk twice, as a body and as its
# files.
MAX_AT_ONCE = 4
RETRY_AFTER_S = 10


class Uploads:
    """The uploads to one route: keys with `scope` may send bodies of up to `limit_bytes`."""

    def __init__(self, scope: str, limit_bytes: int) -> None:
        self.scope = scope
        self.limit_bytes = limit_bytes
        self._places = threading.BoundedSemaphore(MAX_AT_ONCE)

    @contextmanager
    def place(self) -> Iterator[None]:
        """One upload is under way as long as the block lasts. Raises Overloaded."""
        if not self._places.acquire(blocking=False):
            raise Overloaded(f"{MAX_AT_ONCE} uploads are under way in this process.", retry_after_s=RETRY_AFTER_S)
        try:
            yield
        finally:
            self._places.release()


class Spool:
    """Large bodies, on disk in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def file(self) -> IO[bytes]:
        """A file without a name, for a body; its bytes go when it is closed, or this process ends."""
        return tempfile.TemporaryFile(dir=self._folder)
