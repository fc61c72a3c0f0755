"""What can go wrong, as exceptions named for the fact. They carry data and know no HTTP.

`wire/replies.py` holds the one table that maps them to codes and statuses. This module imports nothing of the package.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Complaint:
    """One thing that is wrong with one field of one row; `row` counts from 0 and is None for what is not a row."""

    row: int | None
    field: str | None
    expected: str
    got: str


class MLPipelineError(Exception):
    """Base of every error that a client may be told about."""

    def __init__(self, message: str, details: Any = None) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class MalformedInput(MLPipelineError):
    """The body or a parameter is not in the format it claims to be in."""


class UnknownParameter(MLPipelineError):
    """A query parameter that this route does not know."""


class Unauthenticated(MLPipelineError):
    """No valid key or session came with the request."""


class Forbidden(MLPipelineError):
    """The key or person is known but lacks the scope for this."""


class NotFound(MLPipelineError):
    """What was asked for does not exist, or not for this caller."""


class MethodNotAllowed(MLPipelineError):
    """The route exists but does not answer this method; `details["allowed"]` lists those it answers."""


class Conflict(MLPipelineError):
    """The request contradicts the present state; nothing was changed."""


class AmbiguousAlgorithm(MLPipelineError):
    """Several algorithms fit the selection and nothing says which is meant."""


class BodyTooLarge(MLPipelineError):
    """The request body exceeds its limit."""


class UnsupportedMediaType(MLPipelineError):
    """The body's media type is not one that this route reads."""


class InvalidInput(MLPipelineError):
    """Well-formed input that breaks a rule; the details say which row and field, what was expected and what came."""

    def __init__(self, complaints: Sequence[Complaint], message: str | None = None) -> None:
        first = complaints[0]
        place = f"row {first.row}, " if first.row is not None else ""
        name = f"field {first.field!r}: " if first.field is not None else ""
        more = f" (and {len(complaints) - 1} more)" if len(complaints) > 1 else ""
        sentence = message or f"{place}{name}expected {first.expected}, got {first.got}{more}"
        super().__init__(sentence, [asdict(one) for one in complaints])
        self.complaints = tuple(complaints)


class InvalidArtifact(MLPipelineError):
    """A bundle is incomplete, altered, or not what its manifest says."""


class AlgorithmFailed(MLPipelineError):
    """The algorithm raised, or returned something that is no prediction, on valid input."""


class Overloaded(MLPipelineError):
    """More rows are under way than the queue holds; try again shortly."""


class AlgorithmNotReady(MLPipelineError):
    """The algorithm is known but not loaded in this process."""


class JournalUnavailable(MLPipelineError):
    """The prediction could not be committed, so it is not answered."""


class DatabaseUnavailable(MLPipelineError):
    """The database does not answer; nothing was changed."""
