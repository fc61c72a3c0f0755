"""Sources: an uploaded file as a plain one that can be cut by offsets: not compressed, and text in UTF-8."""

from __future__ import annotations

import codecs
import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

from ml_pipeline.errors import BodyTooLarge, MalformedInput

# Declared by its sender; without that a byte order mark says so, else it is UTF-8.
ENCODINGS = ("utf-8", "utf-16", "utf-16-le", "utf-16-be", "latin-1", "cp1252")
BLOCK_BYTES = 1_000_000
_GZIP, _PARQUET = b"\x1f\x8b", b"PAR1"
_MARKS = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
# No byte of UTF-8: the row that has it is refused like any other that is not UTF-8.
_UNDECODABLE = "\udcff"


def _undecodable(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return _UNDECODABLE, error.end


codecs.register_error("ml_pipeline.undecodable", _undecodable)


def made_plain(source: Path, scratch: Path, *, encoding: str | None = None, most_bytes: int) -> Path:
    """`source` itself where it is plain, else `scratch` with what it expands to, `most_bytes` at most.

    Text that is not in its encoding becomes bytes that are not UTF-8, in its row alone. Raises MalformedInput and
    BodyTooLarge, and leaves no `scratch` then.
    """
    if encoding is not None and encoding not in ENCODINGS:
        raise MalformedInput(f"The encoding is one of {', '.join(ENCODINGS)}; {encoding[:40]!r} is not.")
    with source.open("rb") as handle:
        is_packed = handle.read(2) == _GZIP
    found = _encoding(source, is_packed, encoding)
    if not is_packed and found == "utf-8":
        return source
    try:
        _write(source, scratch, found, is_packed, most_bytes)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise
    return scratch


def is_parquet(path: Path) -> bool:
    """Whether the plain file at `path` begins as Parquet does."""
    with path.open("rb") as handle:
        return handle.read(4) == _PARQUET


def _encoding(source: Path, is_packed: bool, declared: str | None) -> str:
    with _opened(source, is_packed) as handle:
        head = next(_blocks(handle), b"")[:4]
    # Whatever is said of it, Parquet is no text.
    if head == _PARQUET:
        return "utf-8"
    return declared or _MARKS.get(head[:2], "utf-8")


def _write(source: Path, scratch: Path, encoding: str, is_packed: bool, most_bytes: int) -> None:
    left = most_bytes
    with _opened(source, is_packed) as handle, scratch.open("wb") as target:
        for block in _transcoded(_blocks(handle), encoding):
            left -= len(block)
            if left < 0:
                raise BodyTooLarge(f"The file expands to more than {most_bytes:,} bytes.")
            target.write(block)


def _opened(source: Path, is_packed: bool) -> IO[bytes]:
    if is_packed:
        return cast(IO[bytes], gzip.open(source, "rb"))
    return source.open("rb")


def _blocks(handle: IO[bytes]) -> Iterator[bytes]:
    try:
        while block := handle.read(BLOCK_BYTES):
            yield block
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise MalformedInput(f"The file is not whole gzip: {str(error)[:100]}.") from None


def _transcoded(blocks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    if encoding == "utf-8":
        yield from blocks
        return
    decoder = codecs.getincrementaldecoder(encoding)("ml_pipeline.undecodable")
    try:
        for block in blocks:
            yield decoder.decode(block).encode("utf-8", "surrogateescape")
        yield decoder.decode(b"", final=True).encode("utf-8", "surrogateescape")
    # UTF-16 without the mark that says which.
    except UnicodeError as error:
        raise MalformedInput(f"The file is not in {encoding}: {str(error)[:100]}.") from None
