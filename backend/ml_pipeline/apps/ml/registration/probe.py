"""The probe: what a model does with values that none of its rows has, before a client sends one."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ml_pipeline.apps.ml.algorithm import Algorithm
from ml_pipeline.apps.ml.records import Row
from ml_pipeline.apps.ml.registration import encoders
from ml_pipeline.apps.ml.registration.tables import Table
from ml_pipeline.apps.ml.signature import Feature, Signature
from ml_pipeline.errors import AlgorithmFailed, InvalidArtifact

# A feature is closed with at most as many categories: seen in the rows, or known to its encoder.
MAX_SEEN = 200
MAX_ENCODED = 10_000
# A row for each of thousands of features would be a large matrix: they go in parts.
MAX_CELLS = 100_000
# So many values that look like those seen are tried, each changed near its end: a model that reads dates fails on
# words, and is open to every date.
ALIKE = 16
MAX_PLACES = 32


def closed(native: Algorithm, pipeline: Any, known: Sequence[Table], rows: Sequence[Row]) -> Algorithm:
    """`native` with a signature in which a feature is closed where the model fails on values that it never saw.

    Its categories are then what the encoder in `pipeline` knows, else what is in the tables `known`; where these are
    too many it stays open. `rows` are rows that it answered. Raises InvalidArtifact where it fails without the value of
    a nullable feature.
    """
    signature = native.signature
    _refuse_needed(native, rows)
    encoded = encoders.known_values(pipeline, [feature.name for feature in signature.features])
    answered = {one.name: {row[one.name] for row in rows} - {None} for one in signature.features}
    unseen = {
        one.name: _never_seen(one, answered[one.name] | encoded.get(one.name, frozenset()))
        for one in signature.features
        if not one.is_closed and (one.type == "string" or (one.type == "integer" and one.name in encoded))
    }
    failing = _failing(native, rows[0], unseen)
    features = tuple(
        _closed(one, answered[one.name], encoded.get(one.name), known)
        if one.name in failing and not _reads_alike(native, rows[0], one, answered[one.name])
        else one
        for one in signature.features
    )
    # The runtime needs no more of a signature than names and types.
    return type(native)(Signature(features, signature.task, signature.labels), native.runtime)


def _refuse_needed(native: Algorithm, rows: Sequence[Row]) -> None:
    # Where a row lacked it, the model has answered already.
    unproven = [
        feature.name
        for feature in native.signature.features
        if feature.nullable and not any(row[feature.name] is None for row in rows)
    ]
    for name, reason in _failing(native, rows[0], dict.fromkeys(unproven)).items():
        raise InvalidArtifact(
            f"The feature {name[:60]!r} may be missing, says the signature or a row, and the model fails without it: "
            f"{reason[:300]}"
        )


def _failing(native: Algorithm, row: Row, changes: Mapping[str, Any]) -> dict[str, str]:
    """Those of `changes`, feature to value, with which the model fails on `row`, each by itself, and how it fails."""
    found = {}
    names = list(changes)
    step = max(1, MAX_CELLS // len(row))
    for start in range(0, len(names), step):
        part = names[start : start + step]
        # One call where all goes well, as it mostly does.
        if _failure(native, [{**row, name: changes[name]} for name in part]) is None:
            continue
        for name in part:
            reason = _failure(native, [{**row, name: changes[name]}])
            if reason is not None:
                found[name] = reason
    return found


def _failure(native: Algorithm, rows: Sequence[Row]) -> str | None:
    try:
        native.compute_prediction(rows)
    except AlgorithmFailed as error:
        return str(error.__cause__ or error)
    return None


def _never_seen(feature: Feature, seen: Collection[Any]) -> Any:
    if feature.type == "integer":
        return next(number for number in range(len(seen) + 1) if number not in seen)
    return next(text for text in (f"never seen {at}" for at in range(len(seen) + 1)) if text not in seen)


def _reads_alike(native: Algorithm, row: Row, feature: Feature, answered: set[Any]) -> bool:
    if feature.type == "integer":
        return False
    likes = (_alike(text, answered) for text in sorted(answered))
    values = itertools.islice((like for like in likes if like is not None), ALIKE)
    return any(_failure(native, [{**row, feature.name: value}]) is None for value in values)


def _alike(text: str, seen: Collection[str]) -> str | None:
    """`text` with another letter or digit, as near its end as makes it one not in `seen`; None where there is none."""
    for at in range(len(text) - 1, max(-1, len(text) - MAX_PLACES), -1):
        if not text[at].isalnum():
            continue
        for other in (chr(ord(text[at]) + 1), chr(ord(text[at]) - 1)):
            like = text[:at] + other + text[at + 1 :]
            if other.isalnum() and like not in seen:
                return like
    return None


def _closed(feature: Feature, answered: set[Any], encoded: frozenset[Any] | None, known: Sequence[Table]) -> Feature:
    if feature.type == "integer":
        whole = {int(one) for one in encoded or () if isinstance(one, int | float) and float(one).is_integer()}
        return _with(feature, [str(one) for one in sorted(whole | answered)], MAX_ENCODED)
    if encoded:
        return _with(feature, sorted(answered | {str(one) for one in encoded}), MAX_ENCODED)
    cells = {cell for table in known for cell in table.columns.get(feature.name, ()) if isinstance(cell, str) and cell}
    return _with(feature, sorted(cells | answered | set(feature.categories)), MAX_SEEN)


def _with(feature: Feature, categories: list[str], most: int) -> Feature:
    if not 0 < len(categories) <= most:
        return feature
    return replace(feature, categories=tuple(categories), is_closed=True)
