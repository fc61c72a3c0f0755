"""The notebook's side of the comparison: what the joblib pipelines answer, and clients that ask the server the same."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from homes import ENDPOINT
from people import as_rows, held_out_people
from servers import Server

CLIENTS = 8
ALGORITHMS = ("random_forest", "extra_trees", "decision_tree")


def made_up(frame: pd.DataFrame, count: int = 1_000) -> pd.DataFrame:
    """Rows with values from random people, a fifth of them missing or, for categories, never seen."""
    random = np.random.default_rng(20261123)
    result = pd.DataFrame(
        {name: frame[name].sample(count, replace=True, random_state=random).to_numpy() for name in frame}
    )
    for name in frame:
        dice = random.random(count)
        if not pd.api.types.is_numeric_dtype(frame[name]):
            result[name] = result[name].astype(object)
            result.loc[dice < 0.1, name] = [f"never seen {index}" for index in range(int((dice < 0.1).sum()))]
        result.loc[dice > 0.9, name] = np.nan
    return result


def assert_equal_to_the_notebook(answers: list[dict[str, Any]], pipeline: Any, frame: pd.DataFrame) -> None:
    assert [answer["label"] for answer in answers] == pipeline.predict(frame).tolist()
    served = np.array([answer["probability"] for answer in answers])
    assert np.abs(served - pipeline.predict_proba(frame)[:, 1]).max() <= 1e-5
    assert len({answer["request_id"] for answer in answers}) == len(answers)


def in_lists(server: Server, rows: list[dict[str, Any]], algorithm: str) -> list[dict[str, Any]]:
    answers = []
    for start in range(0, len(rows), 6_000):
        reply = server.predict(rows[start : start + 6_000], algorithm=algorithm)
        assert reply.status_code == 200, reply.text[:500]
        answers += reply.json()
    return answers


def one_by_one(server: Server, rows: list[dict[str, Any]], algorithm: str) -> list[dict[str, Any]]:
    headers = {"X-Api-Key": server.home.keys["predict"], "Content-Type": "application/json"}

    def ask(part: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        connection = HTTPConnection("127.0.0.1", server.port, timeout=60)
        for row in part:
            connection.request("POST", f"/api/v1/{ENDPOINT}/predict?algorithm={algorithm}", json.dumps(row), headers)
            reply = connection.getresponse()
            body = reply.read()
            assert reply.status == 200, body
            yield json.loads(body)
        connection.close()

    with ThreadPoolExecutor(CLIENTS) as pool:
        parts = list(pool.map(lambda first: list(ask(rows[first::CLIENTS])), range(CLIENTS)))
    return [parts[index % CLIENTS][index // CLIENTS] for index in range(len(rows))]


def rows_in_the_log(server: Server) -> int:
    with closing(sqlite3.connect(server.home.folder / "db.sqlite3")) as database:
        return int(database.execute("SELECT count(*) FROM endpoints_mlrequest").fetchone()[0])


def assert_every_row_alone_is_equal_and_logged_once(server: Server, bundles: Path) -> None:
    frame = held_out_people()
    before = rows_in_the_log(server)
    answers = one_by_one(server, as_rows(frame), "random_forest")
    assert rows_in_the_log(server) - before == len(frame)
    assert_equal_to_the_notebook(answers, joblib.load(bundles / "random_forest" / "model.joblib"), frame)
