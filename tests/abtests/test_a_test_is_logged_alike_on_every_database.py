"""The rows of a tested list and what its test has to count are one commit on each database, under the log's hash."""

from __future__ import annotations

import json

import trials
from homes import Home
from log_chains import checked
from people import PERSON
from servers import Server

from ml_pipeline.apps.abtests.assignment import Assignment

_STORED = """
import django, json
django.setup()
from ml_pipeline.apps.abtests.models import UncountedAnswers
from ml_pipeline.apps.endpoints.models import MLRequest
rows = [[str(row.id), row.test_id, row.arm] for row in MLRequest.objects.all()]
print(json.dumps([rows, [[one.test_id, json.loads(one.answers)] for one in UncountedAnswers.objects.all()]]))
"""


def test_rows_and_counts_are_there_together(each_home: Home) -> None:
    test_id = trials.begun(each_home)
    server = Server("asgi", each_home, {}).start()
    try:
        answers = server.predict([PERSON] * 30).json()
    finally:
        server.stop()
    rows, counts = json.loads(each_home.python(_STORED))
    assert sorted(rows) == sorted([answer["request_id"], test_id, answer["arm"]] for answer in answers)
    assert {answer["arm"] for answer in answers} == {0, 1}
    ((counted_test, counted),) = counts
    assert counted_test == test_id
    even = Assignment(trials.SALT, [1, 1])
    expected = sorted([even.arm(answer["request_id"])[1], answer["arm"], 0] for answer in answers)
    assert sorted(one[:3] for one in counted) == expected
    assert [(batch.rows, batch.holds) for batch in checked(each_home)] == [(30, True)]
