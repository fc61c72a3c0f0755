"""A worker counts the steps of its jobs by what became of them, and its lines of the log name the job."""

from __future__ import annotations

import json
import sys

from homes import Home

_WORKER = """
import json, threading
import django
django.setup()
from django.conf import settings
from django.db import transaction
from ml_pipeline.apps.jobs import figures, handlers, jobs
from ml_pipeline.apps.jobs.worker import Worker
from ml_pipeline.metrics.recorder import recorder
from ml_pipeline.wire import log_lines
log_lines.take_over()
recorder.open(settings.HOME, "worker")

def fail(lease):
    raise ValueError("this one fails")

ended = threading.Event()
handlers.register("work", lambda lease: ended.set())
handlers.register("fault", fail)
with transaction.atomic():
    jobs.ask("fault", "f-1")
    jobs.ask("work", "w-1")
worker = Worker(look_s=0.02)
thread = threading.Thread(target=worker.run)
thread.start()
ended.wait(60)
worker.stop()
thread.join()
steps = {"/".join(key[1:]): values[0] for key, values in recorder.own().items() if key[0].endswith("job_steps")}
told = {metric.name: [(s.labels, s.value) for s in metric.samples] for metric in figures.metrics()}
print(json.dumps([steps, told]))
"""


def test_steps_are_counted_and_their_lines_name_the_job(each_home: Home) -> None:
    done = each_home.run(sys.executable, "-c", _WORKER)
    steps, told = json.loads(done.stdout)
    # Jobs that always stand are done beside them.
    assert {key: count for key, count in steps.items() if "monitoring" not in key} == {
        "work/done": 1,
        "fault/failed": 1,
    }
    jobs = {(labels["kind"], labels["state"]): value for labels, value in told["ml_pipeline_jobs"]}
    assert {one: jobs[one] for one in jobs if one[0] in {"work", "fault"}} == {
        ("fault", "queued"): 1,
        ("work", "succeeded"): 1,
    }
    ages_s = {labels["kind"]: value for labels, value in told["ml_pipeline_job_oldest_due_age_seconds"]}
    # Nor of those that are only taken while they have work.
    assert ages_s.keys() == {"fault"}
    assert 0 <= ages_s["fault"] < 60
    (line,) = [json.loads(line) for line in done.stderr.splitlines()]
    assert (line["job_kind"], line["job_subject"], line["level"]) == ("fault", "f-1", "error")
    assert "this one fails" in line["exception"]
