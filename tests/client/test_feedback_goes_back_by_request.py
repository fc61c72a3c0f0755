"""Feedback from Python: one at a time, as a list and as a frame, in parts where there is much."""

from __future__ import annotations

from uuid import uuid4

import numpy as np
import pandas as pd
import pytest
from homes import ENDPOINT
from people import PERSON

from ml_pipeline.client import Client, payloads
from ml_pipeline.errors import InvalidInput, Refused


def test_the_first_outcome_counts(client: Client) -> None:
    request_id = client.predict(ENDPOINT, PERSON)["request_id"]
    assert client.feedback(request_id, "<=50K") == {"id": request_id, "status": "accepted", "feedback": "<=50K"}
    assert client.feedback(request_id, np.str_("<=50K"))["status"] == "unchanged"
    assert client.feedback(request_id, ">50K") == {"id": request_id, "status": "accepted", "feedback": "<=50K"}


def test_a_request_that_nobody_made_and_an_outcome_that_is_none_are_refused(client: Client) -> None:
    with pytest.raises(Refused, match="no request") as caught:
        client.feedback(str(uuid4()), "<=50K")
    assert caught.value.status == 404
    with pytest.raises(Refused) as caught:
        client.feedback(client.predict(ENDPOINT, PERSON)["request_id"], "rich")
    assert caught.value.details[0]["field"] == "feedback"
    for nothing in ("", ".", ".."):
        with pytest.raises(InvalidInput, match="a name or an id"):
            client.feedback(nothing, "<=50K")


def test_good_items_are_kept_although_others_are_not(client: Client) -> None:
    first, second = (reply["request_id"] for reply in client.predict(ENDPOINT, [PERSON, PERSON]))
    stranger = str(uuid4())
    frame = pd.DataFrame({"request_id": [first, second, stranger], "feedback": ["<=50K", "rich", "<=50K"]})
    told = client.feedback_all(frame)
    assert (told["accepted"], told["unchanged"], told["unknown"]) == (1, 0, [stranger])
    assert [(line["row"], line["request_id"]) for line in told["invalid"]] == [(1, second)]
    assert client.feedback_all([{"request_id": first, "feedback": "<=50K"}])["unchanged"] == 1


def test_much_feedback_is_sent_in_parts_and_its_rows_are_counted_from_the_first(client: Client) -> None:
    known = client.predict(ENDPOINT, PERSON)["request_id"]
    items = [{"request_id": "no id", "feedback": 1}] * (payloads.MAX_ROWS + 1) + [
        {"request_id": known, "feedback": "<=50K"}
    ]
    told = client.feedback_all(items)
    assert told["accepted"] == 1
    assert [line["row"] for line in told["invalid"]] == list(range(payloads.MAX_ROWS + 1))
