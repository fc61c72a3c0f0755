"""Form bodies become one string a field, and what could be read in two ways is refused."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from ml_pipeline.errors import MalformedInput
from ml_pipeline.wire import forms

TEXT = some.text(some.characters(exclude_categories=["Cs"], exclude_characters="\x00"))


@settings(derandomize=True, deadline=None, max_examples=200)
@given(some.dictionaries(TEXT, TEXT, max_size=20))
def test_what_a_client_encodes_is_read_as_it_was(fields: dict[str, str]) -> None:
    assert forms.loads(urlencode(fields).encode()) == fields


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (b"", {}),
        (b"age=37&sex=Male", {"age": "37", "sex": "Male"}),
        (b"hours-per-week=", {"hours-per-week": ""}),
        (b"native-country=United+States", {"native-country": "United States"}),
        (b"native-country=C%C3%B4te%20d%27Ivoire", {"native-country": "Côte d'Ivoire"}),
        (b"feedback=%3E50K", {"feedback": ">50K"}),
        (b"a=1;b=2", {"a": "1;b=2"}),
        (b"a=b=c", {"a": "b=c"}),
    ],
)
def test_a_field_is_its_decoded_string(body: bytes, fields: dict[str, str]) -> None:
    assert forms.loads(body) == fields


@pytest.mark.parametrize(
    "body",
    [
        b"age",
        b"age=37&",
        b"age=37&&sex=Male",
        b"a=1&a=1",
        b"a=1&%61=2",
        b"a=%",
        b"a=%4",
        b"a=%zz",
        b"a=%ff",
        b"a=%ED%A0%80",
        b"a=%00",
        b"%00=a",
        "a=é".encode(),
        b'{"age": 37}',
        b"&".join(b"field%d=1" % number for number in range(1_001)),
    ],
)
def test_what_is_no_form_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedInput):
        forms.loads(body)


def test_a_thousand_fields_are_read() -> None:
    assert len(forms.loads(b"&".join(b"field%d=1" % number for number in range(1_000)))) == 1_000
