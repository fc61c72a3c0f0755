"""The log of predictions checked as an auditor would: each batch follows from its rows and the writer's one before."""

from __future__ import annotations

import json
from typing import NamedTuple

from homes import Home

_CHECK = """
import django, json
django.setup()
from itertools import groupby
from ml_pipeline.apps.endpoints.models import MLRequest
from ml_pipeline.apps.predictions import journal
from ml_pipeline.apps.predictions.models import JournalBatch
for writer, batches in groupby(JournalBatch.objects.order_by("writer", "seq"), lambda batch: batch.writer):
    head = journal.GENESIS
    for seq, batch in enumerate(batches, start=1):
        rows = MLRequest.objects.filter(batch_id=batch.pk).order_by("position")
        entries = [
            journal.Entry(
                row.id.hex, row.parent_mlalgorithm_id, row.outcome, row.revision, row.input_data, row.full_response,
                row.response, row.probability, row.latency_us, row.unit, row.key_id, journal.stamp(row.created_at),
                row.test_id, row.arm, row.job_id,
            )
            for row in rows
        ]
        head = journal.chained(head, entries)
        holds = batch.seq == seq and len(entries) == batch.rows and head == batch.sha256
        print(json.dumps([writer.hex, batch.rows, holds]))
"""


class Checked(NamedTuple):
    """One batch. It `holds` when nothing is missing before it and its rows are those that were hashed."""

    writer: str
    rows: int
    holds: bool


def checked(home: Home) -> list[Checked]:
    """All batches of the log, writer by writer in their order."""
    return [Checked(*json.loads(line)) for line in home.python(_CHECK).splitlines()]
