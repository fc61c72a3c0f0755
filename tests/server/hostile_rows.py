"""Rows of every model that has a page, their texts written to run in it. Run in a home: `python hostile_rows.py`.

Written past the API, which would refuse much of it: what a page shows must be safe whoever wrote it, and however.
"""

from __future__ import annotations

import itertools
import json
from typing import Any
from uuid import UUID

# Each sets `ran` where a page takes it for markup, but for the braces, which a template would reckon.
BRACES, RECKONED = "{{7*7*1111}}", "54439"
SCRIPT = "<script>ran=1</script>"
TEXTS = (
    '"><img src=x onerror=ran=1>',
    SCRIPT,
    "'><svg onload=ran=1>",
    "</textarea><img src=x onerror=ran=1>",
    f"</script>{SCRIPT}",
    "javascript:window.ran=1",
    BRACES,
    "<a onfocus=ran=1",
    "<svg onload=a>",
)
ALL = "".join(TEXTS)
# Enough for each text to be once in each short column.
ROWS = 4


class Texts:
    """Gives column after column another of TEXTS that fits, so that rows of one model differ."""

    def __init__(self) -> None:
        self._next = itertools.cycle(TEXTS)
        self._count = itertools.count(1)

    def short(self, size: int) -> str:
        """The next one, and a number where there is room, so that it is unique."""
        text = next(one for one in self._next if len(one) <= size)
        return f"{text}{next(self._count)}"[: max(size, len(text))] if len(text) + 4 <= size else text

    def of(self, field: Any) -> Any:
        """A value for that column."""
        kind = type(field).__name__
        if kind == "JSONField":
            return {ALL: [ALL, {self.short(60): self.short(60)}]}
        return ALL if kind == "TextField" else self.short(field.max_length)


def fill(row: Any, texts: Texts, **values: Any) -> Any:
    """The unsaved `row` with a text in each column that takes one, and with `values`; saved."""
    for field in row._meta.concrete_fields:
        kind = type(field).__name__
        if (
            field.name not in values
            and kind in ("CharField", "TextField", "JSONField", "EmailField")
            and not field.choices
        ):
            setattr(row, field.attname, texts.of(field))
    for name, value in values.items():
        setattr(row, name, value)
    row.save(force_insert=True)
    return row


def terms(number: int) -> dict[str, Any]:
    """What a test that runs was started with, and what it has come to."""
    from ml_pipeline.stats.courses import Course
    from ml_pipeline.stats.plans import Plan

    numbers = {"alpha": 0.05, "harm_alpha": 0.01, "margin": 0.0, "min_labels": 0, "min_time_s": 0.0}
    return {
        "metric": {"name": "accuracy", "cap": None, "low": None, "high": None},
        "plan": {**numbers, "max_labels": None, "max_time_s": None, "weights": [1, 1], "guardrails": []},
        "promotes": True,
        "salt": f"{number:064x}",
        "course": Course(Plan()).state(),
        "certificate": None,
    }


