"""Scorer: one job's algorithm, loaded, which turns the bytes of a chunk into what is written and logged of it.

It needs nothing but the job's terms and the bundle's folder, so that it runs in any process, on any machine.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ml_pipeline.apps.ml.algorithm import Answers
from ml_pipeline.apps.ml.bundles import Bundle
from ml_pipeline.apps.ml.scoring import bulk, columns, ids, logged, rejections, streams, validation, written
from ml_pipeline.apps.ml.scoring.cuts import Cut
from ml_pipeline.apps.ml.scoring.jobs import Scored, Terms, answer_names
from ml_pipeline.apps.ml.scoring.records import Places
from ml_pipeline.apps.ml.scoring.tables import Chunk

FAILED = "the algorithm failed on this row"


class Scorer:
    """Scores the chunks of one job. Raises InvalidArtifact where its bundle cannot be loaded."""

    def __init__(self, terms: Terms) -> None:
        bundle = Bundle(Path(terms.folder), terms.digest)
        self._terms = terms
        self._algorithm = bulk.loaded(bundle, terms.runtime, terms.trusted_keys)
        self._signature = self._algorithm.algorithm.signature

    def score(self, content: bytes, cut: Cut) -> Scored:
        """What becomes of the chunk `cut`, whose bytes are `content`. Raises AlgorithmFailed."""
        begun, terms, signature = time.perf_counter(), self._terms, self._signature
        is_text = terms.input == "csv"
        chunk: Any = Chunk(content, terms.dialect, cut) if is_text else streams.Chunk(content, cut)
        read = chunk.read(signature.names)
        inputs, kept, complaints = validation.checked(read.columns, signature, coerce=is_text)
        answers, answered, failed = self._algorithm.answers(inputs)
        rejected = list(read.rejected)
        for at, its in complaints.items():
            place = int(read.places[at])
            rejected.append(rejections.of_complaints(cut.first_row + place, chunk.line(place), its))
        rejected += [chunk.rejection(int(read.places[kept[at]]), "", FAILED) for at in failed]
        rejected.sort()
        places = read.places[kept[answered]]
        if not len(places):
            return Scored(0, rejected, b"", None, _us_since(begun))
        digits = ids.hexes(ids.made(terms.job, terms.created_ms, cut.first_row + places))
        output, log = self._output(chunk, places, answers, digits), None
        if terms.logging is not None:
            asked = inputs.taken(answered) if len(failed) else inputs
            every = terms.probabilities
            log = logged.stream(asked, answers, digits, signature, terms.logging, probabilities=every)
        return Scored(len(places), rejected, output, log, _us_since(begun))

    def _output(self, chunk: Any, places: Places, answers: Answers, digits: ids.Bytes) -> bytes:
        terms = self._terms
        if terms.output == "parquet":
            return streams.written(chunk, places, dict(zip(self.names, self._told(answers, digits), strict=True)))
        cells = [_text(one) for one in self._told(answers, digits, delimiter=terms.delimiter)]
        if isinstance(chunk, Chunk):
            return bytes(written.rows(chunk, places, cells))
        return bytes(written.anew(chunk.texts(places), cells, terms.delimiter))

    @property
    def names(self) -> list[str]:
        """The columns that answers have in the output."""
        return answer_names(self._signature, probabilities=self._terms.probabilities)

    def _told(self, answers: Answers, digits: ids.Bytes, *, delimiter: str | None = None) -> list[pa.Array]:
        """A column of each of `names`; labels as cells of CSV where there is a delimiter."""
        request_ids = columns.fixed(ids.texts(digits))
        if answers.values is not None:
            return [pa.array(answers.values), request_ids]
        labels = self._signature.labels
        shown = labels if delimiter is None else [written.cell(label, delimiter) for label in labels]
        told = [columns.chosen(shown, np.asarray(answers.places)), _numbers(answers.probability)]
        if self._terms.probabilities:
            every = answers.probabilities
            told += [_numbers(None if every is None else every[:, at], len(digits)) for at in range(len(labels))]
        return [*told, request_ids]


def _us_since(begun: float) -> int:
    return round((time.perf_counter() - begun) * 1e6)


def _numbers(numbers: Any, rows: int = 0) -> pa.Array:
    if numbers is None:
        return pa.nulls(rows, pa.float64())
    return pa.array(numbers, mask=np.isnan(numbers))


def _text(column: pa.Array) -> pa.Array:
    return column.cast(pa.string()).fill_null("")
