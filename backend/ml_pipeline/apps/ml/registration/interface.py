"""The signature of a model that came: declared, or read from the rows and the model."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ml_pipeline.apps.ml.registration import encoders, tables
from ml_pipeline.apps.ml.registration.materials import Material
from ml_pipeline.apps.ml.registration.tables import Table
from ml_pipeline.apps.ml.signature import Feature, Signature
from ml_pipeline.errors import InvalidArtifact

KEPT_SAMPLE_ROWS = 64
# Ones: many a formula has no answer at zero.
_EXAMPLES = {"integer": 1, "number": 1.0, "boolean": False}


def signature(about: dict[str, Any], material: Material, known: Sequence[Table]) -> Signature:
    """The signature that `about` declares, else the one that all of `known` and the model show.

    A feature is nullable where any of the tables lacks a value. Raises InvalidArtifact where too little is known.
    """
    if about.get("signature") is not None:
        return Signature.from_json(_completed(about["signature"], about, material.pipeline))
    if not known:
        raise InvalidArtifact("Send a sample or reference rows, or declare the signature in the metadata.")
    names = _names(material.pipeline, known[0], about.get("label_column"))
    encoded = encoders.known_values(material.pipeline, names)
    features = tuple(_feature(name, known, encoded.get(name, ())) for name in names)
    task, labels = _outcome(material.pipeline, about)
    return Signature(features, task, labels)


def sample_rows(found: Signature, known: Sequence[Table], material: Material) -> list[dict[str, Any]]:
    """Rows for warm-up and proof, at most 64: of the sample, else of the reference, else one made up.

    Made up only for a model that nothing is compiled from. Raises InvalidArtifact.
    """
    if known:
        return known[0].sampled(KEPT_SAMPLE_ROWS).rows(found, "sample")
    if material.pipeline is not None:
        raise InvalidArtifact("Send a sample: rows to prove the compiled model on.")
    row = {one.name: one.categories[0] if one.categories else _EXAMPLES.get(one.type, "") for one in found.features}
    return found.rows([row])


def truths(
    reference: Table, about: dict[str, Any], found: Signature, material: Material
) -> list[str | float | None] | None:
    """What was true of each row of `reference`: its label or value, None where that is missing; None without a column.

    Raises InvalidArtifact for what is no label, or no number.
    """
    column = about.get("label_column")
    if column is None:
        return None
    if column not in reference.columns:
        raise InvalidArtifact(f"The reference lacks the label column {column[:60]!r} that the metadata names.")
    classes = getattr(material.pipeline, "classes_", ())
    # By the class's own name, or the word for it; 0 and 0.0 are one class.
    words = {str(one): label for one, label in zip(classes, found.labels, strict=False)}
    words |= {label: label for label in found.labels}
    numbers = {float(one): label for one, label in words.items() if _is_number(one)}
    result: list[str | float | None] = []
    for cell in reference.columns[column]:
        if cell is None or (tables.is_missing(cell) and cell not in words):
            result.append(None)
        elif found.task == "regression" and _is_number(cell):
            result.append(float(cell))
        elif str(cell) in words:
            result.append(words[str(cell)])
        elif _is_number(cell) and float(cell) in numbers:
            result.append(numbers[float(cell)])
        else:
            expected = "a number" if found.task == "regression" else f"one of {', '.join(found.labels)}"
            raise InvalidArtifact(f"The reference's label column has {str(cell)[:60]!r}; expected {expected}.")
    return result


def _is_number(cell: Any) -> bool:
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return False


def _names(pipeline: Any, table: Table, label_column: str | None) -> list[str]:
    named = getattr(pipeline, "feature_names_in_", None)
    if named is not None:
        return [str(name) for name in named]
    names = [name for name in table.columns if name != label_column]
    wanted = 1 if _takes_a_text(pipeline) else getattr(pipeline, "n_features_in_", None)
    if wanted is not None and wanted != len(names):
        raise InvalidArtifact(
            f"The model takes {wanted} feature{'s' if wanted != 1 else ''} and the rows have {len(names)} columns"
            + ("" if label_column else "; if one is the label, name it as label_column in the metadata")
            + "."
        )
    return names


def _takes_a_text(pipeline: Any) -> bool:
    # A vectorizer takes a list of texts, and does not say so: it has no count of its features.
    while hasattr(pipeline, "steps") or hasattr(pipeline, "transformer_list"):
        pipeline = (pipeline.steps if hasattr(pipeline, "steps") else pipeline.transformer_list)[0][1]
    return hasattr(pipeline, "build_analyzer")


def _feature(name: str, known: Sequence[Table], encoded: Collection[Any]) -> Feature:
    # Digits that an encoder was fitted on as text, such as postal codes, are text.
    is_text = bool(encoded) and all(isinstance(value, str) for value in encoded)
    found = tables.feature(name, known, is_text=is_text)
    return replace(found, categories=tuple(category for category in found.categories if category))


def _outcome(pipeline: Any, about: dict[str, Any]) -> tuple[Any, tuple[str, ...]]:
    labels = tuple(str(label) for label in about.get("labels") or ())
    classes = getattr(pipeline, "classes_", None)
    if classes is None:
        return about.get("task") or ("classification" if labels else "regression"), labels
    if any(np.ndim(one) for one in classes):
        raise InvalidArtifact(
            f"The model is {len(classes)} classifiers in one, a label for each; register a model for each of them."
        )
    return "classification", labels or tuple(str(label) for label in classes)


def _completed(declared: Any, about: dict[str, Any], pipeline: Any) -> Any:
    # What the model says of itself need not be declared.
    if not isinstance(declared, dict):
        return declared
    task, labels = _outcome(pipeline, about)
    task = declared.get("task") or task
    said = about.get("labels") or declared.get("labels") or (labels if task == "classification" else ())
    return {**declared, "task": task, "labels": said}