def make(number: int, texts: Texts) -> dict[str, Any]:
    """One row of each model; the keys are the models' labels."""
    from django.contrib.admin.models import LogEntry
    from django.contrib.auth.models import User
    from django.contrib.contenttypes.models import ContentType
    from django.utils import timezone

    from ml_pipeline.apps.abtests.models import ABTest, Arm
    from ml_pipeline.apps.accounts.models import ApiKey, Membership, Team
    from ml_pipeline.apps.batches.models import BatchChunk, BatchJob, FeedbackFile
    from ml_pipeline.apps.endpoints import models
    from ml_pipeline.apps.events.models import Delivery, Event, Receiver
    from ml_pipeline.apps.monitoring.models import Alarm, Alert, AlertRule, DriftTest, Window

    now, digest = timezone.now(), f"{number:064x}"
    real = models.MLAlgorithm.objects.get(name="decision_tree")
    signature = json.loads(json.dumps(real.signature).replace("age", "</pre><img src=x onerror=ran=1>"))
    team = fill(Team(created_at=now), texts)
    person = fill(User(is_staff=True), texts, password="!")
    fill(Membership(team=team, user=person, role="viewer", created_at=now), texts)
    scopes = [texts.short(60)]
    key = fill(ApiKey(created_at=now), texts, team=team, scopes=scopes, endpoint_ids=None, hash=digest)
    event = fill(Event(created_at=now), texts)
    # Half of them under a name that an address may have, so that the API's pages about them are there.
    name = {"name": f"hostile_{number}"} if number % 2 else {}
    endpoint = fill(models.Endpoint(team=team, created_at=now), texts, settings={"redact": [ALL[:100]]}, **name)
    algorithm = models.MLAlgorithm(parent_endpoint=endpoint, created_at=now)
    fill(algorithm, texts, artifact_digest=real.artifact_digest, content_digest=digest, signature=signature, serves={})
    other = fill(
        models.MLAlgorithm(parent_endpoint=endpoint, created_at=now),
        texts,
        **{"artifact_digest": real.artifact_digest, "content_digest": f"{number:063x}f", "signature": signature},
        serves={},
    )
    tag = fill(models.AlgorithmTag(parent_mlalgorithm=algorithm), texts)
    alias = fill(models.EndpointAlias(parent_endpoint=endpoint, parent_mlalgorithm=algorithm, created_at=now), texts)
    step = models.MLAlgorithmStatus(
        parent_mlalgorithm=algorithm, status="archived", active_of=algorithm, created_at=now
    )
    fill(step, texts)
    request = models.MLRequest(id=UUID(int=number), parent_mlalgorithm=algorithm, revision=1, batch_id=0, position=0)
    request.latency_us, request.created_at = 1, now
    data = json.dumps({ALL: ALL})
    fill(request, texts, input_data=data, full_response=data)
    feedback = fill(models.Feedback(request_id=request.pk, created_at=now), texts)
    abtest = fill(ABTest(parent_endpoint=endpoint, running_of=endpoint, created_at=now), texts, **terms(number))
    for place, one in enumerate((algorithm, other)):
        Arm.objects.create(test=abtest, number=place, parent_mlalgorithm=one, weight=1.0)
    batch = fill(
        BatchJob(parent_endpoint=endpoint, parent_mlalgorithm=algorithm, created_at=now, uid=UUID(int=number)),
        texts,
        **{"input_bytes": 1, "probabilities": True, "log_requests": True, "state": "failed"},
    )
    fill(BatchChunk(job=batch, number=0, offset=0, length=1, first_row=0, first_line=1, rows=1), texts)
    file = FeedbackFile(parent_endpoint=endpoint, created_at=now, uid=UUID(int=number), input_bytes=1, state="failed")
    fill(file, texts, problems=[[1, ALL, ALL]])
    receiver = fill(Receiver(team_id=team.pk, created_at=now, kind="webhook"), texts)
    delivery = Delivery(receiver_id=receiver.pk, event_id=event.pk, created_at=now, asked_at=now, state="failed")
    fill(delivery, texts, uid=UUID(int=number))
    hour = now.replace(minute=0, second=0, microsecond=0)
    totals = {
        "traffic": json.dumps({"errors": {ALL: 1}, "latencies": None}),
        "performance": "{}",
        "features": json.dumps({"features": {ALL: [1]}, "scores": None, "labels": None}),
        "slices": "{}",
    }
    window = fill(Window(parent_mlalgorithm=algorithm, hours=1, begins_at=hour, requests=1), texts, **totals)
    one = {"name": ALL, "rows": 1, "psi": 0.0, "excess": 0.0, "is_drifted": True, "words": ALL, "p": 0.0, "q": 0.0}
    drift = DriftTest(parent_mlalgorithm=algorithm, from_at=hour, to_at=now, rows=1, tested=1, is_alarm=True)
    drift.created_at = now
    result = json.dumps({"features": [one], "score": None, "untested": [ALL], "estimate": None})
    fill(drift, texts, result=result)
    alarm = Alarm(parent_mlalgorithm=algorithm, labelled=1, accuracy=0.5, of_labels=1, created_at=now)
    fill(alarm, texts)
    rule = AlertRule(parent_endpoint=endpoint, created_at=now, threshold=1.0, window_hours=1, min_rows=0)
    fill(rule, texts, standing=json.dumps([{"algorithm": ALL, "state": ALL}]))
    alert = Alert(parent_endpoint=endpoint, parent_mlalgorithm=algorithm, rule=rule, opened_at=now)
    fill(alert, texts, value=1.0, threshold=1.0, rows=1, worst=1.0)
    # What the first page of the admin lists as the latest.
    kind = ContentType.objects.get_for_model(User)
    superuser = User.objects.get(is_superuser=True)
    entry = LogEntry(user=superuser, content_type=kind, object_id=str(person.pk), action_flag=2, change_message=ALL)
    entry.object_repr = ALL[:200]
    entry.save()
    made = (team, person, key, event, endpoint, algorithm, tag, alias, step, request, feedback, abtest, batch, file)
    made = (*made, receiver, delivery, window, alarm, drift, rule, alert)
    return {one._meta.label_lower: one for one in made} | {"accounts.membership": person.memberships.get()}


def main() -> None:
    """Prints, as JSON, what the pages are: for each model that the admin has, the ids of its rows, and their names."""
    import django

    django.setup()
    from django.contrib import admin

    admin.autodiscover()
    texts = Texts()
    rows = [make(number, texts) for number in range(1, ROWS + 1)]
    ids = {
        model._meta.label_lower: [str(row[model._meta.label_lower].pk) for row in rows]
        for model in admin.site._registry
    }
    names = [
        {
            "endpoint": row["endpoints.endpoint"].name,
            "algorithm": row["endpoints.mlalgorithm"].pk,
            "tag": row["endpoints.algorithmtag"].name,
            "alias": row["endpoints.endpointalias"].name,
            "step": row["endpoints.mlalgorithmstatus"].pk,
            "request": str(row["endpoints.mlrequest"].pk),
            "team": row["accounts.team"].name,
            "username": row["auth.user"].username,
            "key": row["accounts.apikey"].pk,
            "abtest": row["abtests.abtest"].pk,
            "batch": row["batches.batchjob"].pk,
            "feedback_file": row["batches.feedbackfile"].pk,
            "receiver": row["events.receiver"].pk,
            "delivery": str(row["events.delivery"].uid),
            "alertrule": row["monitoring.alertrule"].pk,
            "alert": row["monitoring.alert"].pk,
        }
        for row in rows
    ]
    print(json.dumps({"ids": ids, "names": names}))


if __name__ == "__main__":
    main()
