"""Ids: the request ids of a job's rows. They follow from job and row number, so that a row done again has its own.

A UUIDv7 each: 48 bits of when the job was made, in ms; 32 bits of the row's number, so that they rise with it and each
row of a job has another; 42 bits that the job's name and the number are hashed to, which differ from job to job.
"""

from __future__ import annotations

import hashlib
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Bytes: TypeAlias = npt.NDArray[np.uint8]
MAX_ROWS = 2**32
_DIGITS = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)
_DASHES = (8, 13, 18, 23)
_PLACES = np.array([at for at in range(36) if at not in _DASHES])


def made(job: str, created_ms: int, rows: npt.NDArray[np.int64]) -> Bytes:
    """The ids of the rows with these numbers, below MAX_ROWS, as 16 bytes each."""
    seed = np.frombuffer(hashlib.sha256(job.encode()).digest()[:8], dtype=np.uint64)[0]
    number = rows.astype(np.uint64)
    noise = _mixed(number + seed)
    ids = np.empty((len(rows), 16), dtype=np.uint8)
    ids[:, :6] = np.frombuffer(created_ms.to_bytes(6, "big"), dtype=np.uint8)
    # 12 bits of the number beside the version, 20 beside the variant.
    ids[:, 6] = 0x70 | (number >> np.uint64(28)).astype(np.uint8)
    ids[:, 7] = (number >> np.uint64(20)).astype(np.uint8)
    ids[:, 8] = 0x80 | ((number >> np.uint64(14)) & np.uint64(0x3F)).astype(np.uint8)
    ids[:, 9] = (number >> np.uint64(6)).astype(np.uint8)
    ids[:, 10] = (((number & np.uint64(0x3F)) << np.uint64(2)) | (noise >> np.uint64(62))).astype(np.uint8)
    ids[:, 11:] = noise.astype(">u8").view(np.uint8).reshape(-1, 8)[:, 3:]
    return ids


def hexes(ids: Bytes) -> Bytes:
    """The ids as 32 hex digits each, as the log has them."""
    digits = np.empty((len(ids), 32), dtype=np.uint8)
    digits[:, ::2] = _DIGITS[ids >> 4]
    digits[:, 1::2] = _DIGITS[ids & 15]
    return digits


def texts(digits: Bytes) -> Bytes:
    """The ids of these digits as 36 characters each, as clients know them."""
    written = np.full((len(digits), 36), ord("-"), dtype=np.uint8)
    written[:, _PLACES] = digits
    return written


def _mixed(numbers: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    # The last step of SplitMix64: each bit of the result depends on every bit of the number.
    with np.errstate(over="ignore"):
        mixed = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        found: npt.NDArray[np.uint64] = mixed ^ (mixed >> np.uint64(31))
    return found
