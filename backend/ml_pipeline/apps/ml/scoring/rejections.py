"""Rejections: rows of a file that get no answer, each with its line, field and reason."""

from __future__ import annotations

from typing import NamedTuple

from ml_pipeline.errors import Complaint

# Of one row as many fields are named, and of each complaint so much.
MAX_FIELDS = 10
MAX_REASON = 500


class Rejection(NamedTuple):
    """A row without an answer: its number (from 0), its first line (from 1; 0 in Parquet), and what is wrong."""

    row: int
    line: int
    field: str
    reason: str


def of_complaints(row: int, line: int, complaints: tuple[Complaint, ...]) -> Rejection:
    """The rejection of a row for what is wrong with its fields: the first is named, the reason tells of others."""
    first = complaints[0]
    reasons = [f"expected {first.expected}, got {first.got}"]
    reasons += [f"{one.field}: expected {one.expected}, got {one.got}" for one in complaints[1:MAX_FIELDS]]
    return Rejection(row, line, first.field or "", "; ".join(reasons)[:MAX_REASON])
