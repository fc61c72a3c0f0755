"""What goes into the child process of a registration, and what comes out. Plain data: it travels as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from ml_pipeline.errors import InvalidArtifact

ARTIFACT_KINDS = ("onnx", "skops", "zip", "folder")
TABLE_KINDS = ("csv", "parquet")
# A signature's own list comes with NumPy, whose threads the child must not have while it limits itself.
TASKS = ("classification", "regression")
# The one step that a model may fail and serve all the same, as it came.
COMPILING = "compiling it and proving that it answers alike"
# What an upload may say about its model beside the files; all optional.
METADATA = (
    "algorithm",
    "description",
    "label_column",
    "labels",
    "metrics",
    "output",
    "owner",
    "signature",
    "tags",
    "task",
)


@dataclass(frozen=True, slots=True)
class FileGiven:
    """A file that came, where it lies now, and its kind: one of ARTIFACT_KINDS or TABLE_KINDS."""

    path: str
    kind: str


@dataclass(frozen=True, slots=True)
class Submission:
    """One upload. `trusted_keys`: public keys, in base64, whose owners may vouch for a joblib.

    `uncompilable`: why it is not to be compiled, where that was tried and ended the process; "" else.
    """

    artifact: FileGiven
    sample: FileGiven | None = None
    reference: FileGiven | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    trusted_keys: tuple[str, ...] = ()
    uncompilable: str = ""

    def to_json(self) -> str:
        """The submission as text."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Submission:
        """The inverse of `to_json`."""
        document = json.loads(text)
        for name in ("artifact", "sample", "reference"):
            document[name] = FileGiven(**document[name]) if document[name] else None
        return cls(**{**document, "trusted_keys": tuple(document["trusted_keys"])})


@dataclass(frozen=True, slots=True)
class Registered:
    """What the record of an algorithm says, apart from who registered it and under which name.

    `timings_us`: runtime to microseconds a row at batch sizes "1" and "1000"; `serves`: batch size to its runtime.
    """

    content_digest: str
    runtime: str
    runtime_reason: str
    is_isolated: bool
    signature: dict[str, Any]
    parity: dict[str, Any] | None
    timings_us: dict[str, dict[str, float]]
    serves: dict[str, str]
    memory_bytes: int
    reference_profile: dict[str, Any] | None
    metrics: dict[str, Any]
    description: str
    owner: str
    tags: dict[str, str]
    code: str

    def to_json(self) -> str:
        """The record as text. Raises ValueError for NaN and infinity."""
        return json.dumps(asdict(self), allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Registered:
        """The inverse of `to_json`. Raises InvalidArtifact for what it did not write."""
        try:
            document = json.loads(text)
            return cls(**{one.name: document[one.name] for one in fields(cls)})
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidArtifact(f"The registration ended without a record: {error}") from None


def checked_metadata(document: Any) -> dict[str, Any]:
    """`document` as metadata. Raises InvalidArtifact naming the first thing that is wrong."""
    if not isinstance(document, dict):
        raise InvalidArtifact("The metadata is a JSON object.")
    unknown = sorted(set(document) - set(METADATA))
    if unknown:
        raise InvalidArtifact(f"The metadata has no {unknown[0][:60]!r}; it may have: {', '.join(METADATA)}.")
    for name in ("algorithm", "description", "label_column", "owner", "task"):
        if not isinstance(document.get(name, ""), str):
            raise InvalidArtifact(f"`{name}` in the metadata is text.")
    if document.get("task", TASKS[0]) not in TASKS:
        raise InvalidArtifact(f"`task` in the metadata is {' or '.join(TASKS)}.")
    labels, tags, metrics = document.get("labels", []), document.get("tags", {}), document.get("metrics", {})
    if not isinstance(labels, list) or not all(isinstance(label, str | int | float) for label in labels):
        raise InvalidArtifact("`labels` in the metadata is a list, a label for each class of the model, in its order.")
    if not isinstance(tags, dict) or not all(isinstance(value, str) for value in tags.values()):
        raise InvalidArtifact("`tags` in the metadata is an object of names and texts.")
    if not isinstance(metrics, dict):
        raise InvalidArtifact("`metrics` in the metadata is an object of names and numbers.")
    return document


def work_files(folder: Path) -> tuple[Path, Path, Path]:
    """Where in its work folder a registration finds its submission, and leaves its bundle and its record."""
    return folder / "submission.json", folder / "bundle", folder / "record.json"
