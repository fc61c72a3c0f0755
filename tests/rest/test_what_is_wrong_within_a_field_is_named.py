"""A complaint of what is within a list or an object names its place, what was expected there, and what came."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework import exceptions as drf
from rest_framework.parsers import JSONParser
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from ml_pipeline.apps.abtests.api.serializers import GuardrailSerializer
from ml_pipeline.rest import exceptions


def complaints(body: Any) -> list[dict[str, Any]]:
    """What a list of guardrails is refused for."""
    request = Request(APIRequestFactory().post("/", body, format="json"), parsers=[JSONParser()])
    read = GuardrailSerializer(data=request.data, many=True)
    with pytest.raises(drf.ValidationError) as raised:
        read.is_valid(raise_exception=True)
    # As where the list is a field of something.
    wrong = drf.ValidationError({"guardrails": raised.value.detail})
    whole = Request(APIRequestFactory().post("/", {"guardrails": body}, format="json"), parsers=[JSONParser()])
    reply = exceptions.handle(wrong, {"request": whole})
    assert reply is not None
    details: list[dict[str, Any]] = reply.data["error"]["details"]
    return [{name: one[name] for name in ("field", "expected", "got")} for one in details]


def test_a_field_of_a_part() -> None:
    body = [{"name": "errors"}, {"name": "slow", "margin": -1, "foo": 2}, {}]
    assert complaints([body[0], {**body[1], "foo": 2}]) == [
        {"field": "guardrails[1].foo", "expected": "a field of this route", "got": "2"}
    ]
    del body[1]["foo"]
    assert complaints(body) == [
        {
            "field": "guardrails[1].margin",
            "expected": "Ensure this value is greater than or equal to 0",
            "got": "-1",
        },
        {"field": "guardrails[2].name", "expected": "a value", "got": "nothing"},
    ]


def test_a_part_that_is_no_object_and_what_is_no_list() -> None:
    assert complaints([1]) == [{"field": "guardrails[0]", "expected": "an object", "got": "1"}]
    assert complaints("x") == [{"field": "guardrails", "expected": "a list", "got": '"x"'}]
