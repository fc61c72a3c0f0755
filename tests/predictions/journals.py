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
from ml_pipeline.apps.predictions.routing import Route
algorithm = MLAlgorithm.objects.first().pk
route = Route(algorithm, "", "", "", "", "", False)
turn = WriteTurn()
journal = Journal(turn)

class Told:
    def __init__(self):
        self.finished, self.error, self.waiter = Future(), None, self
        self.route, self.size, self.started, self.is_counted = route, 0, 0.0, True
    def wake(self, calls):
        self.finished.set_result(None)

def entry(**changes):
    plain = Entry(uuid4().hex, algorithm, "ok", 1, "{}", "{}", "no", 0.5, 1, None, None, now())
    return plain._replace(**changes)

def commit(journal, entries):
    call = Told()
    with turn:
        journal.submit(Group(entries, [call]))
    call.finished.result(30)
    assert call.error is None
"""

# Some batches of two writers: of one, three and many rows, all committed by the journal.
LOGGED = (
    JOURNAL
    + """
for _ in range(2):
    journal = Journal(turn)
    for rows in (1, 3, 700, 1, 2):
        commit(journal, [entry(input_data='{"age":%d}' % row, unit="somebody", key_id=1) for row in range(rows)])
    journal.close(30)
"""
)

# A log of some days: `log(days_ago, *rows)` commits a batch that looks as if it had been so long ago. Each row is about
# the unit that it names, or nobody. `run(command)` is one of the server's own, and what it prints with `--json`.
AGED = (
    JOURNAL
    + """
import io, json, secrets
from datetime import UTC, datetime, timedelta
from uuid import UUID
from django.core.management import call_command
from django.core.management.base import CommandError
from ml_pipeline.apps.endpoints.models import Feedback, MLRequest
from ml_pipeline.apps.predictions.journal import stamp
from ml_pipeline.apps.predictions.models import Deed, JournalBatch

def day(days_ago):
    return (datetime.now(UTC) - timedelta(days=days_ago)).date().isoformat()

def old(moment, unit):
    at = int(moment.timestamp() * 1000) << 80 | 7 << 76 | 2 << 62
    text = "" if unit is None else "of-" + unit
    return entry(
        id=UUID(int=at | secrets.randbits(60)).hex, unit=unit, created_at=stamp(moment),
        input_data=json.dumps({"name": text}), full_response=json.dumps({"label": text}), response="\\u2603" + text,
    )

def log(days_ago, *units, journal=journal):
    moment = datetime.now(UTC) - timedelta(days=days_ago)
    entries = [old(moment, unit) for unit in units]
    commit(journal, entries)
    JournalBatch.objects.filter(pk=JournalBatch.objects.latest("pk").pk).update(created_at=moment)
    return [UUID(one.id) for one in entries]

def tell(request_id, value="<=50K"):
    return Feedback.objects.create(request_id=request_id, value=value, actor="tests", created_at=datetime.now(UTC)).pk

def run(command, *arguments):
    out = io.StringIO()
    call_command(command, *arguments, "--json", stdout=out)
    return json.loads(out.getvalue())

def refused(command, *arguments):
    try:
        run(command, *arguments)
    except CommandError as error:
        return str(error)

def verified():
    found = run("verify_log", "--archives")
    assert found["holds"], found["named"]
    return found

other = Journal(turn)
"""
)
