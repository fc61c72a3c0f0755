"""`POST /api/v1/batch-predict` gives rows as predictions give them, and of too many says where to send them."""

from __future__ import annotations

import gzip
import io
import json
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
import sent
from homes import ENDPOINT
from people import as_rows, held_out_people
from servers import Server

PREDICT = "/api/v1/batch-predict"


def _post(server: Server, content: Any, **form: str) -> Any:
    return sent.post(server, content, route=PREDICT, **form)


@pytest.mark.parametrize("kind", ["csv", "gzip", "parquet"])
def test_rows_are_as_predictions_give_them(working: Server, kind: str) -> None:
    content = {"csv": sent.people, "gzip": sent.packed, "parquet": sent.parquet}[kind](20)
    reply = _post(working, content, probabilities="1")
    assert reply.status_code == 200, reply.text
    told = reply.json()
    online = working.predict(as_rows(held_out_people().head(20)), probabilities="1").json()
    assert told["rejected"] == []
    assert [row.pop("row") for row in told["rows"]] == list(range(20))
    for row, expected in zip(told["rows"], online, strict=True):
        assert set(row) == set(expected)
        for name in set(row) - {"request_id", "probability", "probabilities"}:
            assert row[name] == expected[name]
        assert row["probability"] == pytest.approx(expected["probability"], abs=1e-5)
        assert row["probabilities"] == pytest.approx(expected["probabilities"], abs=1e-5)
    with working.client("read") as client:
        logged = client.get(f"/api/v1/mlrequests/{told['rows'][3]['request_id']}").json()
        job = client.get(f"{sent.BATCHES}/{told['batch']}").json()
    assert logged["full_response"]["label"] == told["rows"][3]["label"]
    assert (job["state"], job["rows_done"], job["rows_total"]) == ("succeeded", 20, 20)


def test_rejected_rows_are_told_beside_the_others(working: Server) -> None:
    lines = sent.people(4).splitlines(keepends=True)
    lines[2] = b"x" + lines[2]
    told = _post(working, b"".join(lines), log_requests="false").json()
    assert [row["row"] for row in told["rows"]] == [0, 2, 3]
    assert [(one["row"], one["line"], one["field"]) for one in told["rejected"]] == [(1, 3, "age")]
    with working.client("read") as client:
        assert client.get(f"/api/v1/mlrequests/{told['rows'][0]['request_id']}").status_code == 404


def test_a_file_without_rows_has_no_answers(working: Server) -> None:
    told = _post(working, sent.people(0)).json()
    assert (told["rows"], told["rejected"]) == ([], [])


def _many(rows: int) -> bytes:
    frame = held_out_people()
    return pd.concat([frame] * (rows // len(frame) + 1)).head(rows).to_csv(index=False).encode()


def test_more_than_so_many_rows_are_for_another_route(working: Server) -> None:
    before = sent.traces(working)
    wide = sent.people(1) + b'"' + b"x" * 900_000 + b'"\n'
    for content in (_many(10_001), gzip.compress(wide * 20), b"a" * 10_000_001):
        reply = _post(working, content)
        assert (reply.status_code, reply.json()["error"]["code"]) == (413, "too_large"), reply.text
        assert "/api/v1/batches" in reply.json()["error"]["message"]
    assert sent.traces(working) == before


def test_of_parquet_a_worker_sees_that_there_are_more(working: Server) -> None:
    written = io.BytesIO()
    frame = held_out_people().head(1)
    pa.parquet.write_table(pa.Table.from_pandas(pd.concat([frame] * 10_001), preserve_index=False), written)
    reply = _post(working, written.getvalue())
    assert (reply.status_code, reply.json()["error"]["details"]) == (413, {"limit_rows": 10_000})
    with working.client("read") as client:
        latest = client.get(sent.BATCHES, params={"limit": 1}).json()[0]
        assert latest["state"] in ("cancelled", "succeeded")


def test_a_file_that_cannot_be_scored_says_why(working: Server) -> None:
    header = sent.people(0)
    assert _post(working, header + b'"never closed,' + b"1," * 600_000).status_code == 400
    broken = _post(working, b"PAR1 and nothing more")
    assert (broken.status_code, broken.json()["error"]["code"]) == (409, "conflict")
    assert "failed" in broken.json()["error"]["message"]
    assert _post(working, sent.people(1), output="csv").status_code == 422
    assert json.loads(_post(working, sent.people(1), endpoint="nothing").text)["error"]["code"] == "not_found"


def test_what_is_not_done_in_time_is_cancelled(start: Any) -> None:
    # No worker is there.
    server = start("asgi")
    reply = _post(server, sent.people(2))
    assert (reply.status_code, reply.json()["error"]["code"]) == (504, "deadline_exceeded")
    assert "No worker began the file" in reply.json()["error"]["message"]
    assert "/api/v1/batches" in reply.json()["error"]["message"]
    with server.client("read") as client:
        assert [one["state"] for one in client.get(sent.BATCHES).json()] == ["cancelled"]
        assert client.get(f"/api/v1/endpoints/{ENDPOINT}").status_code == 200
