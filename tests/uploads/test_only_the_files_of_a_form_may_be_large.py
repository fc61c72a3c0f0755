"""Text in an upload's form lies in memory, so it is bounded; so is the number of parts."""

from __future__ import annotations

import bodies
import pytest
from servers import Server

LARGE_MB = 200


@pytest.mark.parametrize(
    "beginning",
    [bodies.part("metadata"), bodies.part("artifact", ""), bodies.part("artifact", "m.onnx") + bodies.part("unknown")],
    ids=["text", "a file without a name", "after a file"],
)
def test_text_over_the_limit_is_refused_and_never_lies_in_memory(door: Server, beginning: bytes) -> None:
    assert bodies.posted(door, bodies.part("metadata")).status_code == 422
    before = bodies.peak_bytes(door)
    reply = bodies.posted(door, beginning, LARGE_MB)
    assert reply.status_code == 413, reply.text
    error = reply.json()["error"]
    assert (error["code"], error["details"]) == ("too_large", {"limit_bytes": 10_000_000})
    assert bodies.peak_bytes(door) - before < 100_000_000


@pytest.mark.parametrize("part", [bodies.part("unknown"), bodies.part("artifact", "m.onnx")], ids=["fields", "files"])
def test_ten_thousand_parts_are_refused_with_the_reason_and_no_traceback(door: Server, part: bytes) -> None:
    reply = bodies.posted(door, part * 10_000)
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "malformed")
    assert "The form has more than" in reply.json()["error"]["message"]
    assert "Traceback" not in door.log
