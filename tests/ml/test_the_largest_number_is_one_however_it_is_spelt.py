"""A number that fits, or does not, fits or does not however it is spelt, and whichever way its body is decoded."""

from __future__ import annotations

import json

import pytest

from ml_pipeline.apps.ml import values
from ml_pipeline.apps.ml.decoding import RowDecoder
from ml_pipeline.apps.ml.signature import Feature, Signature
from ml_pipeline.errors import InvalidInput

SIGNATURE = Signature((Feature("x", "number"),), "regression")
LARGEST = int(values.MAX_NUMBER)


# A whole number just above the largest is rounded to it where it is read as a float, and not where as an integer.
@pytest.mark.parametrize("number", [LARGEST, LARGEST + 1, -LARGEST - 1, LARGEST + 2**80, 2 * LARGEST])
def test_whole_numbers_at_the_limit_are_accepted_or_refused_both_ways(number: int) -> None:
    found = RowDecoder(SIGNATURE).decode(json.dumps({"x": number}).encode())
    try:
        strict = SIGNATURE.rows([{"x": number}])
    except InvalidInput:
        assert found is None
    else:
        assert found is None or list(found.rows) == strict
