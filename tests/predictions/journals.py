"""Programs for homes that write to the log as a serving process does, without one."""

from __future__ import annotations

JOURNAL = """
import os
import django
django.setup()
from concurrent.futures import Future, ThreadPoolExecutor
from uuid import uuid4
from django.db import connection
from ml_pipeline.apps.endpoints.models import MLAlgorithm
from ml_pipeline.apps.predictions.commits import WriteTurn
from ml_pipeline.apps.predictions.journal import Entry, Group, Journal, now
algorithm = MLAlgorithm.objects.first().pk
turn = WriteTurn()
journal = Journal(turn)

class Told:
    def __init__(self):
        self.finished, self.error, self.waiter = Future(), None, self
    def wake(self, calls):
        self.finished.set_result(None)

def entry(**changes):
    plain = Entry(uuid4().hex, algorithm, "ok", 1, "{}", "{}", "no", 0.5, 1, None, None, now())
    return plain._replace(**changes)
"""

# Some batches of two writers: of one, three and many rows, all committed by the journal.
LOGGED = (
    JOURNAL
    + """
def commit(journal, entries):
    call = Told()
    with turn:
        journal.submit(Group(entries, [call]))
    call.finished.result(30)
    assert call.error is None

for _ in range(2):
    journal = Journal(turn)
    for rows in (1, 3, 700, 1, 2):
        commit(journal, [entry(input_data='{"age":%d}' % row, unit="somebody", key_id=1) for row in range(rows)])
    journal.close(30)
"""
)
