"""What the tests of checkpoints share: SQLite's fault on demand, and the write-ahead log as seen from outside."""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
import os
import sqlite3
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

# The fault is in 3.7.0 to 3.51.2, but for two branches that were mended later.
IS_FAULTY = sqlite3.sqlite_version_info < (3, 51, 3) and sqlite3.sqlite_version_info not in ((3, 44, 6), (3, 50, 7))
FILE_POINTER = 7
# sqlite3_io_methods: an int and, since version 2 of the structure, at least 16 functions; this one is xShmLock.
METHODS, LOCK = 19, 14
Lock = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_int, ctypes.c_int)
WRITER, CHECKPOINTER = 0, 1
UNLOCKS, LOCKS_EXCLUSIVELY = 1 | 8, 2 | 8
# The second copy of the index's header.
SECOND_COPY = 48


class Pause:
    """A place in every passive checkpoint of one connection at which `then` is called.

    It is after SQLite has read how long the log is and before it looks how much of that is copied. Nothing happens
    there by itself, but where the two copies of the header differ, SQLite reads it once more as the writer, and lets go
    of the writer's lock just then. So one copy is disturbed when the checkpoint begins, and mended when it asks for
    that lock. In a checkpoint that is the writer anyway `then` is called when it has ended.
    """

    def __init__(self, connection: sqlite3.Connection, database: Path, then: Callable[[], object]) -> None:
        self.then = then
        self.times = 0
        self._path = _index(database)
        self._disturbed = self._armed = False
        library = ctypes.CDLL(ctypes.util.find_library("sqlite3"))
        library.sqlite3_libversion.restype = ctypes.c_char_p
        assert library.sqlite3_libversion() == sqlite3.sqlite_version.encode(), "not the library that Python has"
        # The first field after an object's head is the handle.
        handle = ctypes.c_void_p.from_address(id(connection) + object.__basicsize__)
        file = ctypes.c_void_p()
        control = library.sqlite3_file_control
        control.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_void_p]
        assert control(handle, b"main", FILE_POINTER, ctypes.byref(file)) == 0
        assert file.value
        methods = ctypes.c_void_p.from_address(file.value)
        copied = (ctypes.c_void_p * METHODS)()
        ctypes.memmove(copied, methods.value, ctypes.sizeof(copied))
        self._original = Lock(copied[LOCK])
        # Kept alive for as long as SQLite may call it.
        self._kept = (copied, Lock(self._lock))
        copied[LOCK] = ctypes.cast(self._kept[1], ctypes.c_void_p).value
        methods.value = ctypes.addressof(copied)

    def _lock(self, file: Any, first: int, count: int, flags: int) -> int:
        result = int(self._original(file, first, count, flags))
        if (first, flags) == (CHECKPOINTER, LOCKS_EXCLUSIVELY) and result == 0:
            self._disturb()
        elif (first, flags) == (WRITER, LOCKS_EXCLUSIVELY) and self._disturbed:
            self._disturb()
            self._armed = True
        elif (first, flags) == (WRITER, UNLOCKS) and self._armed:
            self._armed = False
            self.times += 1
            self.then()
        return result

    def _disturb(self) -> None:
        # Done twice, it is undone.
        descriptor = _opened(self._path, self._path.stat().st_ino)
        byte = os.pread(descriptor, 1, SECOND_COPY)[0]
        os.pwrite(descriptor, bytes([byte ^ 1]), SECOND_COPY)
        self._disturbed = not self._disturbed


def shape(database: Path) -> tuple[int, int]:
    """Frames in the write-ahead log, and how many of them are copied into the database: from its index."""
    path = _index(database)
    index = os.pread(_opened(path, path.stat().st_ino), 100, 0)
    return struct.unpack_from("=I", index, 16)[0], struct.unpack_from("=I", index, 96)[0]


def _index(database: Path) -> Path:
    return database.with_name(f"{database.name}-shm")


@functools.cache
def _opened(path: Path, inode: int) -> int:
    # Never closed: that would end the locks of all connections of this process.
    return os.open(path, os.O_RDWR)


def writer(database: Path) -> sqlite3.Connection:
    """A connection such as the product's: in autocommit, without checkpoints of its own."""
    connection = sqlite3.connect(database, isolation_level=None, timeout=10, check_same_thread=False)
    for setting in ("wal_autocheckpoint=0", "journal_mode=WAL", "synchronous=FULL"):
        connection.execute(f"PRAGMA {setting}")
    return connection
