"""Forms and CSV carry strings; the signature says what they mean. JSON strings are never read so."""

from __future__ import annotations

from typing import Any

import pytest

from ml_pipeline.apps.ml.signature import Feature, FeatureType, Signature
from ml_pipeline.errors import InvalidInput
from ml_pipeline.wire import strict_json


def read(kind: FeatureType, text: str, *, nullable: bool = True, coerce: bool = True) -> Any:
    signature = Signature((Feature("it", kind, nullable),), "regression")
    (row,) = signature.rows([{"it": text}], coerce=coerce)
    return row["it"]


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("integer", "39", 39),
        ("integer", " 39 ", 39),
        ("integer", "39.0", 39),
        ("integer", "-3", -3),
        ("integer", "+3", 3),
        ("integer", "007", 7),
        ("integer", "1e3", 1000),
        ("integer", "9007199254740992", 2**53),
        ("number", "40.5", 40.5),
        ("number", "40", 40.0),
        ("number", ".5", 0.5),
        ("number", "5.", 5.0),
        ("number", "-1.5E-3", -0.0015),
        ("boolean", "true", True),
        ("boolean", "False", False),
        ("boolean", "1", True),
        ("boolean", "0", False),
        ("string", "39", "39"),
        ("string", " x ", " x "),
        ("string", "", None),
        ("integer", "", None),
        ("number", "  ", None),
        ("boolean", "\t", None),
    ],
)
def test_a_string_means_its_value(kind: FeatureType, text: str, value: Any) -> None:
    assert read(kind, text) == value
    assert type(read(kind, text)) is type(value)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        *[("integer", text) for text in ("39.5", "old", "9007199254740993", "1e400", "0x10", "1_000", "1,000", "٣٩")],
        *[("number", text) for text in ("nan", "inf", "-Infinity", "1e39", "1e99999", "1e400", "--1", "1 2", "٣.٩")],
        *[("boolean", text) for text in ("yes", "on", "2", "truee")],
        ("integer", "9" * 5_000),
        ("number", "1" * 401),
    ],
)
def test_what_cannot_be_read_is_refused_as_it_came(kind: FeatureType, text: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        read(kind, text)
    (complaint,) = refusal.value.complaints
    assert (complaint.row, complaint.field) == (0, "it")
    assert complaint.got == strict_json.shown(text)


@pytest.mark.parametrize("kind", ["integer", "number", "boolean"])
def test_a_blank_is_missing_where_nothing_may_be_missing(kind: FeatureType) -> None:
    with pytest.raises(InvalidInput) as refusal:
        read(kind, " ", nullable=False)
    assert refusal.value.complaints[0].got == '" "'


@pytest.mark.parametrize(("kind", "text"), [("integer", "39"), ("number", "40.5"), ("boolean", "true")])
def test_a_json_string_is_only_a_string(kind: FeatureType, text: str) -> None:
    with pytest.raises(InvalidInput):
        read(kind, text, coerce=False)
