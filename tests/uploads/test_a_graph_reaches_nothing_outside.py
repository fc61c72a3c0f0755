"""ONNX models that name files, swell or never end: refused while predictions of others go on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import hostile_graphs
import refusals
import wine
from servers import BY_WSGI, Server

pytestmark = BY_WSGI


def _files(cases: dict[str, bytes]) -> dict[str, dict[str, Any]]:
    return {case: wine.files(content, "model.onnx", hostile_graphs.ROWS) for case, content in cases.items()}


def test_an_honest_graph_is_registered(door: Server) -> None:
    files = _files({"honest": hostile_graphs.honest()})["honest"]
    reply = refusals.upload(door, files, signature=hostile_graphs.SIGNATURE)
    assert reply.status_code == 201, reply.text


def test_data_outside_of_the_file_is_refused_wherever_it_is_named(door: Server, tmp_path: Path) -> None:
    weights = tmp_path / "weights.bin"
    weights.write_bytes(bytes(4))
    cases = _files(hostile_graphs.reaching_outside(str(weights)))
    messages = refusals.refused(door, cases, signature=hostile_graphs.SIGNATURE)
    assert not [
        case for case, said in messages.items() if "outside its file" not in said and "another file" not in said
    ]


def test_graphs_that_swell_are_refused(door: Server) -> None:
    cases = hostile_graphs.swelling()
    assert max(map(len, cases.values())) < 1_000
    refusals.refused(door, _files(cases), signature=hostile_graphs.SIGNATURE)


def test_graphs_that_never_end_are_refused(door: Server) -> None:
    messages = refusals.refused(door, _files(hostile_graphs.endless()), signature=hostile_graphs.SIGNATURE)
    assert "took too long" in messages["a loop over the row"]
    assert "took too long" in messages["a loop in a function"]
