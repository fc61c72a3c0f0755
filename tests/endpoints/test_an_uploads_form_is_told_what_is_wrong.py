"""The form of an upload: every complaint names the field, what it should hold and what came, as a fact."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from servers import BY_ASGI, Server

pytestmark = BY_ASGI

UPLOADS = "/api/v1/mlalgorithms"
FORM = {"endpoint": "shop", "name": "model", "version": "1"}
ARTIFACT = {"artifact": ("m.onnx", b"no graph")}


def posted(door: Server, form: dict[str, Any], files: dict[str, Any]) -> httpx.Response:
    with door.client("manage") as client:
        # A file at least, or httpx would not send a multipart form.
        return client.post(UPLOADS, data={**FORM, **form}, files=files)


@pytest.mark.parametrize(
    ("form", "files", "field", "expected", "got"),
    [
        ({}, {"sample": ("rows.csv", b"x\n1\n")}, "artifact", "a value", "nothing"),
        ({}, {"artifact": (None, "m" * 5_000)}, "artifact", "a file", "5,000 characters"),
        ({}, {"artifact": (None, "model.skops")}, "artifact", "a file", '"model.skops"'),
        ({}, {"artifact": (None, "")}, "artifact", "a value", '""'),
        ({}, {"artifact": ("m.onnx", b"")}, "artifact", "a file that is not empty", 'the file "m.onnx"'),
        ({"name": "x" * 200}, ARTIFACT, "name", "at most 128 characters", "200 characters"),
        ({"name": ""}, ARTIFACT, "name", "text that is not blank", '""'),
        ({"name": "a\x00"}, ARTIFACT, "name", "text without NUL", '"a\\u0000"'),
        ({"name": ["a", "b"]}, ARTIFACT, "name", "one value", "2 values"),
        ({"colour": "red"}, ARTIFACT, "colour", "a field of this route", '"red"'),
        ({}, {**ARTIFACT, "colour": ("c.txt", b"red")}, "colour", "a field of this route", 'the file "c.txt"'),
        (
            {"metadata": "x" * 1_000_001},
            ARTIFACT,
            "metadata",
            "at most 1,000,000 characters",
            "1,000,001 characters",
        ),
        (
            {},
            {**ARTIFACT, "metadata": ("m.json", b" " * 1_000_001)},
            "metadata",
            "at most 1,000,000 bytes",
            'the file "m.json"',
        ),
        ({}, {**ARTIFACT, "metadata": ("m.json", b"\xff")}, "metadata", "text in UTF-8", 'the file "m.json"'),
    ],
    ids=lambda given: str(given)[:40],
)
def test_a_complaint_is_a_fact(
    door: Server, form: dict[str, Any], files: dict[str, Any], field: str, expected: str, got: str
) -> None:
    reply = posted(door, form, files)
    assert reply.status_code == 422, reply.text
    complaint = {"row": None, "field": field, "expected": expected, "got": got}
    assert reply.json()["error"]["details"] == [complaint]


def test_a_file_where_text_is_meant_is_named_by_its_name(door: Server) -> None:
    with door.client("manage") as client:
        form = {"endpoint": "shop", "version": "1"}
        reply = client.post(UPLOADS, data=form, files={**ARTIFACT, "name": ("name.txt", b"model")})
    assert reply.json()["error"]["details"] == [
        {"row": None, "field": "name", "expected": "text", "got": 'the file "name.txt"'}
    ]


@pytest.mark.parametrize("metadata", [(None, '{"colour": 1}'), ("m.json", b'{"colour": 1}', "application/json")])
def test_metadata_is_read_as_text_and_as_a_small_file(door: Server, metadata: tuple[Any, ...]) -> None:
    reply = posted(door, {}, {**ARTIFACT, "metadata": metadata})
    assert (reply.status_code, reply.json()["error"]["code"]) == (422, "invalid_artifact")
    assert "'colour'" in reply.json()["error"]["message"]


@pytest.mark.parametrize("metadata", [(None, "{colour}"), ("m.json", b"{colour}")])
def test_metadata_that_is_no_json_is_named(door: Server, metadata: tuple[Any, ...]) -> None:
    reply = posted(door, {}, {**ARTIFACT, "metadata": metadata})
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "malformed")
    assert reply.json()["error"]["message"].startswith("The metadata is not JSON: ")


@pytest.mark.parametrize("metadata", [(None, ""), ("m.json", b" \n")])
def test_metadata_without_text_says_nothing(door: Server, metadata: tuple[Any, ...]) -> None:
    reply = posted(door, {}, {**ARTIFACT, "metadata": metadata})
    # What is wrong is the model, which nobody looks at before the metadata is read.
    assert (reply.status_code, reply.json()["error"]["code"]) == (422, "invalid_artifact")
    assert "metadata" not in reply.json()["error"]["message"]


@pytest.mark.parametrize(
    ("body", "expected", "got"),
    [([1, 2], "an object", "[1, 2]"), ("text", "an object", '"text"'), ({"name": {}}, "text", "{}")],
    ids=str,
)
def test_a_body_of_json_is_complained_of_alike(door: Server, body: Any, expected: str, got: str) -> None:
    with door.client("manage") as client:
        reply = client.post("/api/v1/endpoints", json=body)
    (complaint,) = reply.json()["error"]["details"]
    assert (reply.status_code, complaint["expected"], complaint["got"]) == (422, expected, got)
