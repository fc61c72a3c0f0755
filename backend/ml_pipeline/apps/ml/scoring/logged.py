"""Logged: what the log says of a chunk's rows, made at once, in the words in which it is said online."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ml_pipeline.apps.ml.algorithm import Answers
from ml_pipeline.apps.ml.scoring import columns, ids
from ml_pipeline.apps.ml.scoring.ids import Bytes
from ml_pipeline.apps.ml.scoring.jobs import Logging
from ml_pipeline.apps.ml.scoring.validation import Inputs, Texts
from ml_pipeline.apps.ml.signature import Feature, Signature

_encoded = msgspec.json.Encoder().encode
_WORDS = ["false", "true"]


class Logged(NamedTuple):
    """One row as it is logged: its id in 32 hex digits, its input and reply in JSON, its response and probability."""

    id: str
    input_data: str
    full_response: str
    response: str
    probability: float | None


def stream(
    inputs: Inputs, answers: Answers, digits: Bytes, signature: Signature, terms: Logging, *, probabilities: bool
) -> bytes:
    """What is logged of these rows, as a stream of Arrow. `digits` are the ids'."""
    response, told = _response(answers, signature)
    table = {
        "id": columns.fixed(digits),
        "input_data": _inputs(inputs, digits, signature, terms),
        "full_response": _replies(answers, digits, signature, terms, probabilities=probabilities),
        "response": response,
        "probability": told,
    }
    # The same words in every row: a tenth is left.
    return columns.streamed(pa.RecordBatch.from_pydict(table), compression="lz4")


def entries(content: bytes) -> Iterator[Logged]:
    """The rows of a stream."""
    for batch in pa.ipc.open_stream(content):
        yield from map(Logged._make, zip(*(column.to_pylist() for column in batch.columns), strict=True))


def _inputs(inputs: Inputs, digits: Bytes, signature: Signature, terms: Logging) -> pa.Array:
    parts: list[Any] = []
    for at, feature in enumerate(signature.features):
        parts.append(("{" if at == 0 else ",") + _encoded(feature.name).decode() + ":")
        values = _values(
            inputs.columns[feature.name], feature, terms.redacted if feature.name in terms.redact else None
        )
        parts.append(values)
    rows = columns.joined([*parts, "}"])
    if terms.store_inputs >= 1.0:
        return rows
    # As the endpoint's rule has it: which are kept follows from the last eight digits of the id.
    last = _numbers(digits[:, -8:])
    return pc.if_else(pa.array(last < terms.store_inputs * 16**8), rows, "null")


def _numbers(digits: Bytes) -> npt.NDArray[np.int64]:
    halves = np.where(digits > ord("9"), digits - ord("a") + 10, digits - ord("0")).astype(np.int64)
    found: npt.NDArray[np.int64] = halves @ (16 ** np.arange(digits.shape[1] - 1, -1, -1, dtype=np.int64))
    return found


def _values(column: Any, feature: Feature, redacted: str | None) -> pa.Array:
    if isinstance(column, Texts):
        shown = column.texts if redacted is None else [redacted if text else text for text in column.texts]
        # Where none may be missing, an empty text is one.
        if redacted is not None and not feature.nullable:
            shown = [redacted] * len(shown)
        texts = ["null" if feature.nullable and not text else _encoded(text).decode() for text in shown]
        return columns.chosen(texts, column.codes)
    if redacted is not None:
        return columns.chosen([_encoded(redacted).decode(), "null"], np.isnan(column).astype(np.int8))
    if feature.type == "boolean":
        return columns.chosen([*_WORDS, "null"], np.where(np.isnan(column), 2, column).astype(np.int8))
    return columns.in_json(column, whole=feature.type == "integer")


def _replies(answers: Answers, digits: Bytes, signature: Signature, terms: Logging, *, probabilities: bool) -> pa.Array:
    names = {"algorithm": terms.algorithm, "version": terms.version, "endpoint": terms.endpoint}
    about = _encoded(names).decode()[1:-1]
    parts: list[Any] = ['{"request_id":"', columns.fixed(ids.texts(digits)), '","status":"OK","label":']
    if answers.values is not None:
        return columns.joined(
            [*parts, f'null,"probability":null,{about},"value":', columns.in_json(answers.values), "}"]
        )
    labels = [_encoded(label).decode() for label in signature.labels]
    if answers.places is None or answers.probability is None:
        raise ValueError("answers of a classification have labels")
    parts += [columns.chosen(labels, answers.places), ',"probability":', columns.in_json(answers.probability)]
    parts.append(f",{about}")
    if answers.probabilities is not None and (probabilities or len(labels) > 2):
        for at, label in enumerate(labels):
            parts.append((',"probabilities":{' if at == 0 else ",") + f"{label}:")
            parts.append(columns.in_json(answers.probabilities[:, at]))
        parts.append("}")
    return columns.joined([*parts, "}"])


def _response(answers: Answers, signature: Signature) -> tuple[pa.Array, pa.Array]:
    if answers.values is not None:
        texts = pa.array(map(repr, answers.values.astype(np.float64).tolist()), pa.string())
        return texts, pa.nulls(len(texts), pa.float64())
    told = np.asarray(answers.probability, dtype=np.float64)
    return columns.chosen(signature.labels, np.asarray(answers.places)), pa.array(told, mask=np.isnan(told))
