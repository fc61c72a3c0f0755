"""Jobs: what every chunk of a job has in common, as plain values that go to other processes and machines."""

from __future__ import annotations

from typing import Literal

import msgspec

from ml_pipeline.apps.ml.scoring.dialects import Dialect
from ml_pipeline.apps.ml.scoring.rejections import Rejection
from ml_pipeline.apps.ml.signature import Signature
from ml_pipeline.errors import MalformedInput

Format = Literal["csv", "parquet"]


class Logging(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the log says of each row beside input and answer; and what of inputs it keeps, as the endpoint says."""

    algorithm: str
    version: str
    endpoint: str
    redact: tuple[str, ...] = ()
    redacted: str = ""
    store_inputs: float = 1.0


class Terms(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A job: which bundle answers on which runtime, how its file is read, and what is written.

    `job` and `created_ms` make its rows' ids. Where rows are to be logged, `logging` says how.
    """

    folder: str
    digest: str
    runtime: str
    trusted_keys: tuple[str, ...]
    job: str
    created_ms: int
    input: Format
    output: Format
    header: tuple[str, ...]
    delimiter: str = ","
    probabilities: bool = False
    logging: Logging | None = None

    @property
    def dialect(self) -> Dialect:
        """How a chunk of its CSV is read."""
        return Dialect(self.header, self.delimiter, 0, 1)


class Scored(msgspec.Struct, frozen=True):
    """What became of a chunk: how many of its rows are answered, which are not, and the bytes to write and to log.

    The output is lines of CSV, or of Arrow a stream; `logged` is a stream (see `logged.entries`), or None. All of it
    took so many microseconds.
    """

    answered: int
    rejected: list[Rejection]
    output: bytes
    logged: bytes | None
    took_us: int = 0


def answer_names(signature: Signature, *, probabilities: bool) -> list[str]:
    """The columns that the output has after the input's own."""
    if signature.task == "regression":
        return ["value", "request_id"]
    every = [f"probability of {label}" for label in signature.labels] if probabilities else []
    return ["label", "probability", *every, "request_id"]


def check_names(header: tuple[str, ...], signature: Signature, *, probabilities: bool) -> None:
    """Raises MalformedInput where a column of the file has a name that the output gives to an answer."""
    taken = [name for name in answer_names(signature, probabilities=probabilities) if name in set(header)]
    if taken:
        raise MalformedInput(
            f"The file has a column {taken[0]!r}, as the output calls an answer: give it another name."
        )
