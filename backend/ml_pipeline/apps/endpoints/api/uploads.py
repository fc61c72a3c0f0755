"""Uploads: the multipart form of `POST /api/v1/mlalgorithms`, turned into a submission."""

from __future__ import annotations

import json
from pathlib import PurePath
from typing import Any

from django.core.files.uploadedfile import TemporaryUploadedFile, UploadedFile
from rest_framework import serializers

from ml_pipeline.apps.endpoints import algorithms, registrations
from ml_pipeline.apps.ml.registration.submission import TABLE_KINDS, FileGiven, Submission, checked_metadata
from ml_pipeline.errors import Complaint, InvalidArtifact, InvalidInput
from ml_pipeline.rest.serializers import RefusesRepeatedFields, SentFile
from ml_pipeline.wire import strict_json

KINDS = ("onnx", "skops", "zip")
MAX_METADATA = 1_000_000
_PICKLES = frozenset({"joblib", "pickle", "pkl", "pt", "pth", "cloudpickle", "dill"})


class _Metadata(serializers.CharField):
    """JSON as text, or as a small file: that is how some clients send a part that has a type. Without text, `{}`."""

    def to_internal_value(self, data: Any) -> str:
        """The text. Raises ValidationError."""
        if not isinstance(data, UploadedFile):
            return super().to_internal_value(data)
        if (data.size or 0) > MAX_METADATA:
            raise serializers.ValidationError(f"at most {MAX_METADATA:,} bytes")
        try:
            return str(data.read(), "utf-8")
        except UnicodeDecodeError:
            raise serializers.ValidationError("text in UTF-8") from None


class UploadSerializer(RefusesRepeatedFields):
    """The form's fields; a file's name ends in its kind: `.onnx`, `.skops`, `.zip`; `.csv`, `.parquet`."""

    endpoint = serializers.CharField(max_length=63)
    name = serializers.CharField(max_length=algorithms.MAX_NAME, trim_whitespace=False)
    version = serializers.CharField(max_length=algorithms.MAX_NAME, trim_whitespace=False)
    artifact = SentFile()
    metadata = _Metadata(
        required=False,
        allow_blank=True,
        default="",
        max_length=MAX_METADATA,
        style={"base_template": "textarea.html", "rows": 8},
    )
    sample = SentFile(required=False, allow_null=True, default=None)
    reference = SentFile(required=False, allow_null=True, default=None)


def submission(values: dict[str, Any]) -> Submission:
    """The submission in the validated form `values`; its files stay where Django put them. Raises InvalidArtifact."""
    return Submission(
        artifact=_artifact(values["artifact"]),
        sample=_table("sample", values["sample"]),
        reference=_table("reference", values["reference"]),
        metadata=checked_metadata(_loaded(values["metadata"])),
        trusted_keys=registrations.trusted_keys(),
    )


def _loaded(text: str) -> Any:
    metadata = strict_json.loads(text.encode(), "metadata") if text.strip() else {}
    # What the child reads back must be what was checked here.
    return json.loads(json.dumps(metadata))


def _artifact(file: TemporaryUploadedFile) -> FileGiven:
    kind = _suffix(file)
    if kind in _PICKLES:
        raise InvalidArtifact(
            f"A .{kind} file is a program that runs when it is loaded, so none is taken. Save the model with skops, or "
            "export it to ONNX, or upload a bundle that is signed with a key the operator trusts."
        )
    if kind not in KINDS:
        raise InvalidInput([Complaint(None, "artifact", "a file that ends in .onnx, .skops or .zip", repr(file.name))])
    return FileGiven(file.temporary_file_path(), kind)


def _table(field: str, file: TemporaryUploadedFile | None) -> FileGiven | None:
    if file is None:
        return None
    kind = _suffix(file)
    if kind not in TABLE_KINDS:
        raise InvalidInput([Complaint(None, field, "a file that ends in .csv or .parquet", repr(file.name))])
    return FileGiven(file.temporary_file_path(), kind)


def _suffix(file: TemporaryUploadedFile) -> str:
    return PurePath(file.name or "").suffix[1:].lower()
