"""Batch jobs that a test puts into a home by itself, as a worker would leave them."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

from homes import Home

# `placed` makes a job from what `given` says of it; `chunks` are lists of rejected rows, None for one not done yet.
_PLACE = """
import json, sys
import django
django.setup()
from datetime import UTC, datetime, timedelta
from uuid import uuid4
from django.core.files.base import ContentFile
from ml_pipeline.apps.batches import files
from ml_pipeline.apps.batches.models import BatchChunk, BatchJob
from ml_pipeline.apps.endpoints.models import MLAlgorithm
given = json.loads(open({path!r}).read())
algorithm = MLAlgorithm.objects.get(name="random_forest")
now = datetime.now(UTC)
started_s, is_removed = given.pop("started_s", None), given.pop("is_removed", False)
result, chunks = given.pop("result", None), given.pop("chunks", [])
rows = given.pop("chunk_rows", 10)
values = dict(
    uid=uuid4(), parent_endpoint=algorithm.parent_endpoint, parent_mlalgorithm=algorithm,
    digest=algorithm.artifact_digest, runtime="onnx", created_by="tests", created_at=now, file_name="people.csv",
    input_bytes=1_000, input_format="csv", output_format="csv", probabilities=False, log_requests=True)
if started_s is not None:
    values["started_at"] = now - timedelta(seconds=started_s)
if given.get("state") not in (None, "queued", "running"):
    values["ended_at"] = now
if is_removed:
    values["removed_at"] = now
if result is not None:
    values["result_bytes"] = len(result.encode())
job = BatchJob.objects.create(**(values | given))
if result is not None and not is_removed:
    files.storage().save(files.result_name(job.uid), ContentFile(result.encode()))
for number, rejected in enumerate(chunks):
    done = rejected is not None
    BatchChunk.objects.create(
        job=job, number=number, offset=0, length=0, first_row=number * rows, first_line=2 + number * rows, rows=rows,
        rejected=len(rejected or ()), answered=rows - len(rejected or ()) if done else 0,
        token="t" if done else "", done_at=now if done else None)
    if rejected:
        lines = "".join(json.dumps(one) + chr(10) for one in rejected)
        files.storage().save(files.errors_part_name(job.uid, number, "t"), ContentFile(lines.encode()))
print(job.pk)
"""


def place(home: Home, **given: Any) -> int:
    """The id of a job of the random forest: `given` has columns of it, and `result`, `chunks`, `started_s`, …"""
    written = home.folder / f"{uuid4().hex}.json"
    written.write_text(json.dumps(given))
    return int(home.python(_PLACE.format(path=str(written))).split()[-1])
