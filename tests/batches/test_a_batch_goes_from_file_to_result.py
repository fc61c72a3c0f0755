"""Over HTTP, with a worker: a file is sent, waited for and fetched, its rejected rows and its log are there."""

from __future__ import annotations

import io

import pandas as pd
import pytest
import sent
from servers import Server


@pytest.mark.parametrize("output", ["csv", "parquet"])
def test_whoever_waits_is_told_of_the_end(working: Server, output: str) -> None:
    lines = sent.people(300).splitlines(keepends=True)
    lines[7] = b"-" + lines[7]
    lines[9] = b"1,2,3\n"
    reply = sent.post(working, b"".join(lines), wait="60", output=output, probabilities="true")
    assert reply.status_code == 200, reply.text
    job = reply.json()
    assert (job["state"], job["error"], job["remaining_s"]) == ("succeeded", "", None)
    assert (job["rows_total"], job["rows_done"]) == (300, 300)
    assert job["rows_per_s"] > 0
    with working.client("read") as client:
        result = client.get(job["links"]["result"])
        rejected = client.get(job["links"]["errors"]).json()
    assert len(result.content) == job["result_bytes"] == int(result.headers["Content-Length"])
    frame = pd.read_csv(io.BytesIO(result.content)) if output == "csv" else pd.read_parquet(io.BytesIO(result.content))
    assert len(frame) + len(rejected) == 300
    assert len(rejected) == job["rows_rejected"] >= 1
    assert (8, 10) in {(one["row"], one["line"]) for one in rejected}
    answers = ["label", "probability", "probability of <=50K", "probability of >50K", "request_id"]
    assert list(frame.columns) == [*sent.COLUMNS, *answers]
    with working.client("read") as client:
        assert client.get(f"/api/v1/mlrequests/{frame['request_id'][5]}").json()["response"] == frame["label"][5]


def test_a_file_that_is_wrong_further_down_fails(working: Server) -> None:
    content = sent.people(3) + b'"never closed' + b"x\n" * 700_000
    job = sent.post(working, content, wait="60").json()
    assert job["state"] == "failed"
    assert "quote" in job["error"] or "1,000,000" in job["error"]
    with working.client("read") as client:
        refused = client.get(job["links"]["result"])
        assert (refused.status_code, job["error"] in refused.json()["error"]["message"]) == (409, True)
        assert client.get(job["links"]["errors"]).status_code == 404
    with working.client("predict") as client:
        assert client.post(job["links"]["cancel"]).status_code == 409


def test_parquet_that_is_none_fails_in_the_job(working: Server) -> None:
    job = sent.post(working, b"PAR1" + b"x" * 100, wait="60").json()
    assert (job["state"], job["input_format"]) == ("failed", "parquet")
    assert job["error"]


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_a_declared_encoding_is_read(working: Server, encoding: str) -> None:
    text = sent.people(3).decode().replace("\r\n", "\n")
    header, _, rows = text.partition("\n")
    noted = f"{header},note\n" + "".join(f"{row},größe\n" for row in rows.splitlines())
    job = sent.post(working, noted.encode(encoding), wait="60", encoding=encoding).json()
    assert (job["state"], job["rows_done"], job["rows_rejected"]) == ("succeeded", 3, 0)
    with working.client("read") as client:
        assert "größe" in client.get(job["links"]["result"]).content.decode()
