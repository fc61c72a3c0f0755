"""The signature of a model that came: declared, or read from the rows and the model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ml_pipeline.apps.ml.registration.materials import Material
from ml_pipeline.apps.ml.registration.tables import Table
from ml_pipeline.apps.ml.signature import Feature, Signature
from ml_pipeline.errors import InvalidArtifact

KEPT_SAMPLE_ROWS = 64
# Ones: many a formula has no answer at zero.
_EXAMPLES = {"integer": 1, "number": 1.0, "boolean": False}


def signature(about: dict[str, Any], material: Material, known: Sequence[Table]) -> Signature:
    """The signature that `about` declares, else the one that the first of `known` and the model show.

    A feature is nullable where any of the tables lacks a value. Raises InvalidArtifact where too little is known.
    """
    if about.get("signature") is not None:
        declared = Signature.from_json(about["signature"])
        return _relabelled(declared, about)
    if not known:
        raise InvalidArtifact("Send a sample or reference rows, or declare the signature in the metadata.")
    names = _names(material.pipeline, known[0], about.get("label_column"))
    features = tuple(_feature(name, known) for name in names)
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
        if cell is None or cell == "":
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
    wanted = getattr(pipeline, "n_features_in_", None)
    if wanted is not None and wanted != len(names):
        raise InvalidArtifact(
            f"The model takes {wanted} features and the rows have {len(names)} columns"
            + ("" if label_column else "; if one is the label, name it as label_column in the metadata")
            + "."
        )
    return names


def _feature(name: str, known: Sequence[Table]) -> Feature:
    seen = [table.feature(name) for table in known if name in table.columns] or [known[0].feature(name)]
    types = {one.type for one in seen}
    # 1, 2 in the one and 1.5 in the other are numbers.
    kind = "number" if types == {"integer", "number"} else seen[0].type
    if len(types) > 1 and kind != "number":
        raise InvalidArtifact(f"The column {name!r} is of {' and '.join(sorted(types))} in sample and reference.")
    categories = tuple(sorted({category for one in seen for category in one.categories} - {""}))
    return Feature(name, kind, any(one.nullable for one in seen), categories)


def _outcome(pipeline: Any, about: dict[str, Any]) -> tuple[Any, tuple[str, ...]]:
    labels = tuple(str(label) for label in about.get("labels") or ())
    classes = getattr(pipeline, "classes_", None)
    if classes is not None:
        return "classification", labels or tuple(str(label) for label in classes)
    task = about.get("task") or ("classification" if labels else "regression")
    return task, labels


def _relabelled(declared: Signature, about: dict[str, Any]) -> Signature:
    labels = tuple(str(label) for label in about.get("labels") or declared.labels)
    return Signature(declared.features, declared.task, labels)
