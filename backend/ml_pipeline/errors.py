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

    @property
    def sentence(self) -> str:
        """Where it is, what was expected there, and what came."""
        place = f"row {self.row}, " if self.row is not None else ""
        name = f"field {self.field!r}: " if self.field is not None else ""
        return f"{place}{name}expected {self.expected}, got {self.got}"


class MLPipelineError(Exception):
    """Base of every error that a client may be told about."""

    # Whether the request that was refused with it is among those that are counted.
    is_counted = False

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


class TooManyTries(MLPipelineError):
    """Somebody tried to log in too often, under this name or from this address; `retry_after_s` says when to again."""

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


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
        more = f" (and {len(complaints) - 1} more)" if len(complaints) > 1 else ""
        super().__init__(message or f"{complaints[0].sentence}{more}", [asdict(one) for one in complaints])
        self.complaints = tuple(complaints)


class InvalidArtifact(MLPipelineError):
    """A bundle is incomplete, altered, or not what its manifest says."""


class AlgorithmFailed(MLPipelineError):
    """The algorithm raised, or returned something that is no prediction, on valid input."""


class Overloaded(MLPipelineError):
    """More rows, or more uploads, are under way than there is room for.

    `retry_after_s` says when to try again, where that is not at once.
    """

    def __init__(self, message: str, details: Any = None, *, retry_after_s: int | None = None) -> None:
        super().__init__(message, details)
        self.retry_after_s = retry_after_s


class QuotaExceeded(MLPipelineError):
    """A key or a team has asked for as much as it may; `retry_after_s` says when there is more."""

    def __init__(self, message: str, details: Any = None, *, retry_after_s: int) -> None:
        super().__init__(message, details)
        self.retry_after_s = retry_after_s


class AlgorithmNotReady(MLPipelineError):
    """The algorithm is known but not loaded in this process."""


class AlgorithmCrashed(AlgorithmNotReady):
    """The algorithm's own process ended, or sent what is no answer; it is being started again."""


class DeadlineExceeded(MLPipelineError):
    """The algorithm did not answer in time."""


class JournalUnavailable(MLPipelineError):
    """The prediction could not be committed, so it is not answered."""


class ProviderUnavailable(MLPipelineError):
    """The OpenID provider does not answer, or not as OpenID Connect says it should; nobody can come through it now."""


class ClusterUnavailable(MLPipelineError):
    """The Ray cluster is not reached, or would not score as this machine does; the rows are not to blame."""


class DatabaseUnavailable(MLPipelineError):
    """The database does not answer; nothing was changed."""


# What befalls whoever calls a server. These are not in the table of replies: no server answers with them.


class CallFailed(Exception):
    """Base of what can go wrong between a client and its server."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class NotReachable(CallFailed):
    """No reply came: nobody listens there, the connection broke, or the time was over."""


class ForeignReply(CallFailed):
    """What answered is not this product: a proxy, say, or another server on the port."""


class Refused(CallFailed):
    """The server answered with an error; its message is the server's sentence and, where there are rows, each of them.

    `status` is HTTP's, `code` what programs decide by, `details` as docs/errors.md has them; `retry_after_s` is None
    unless the server says when to come again.
    """

    def __init__(
        self, status: int, code: str, message: str, details: Any = None, retry_after_s: int | None = None
    ) -> None:
        super().__init__("\n".join([message, *_places(message, details)]))
        self.status, self.code, self.details, self.retry_after_s = status, code, details, retry_after_s


def _places(message: str, details: Any) -> list[str]:
    # At most ten: who reads more of them reads `details`.
    names = {"row", "field", "expected", "got"}
    complaints = [
        Complaint(**one)
        for one in (details if isinstance(details, list) else ())
        if isinstance(one, dict) and set(one) == names
    ]
    sentences = [complaint.sentence for complaint in complaints[:10]]
    # A single one is often the sentence itself.
    return [] if sentences == [message] else sentences
