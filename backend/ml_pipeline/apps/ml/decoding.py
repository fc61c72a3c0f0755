"""Decoding: the bytes of an ordinary JSON body to records, by a msgspec Struct compiled from a signature.

msgspec accepts duplicate keys, and escapes that spell NUL or half a surrogate pair. So a body with a backslash is not
decoded here, nor one that has more quotes than the keys and strings found account for: what is left over would be a
key that came twice. Whatever is unusual or wrong is left to the strict parser, which alone words complaints.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import UNSET, Meta, UnsetType

from ml_pipeline.apps.ml import values
from ml_pipeline.apps.ml.records import Record, Records
from ml_pipeline.apps.ml.signature import Feature, Signature

_SPACE = b" \t\r\n"
# JSON spells it only with a backslash, and a body with one is not decoded here.
_ESCAPED = re.compile(r'["\\\x00-\x1f]')
_DIGITS = re.compile(r"0|-?[1-9]\d{0,15}", re.ASCII)
# A type that no JSON value has.
_NOTHING = Annotated[int, Meta(gt=0, lt=0)]


class Decoded(NamedTuple):
    """The rows of a body, and whether they came as a list."""

    rows: Records
    listed: bool


class RowDecoder:
    """Decodes bodies for one signature. Thread-safe."""

    def __init__(self, signature: Signature) -> None:
        features = signature.features
        self._names = tuple(feature.name for feature in features)
        self._texts = tuple(place for place, feature in enumerate(features) if feature.type == "string")
        self._nullable_texts = tuple(place for place in self._texts if features[place].nullable)
        self._is_nullable = any(feature.nullable for feature in features)
        self._quotes = 2 * (len(features) + len(self._texts))
        self._is_speakable = not any(_ESCAPED.search(name) for name in self._names)
        row: Any = self._struct(features, _field)
        full: Any = self._struct(features, _full_field)
        self._one: msgspec.json.Decoder[Any] = msgspec.json.Decoder(row)
        self._full: msgspec.json.Decoder[Any] = msgspec.json.Decoder(full)
        self._many: msgspec.json.Decoder[list[Any]] = msgspec.json.Decoder(list[row])

    def decode(self, body: bytes) -> Decoded | None:
        """What `Signature.rows` makes of the strictly parsed body; None where this cannot say so at once."""
        if not self._is_speakable or b"\\" in body:
            return None
        full = self._decode_full(body)
        if full is not None:
            return full
        listed = body[:1] != b"{" and body[:100].lstrip(_SPACE)[:1] == b"["
        try:
            found = self._many.decode(body) if listed else (self._one.decode(body),)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        cells, quotes = self._cells(found)
        if body.count(b'"') != quotes:
            return None
        return Decoded(Records(self._names, cells), listed)

    def _decode_full(self, body: bytes) -> Decoded | None:
        # What comes nearly always: one row with all its values. With every key there, more quotes are keys come twice.
        if body.count(b'"') != self._quotes:
            return None
        try:
            found = self._full.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        return Decoded(Records(self._names, (msgspec.structs.astuple(found),)), False)

    def _struct(self, features: Sequence[Feature], field: Callable[[int, Feature], Any]) -> Any:
        return msgspec.defstruct(
            "Row",
            [field(place, feature) for place, feature in enumerate(features)],
            rename={f"f{place}": name for place, name in enumerate(self._names)} if self._is_speakable else None,
            forbid_unknown_fields=True,
            kw_only=True,
            frozen=True,
            gc=False,
        )

    def _cells(self, found: Sequence[Any]) -> tuple[list[Record], int]:
        # The complete records, and the quotes around their keys and strings.
        cells = [msgspec.structs.astuple(one) for one in found]
        if not self._is_nullable:
            return cells, len(cells) * self._quotes
        quotes = 0
        for index, record in enumerate(cells):
            if None in record or UNSET in record or "" in record:
                present = [value is not UNSET for value in record]
                texts = sum(isinstance(record[place], str) for place in self._texts)
                # An empty object is complained of: its quotes, none, are made not to fit.
                quotes += 2 * (sum(present) + texts) if any(present) else -1
                cells[index] = self._completed(record)
            else:
                quotes += self._quotes
        return cells, quotes

    def _completed(self, record: Record) -> Record:
        completed = [None if value is UNSET else value for value in record]
        for place in self._nullable_texts:
            if completed[place] == "":
                completed[place] = None
        return tuple(completed)


def _field(place: int, feature: Feature) -> tuple[str, Any] | tuple[str, Any, Any]:
    kind = _type(feature)
    if not feature.nullable:
        return f"f{place}", kind
    return f"f{place}", kind | None | UnsetType, UNSET


def _full_field(place: int, feature: Feature) -> tuple[str, Any]:
    # An empty text is a missing one.
    if feature.type == "string" and feature.nullable:
        named = tuple(category for category in feature.categories if category)
        some: Any = Annotated[str, Meta(min_length=1)]
        return f"f{place}", some if not feature.is_closed else Literal[named] if named else _NOTHING
    return f"f{place}", _type(feature)


def _type(feature: Feature) -> Any:
    if feature.is_closed:
        known: tuple[Any, ...] = feature.categories
        if feature.type == "integer":
            digits = [int(one) for one in known if _DIGITS.fullmatch(one)]
            known = tuple(one for one in digits if abs(one) <= values.MAX_INTEGER)
        return Literal[known] if known else _NOTHING
    if feature.type == "boolean":
        return bool
    if feature.type == "string":
        return str
    most = values.MAX_INTEGER if feature.type == "integer" else values.MAX_NUMBER
    bounds = feature.bounds or (-most, most)
    if bounds[0] > most or bounds[1] < -most:
        return _NOTHING
    least, most = max(bounds[0], -most), min(bounds[1], most)
    if feature.type == "integer":
        return Annotated[int, Meta(ge=math.ceil(least), le=math.floor(most))]
    return Annotated[float, Meta(ge=least, le=most)]
