"""Recognition: what a sent file is, and whether it can be scored, by its beginning alone: a job reads the rest."""

from __future__ import annotations

import tempfile
import zlib
from pathlib import Path
from typing import IO

from django.conf import settings

from ml_pipeline.apps.batches import tellings
from ml_pipeline.apps.batches.models import Format
from ml_pipeline.apps.ml.scoring import dialects, jobs, records, sources
from ml_pipeline.apps.ml.signature import Signature
from ml_pipeline.errors import MalformedInput

# A line with the columns' names, in an encoding of two bytes a character; as much is read and as much expanded.
HEAD_BYTES = 2 * records.MAX_BYTES + 1_000
# Of gzip in many parts, each some 60 kB of text, more than there are in such a head.
MOST_PARTS = 200
_GZIP, _PARQUET, _ZIP = b"\x1f\x8b", b"PAR1", b"PK\x03\x04"


def recognised(file: IO[bytes], signature: Signature, *, encoding: str | None, probabilities: bool) -> Format:
    """What `file` is. Of Parquet no more is known then; a CSV begins as the algorithm with `signature` needs it.

    Raises MalformedInput for what is neither.
    """
    header = _header(file, encoding)
    if header is None:
        return Format.PARQUET
    dialects.check_features(header, signature)
    jobs.check_names(header, signature, probabilities=probabilities)
    return Format.CSV


def check_feedback(file: IO[bytes], *, encoding: str | None) -> None:
    """Raises MalformedInput where `file` does not begin as a CSV of feedback."""
    tellings.check_header(_header(file, encoding))


def _header(file: IO[bytes], encoding: str | None) -> tuple[str, ...] | None:
    """The columns of a CSV; None of Parquet."""
    file.seek(0)
    head = file.read(HEAD_BYTES)
    if head.startswith(_GZIP):
        head = _expanded(head)
    if head.startswith(_PARQUET):
        return None
    if head.startswith(_GZIP):
        raise MalformedInput("The file is gzip within gzip; a file is packed once.")
    if head.startswith(_ZIP):
        raise MalformedInput("The file is a zip archive, as workbooks (.xlsx) are, too: save its table as CSV.")
    # Under a name by which a clean-up knows it, should this process be killed.
    with tempfile.NamedTemporaryFile(dir=settings.WORK_DIR, suffix=".upload") as written:
        written.write(head)
        written.flush()
        return _read(Path(written.name), encoding)


def _read(path: Path, encoding: str | None) -> tuple[str, ...]:
    scratch = path.with_name(f"{path.name}-plain")
    try:
        # No encoding makes more than three bytes of one.
        plain = sources.made_plain(path, scratch, encoding=encoding, most_bytes=3 * HEAD_BYTES)
        return dialects.read(plain).header
    finally:
        scratch.unlink(missing_ok=True)


def _expanded(packed: bytes) -> bytes:
    # By hand: who makes gzip of endless headers or of nothing in many parts shall not be waited for.
    expanded = b""
    for _ in range(MOST_PARTS):
        part = zlib.decompressobj(wbits=31)
        try:
            expanded += part.decompress(packed, HEAD_BYTES - len(expanded))
        except zlib.error as error:
            if expanded:
                break
            raise MalformedInput(f"The file is not whole gzip: {str(error)[:100]}.") from None
        packed = part.unused_data
        if not part.eof or not packed or len(expanded) >= HEAD_BYTES:
            break
    return expanded
