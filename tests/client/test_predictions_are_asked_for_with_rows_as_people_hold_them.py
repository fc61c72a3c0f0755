"""`Client.predict`: mappings, Series, lists, DataFrames; what is missing; what JSON cannot say; large frames."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from homes import ENDPOINT
from people import PERSON, held_out_people
from servers import Server

from ml_pipeline.apps.predictions.doors import bodies, exchange
from ml_pipeline.client import Client, payloads
from ml_pipeline.errors import InvalidInput, Refused


def answer(reply: dict[str, Any]) -> tuple[str, float]:
    return reply["label"], reply["probability"]


def logged(door: Server, request_id: str) -> dict[str, Any]:
    with door.client("read") as client:
        row: dict[str, Any] = client.get(f"/api/v1/mlrequests/{request_id}").json()
        return row


def test_one_mapping_gets_one_reply_and_a_list_a_list(client: Client) -> None:
    one = client.predict(ENDPOINT, PERSON)
    assert (one["algorithm"], one["version"], one["endpoint"]) == ("random_forest", "0.0.1", ENDPOINT)
    several = client.predict(ENDPOINT, [PERSON, PERSON])
    assert [answer(reply) for reply in several] == [answer(one)] * 2
    assert len({reply["request_id"] for reply in [one, *several]}) == 3


def test_a_frame_gets_the_replies_of_its_rows_in_order(client: Client) -> None:
    frame = held_out_people().head(50)
    assert frame.isna().any(axis=None)
    replies = client.predict(ENDPOINT, frame)
    alone = [client.predict(ENDPOINT, frame.iloc[index]) for index in range(len(frame))]
    assert [answer(reply) for reply in replies] == [answer(reply) for reply in alone]
    assert len({answer(reply) for reply in replies}) > 10


@pytest.mark.parametrize(
    "missing", [None, float("nan"), np.nan, np.float32("nan"), pd.NA, pd.NaT, np.datetime64("NaT")]
)
def test_whatever_is_missing_is_sent_as_null(door: Server, client: Client, missing: Any) -> None:
    reply = client.predict(ENDPOINT, {**PERSON, "age": missing, "workclass": missing})
    row = logged(door, reply["request_id"])["input_data"]
    assert (row["age"], row["workclass"], row["sex"]) == (None, None, PERSON["sex"])


def test_columns_of_every_kind_of_missing_value_are_sent_as_null(door: Server, client: Client) -> None:
    frame = pd.DataFrame([PERSON, PERSON]).astype({"age": "Int64", "education": "string", "workclass": "category"})
    frame.loc[1, ["age", "education", "workclass", "hours-per-week"]] = pd.NA
    whole, gappy = (logged(door, reply["request_id"])["input_data"] for reply in client.predict(ENDPOINT, frame))
    assert whole == PERSON
    assert gappy == {**PERSON, "age": None, "education": None, "workclass": None, "hours-per-week": None}


def test_numpy_scalars_are_sent_as_python_values(door: Server, client: Client) -> None:
    row = {
        **PERSON,
        "age": np.int64(37),
        "capital-gain": np.float64(0),
        "sex": np.str_("Male"),
        "fnlwgt": np.array(34146),
    }
    assert logged(door, client.predict(ENDPOINT, row)["request_id"])["input_data"] == PERSON


@pytest.mark.parametrize(
    ("value", "got"),
    [(float("inf"), "inf"), (np.float32("-inf"), "-inf"), (pd.Timestamp("2026-01-01"), "Timestamp"), ([1], "list")],
)
def test_what_json_cannot_say_is_refused_by_row_and_field_and_nothing_is_sent(
    door: Server, client: Client, value: Any, got: str
) -> None:
    with door.client("read") as reader:
        before = reader.get("/api/v1/mlrequests?limit=1").json()
        with pytest.raises(InvalidInput) as caught:
            client.predict(ENDPOINT, [PERSON, {**PERSON, "age": value}])
        assert reader.get("/api/v1/mlrequests?limit=1").json() == before
    complaint = caught.value.complaints[0]
    assert (complaint.row, complaint.field, complaint.got) == (1, "age", got)


@pytest.mark.parametrize("rows", ["a string", 7, {1, 2}, [7], np.zeros((2, 2))])
def test_what_is_no_row_is_refused(client: Client, rows: Any) -> None:
    with pytest.raises(InvalidInput, match=r"mapping"):
        client.predict(ENDPOINT, rows)


def test_a_frame_that_repeats_a_column_is_refused(client: Client) -> None:
    frame = pd.DataFrame([[1, 2]], columns=["age", "age"])
    with pytest.raises(InvalidInput, match="repeats a name"):
        client.predict(ENDPOINT, frame)


def test_a_lone_surrogate_is_refused(client: Client) -> None:
    with pytest.raises(InvalidInput, match="UTF-8"):
        client.predict(ENDPOINT, {"workclass": "\ud800"})


def test_selection_unit_and_probabilities_reach_the_server(door: Server, client: Client) -> None:
    def who(**selection: str) -> str:
        name: str = client.predict(ENDPOINT, PERSON, **selection)["algorithm"]
        return name

    assert who(algorithm="extra_trees") == "extra_trees"
    assert who(status="staging") == "decision_tree"
    assert who(algorithm="random_forest", version="0.0.1") == "random_forest"
    reply = client.predict(ENDPOINT, PERSON, unit="person 7", probabilities=True)
    assert sum(reply["probabilities"].values()) == pytest.approx(1)
    assert logged(door, reply["request_id"])["unit"] == "person 7"
    with pytest.raises(Refused) as caught:
        client.predict(ENDPOINT, PERSON, version="9")
    assert (caught.value.status, caught.value.code) == (404, "not_found")


def test_a_list_is_all_or_nothing_however_long(client: Client) -> None:
    with pytest.raises(Refused) as caught:
        client.predict(ENDPOINT, [{"age": 1}] * (payloads.MAX_ROWS + 1))
    assert (caught.value.status, caught.value.code) == (422, "invalid_input")


def test_a_frame_of_more_rows_than_a_request_takes_is_sent_in_parts(client: Client) -> None:
    frame = pd.DataFrame({"age": [20 + index % 60 for index in range(payloads.MAX_ROWS + 3)]})
    replies = client.predict(ENDPOINT, frame)
    assert len(replies) == len(frame)
    last = [client.predict(ENDPOINT, row) for row in frame.tail(3).to_dict("records")]
    assert [answer(reply) for reply in replies[-3:]] == [answer(reply) for reply in last]


def test_a_frame_of_more_bytes_than_a_request_takes_is_sent_in_parts(client: Client) -> None:
    frame = pd.DataFrame({"age": [37] * 60, "workclass": ["é" * 100_000] * 60})
    assert len(client.predict(ENDPOINT, frame)) == 60


def test_a_part_that_is_refused_counts_rows_from_the_first_and_says_what_was_taken(client: Client) -> None:
    ages = pd.Series([37] * payloads.MAX_ROWS + [38, "old"], dtype=object)
    with pytest.raises(Refused) as caught:
        client.predict(ENDPOINT, pd.DataFrame({"age": ages}))
    assert [detail["row"] for detail in caught.value.details] == [payloads.MAX_ROWS + 1]
    assert "The rows before row 10,000 were taken" in str(caught.value)
    assert f"row {payloads.MAX_ROWS + 1}, field 'age'" in str(caught.value)


def test_parts_are_as_large_as_the_server_takes() -> None:
    assert payloads.MAX_ROWS == bodies.MAX_ROWS
    assert 0.9 * exchange.MAX_BODY_BYTES < payloads.MAX_PART_BYTES < exchange.MAX_BODY_BYTES
    largest = max(len(part.body) for part in payloads.parts([{"a": "b" * 100_000}] * 250))
    assert largest <= exchange.MAX_BODY_BYTES
    assert [json.loads(part.body) for part in payloads.parts([])] == [[]]
