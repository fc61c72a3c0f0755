"""Jobs: what is to be done in the background, and under whose lease it is being done."""

from __future__ import annotations

from django.db import models


class State(models.TextChoices):
    """What has become of a job."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class Job(models.Model):
    """One thing to do: `kind` says how, `subject` with or to what. There is one of each."""

    kind = models.CharField(max_length=63)
    subject = models.CharField(max_length=255)
    state = models.CharField(max_length=15, choices=State.choices, default=State.QUEUED)
    # Times are the database's.
    due_at = models.DateTimeField()
    # How often it failed since it last did not, and what was said then.
    failures = models.IntegerField(default=0)
    error = models.TextField(blank=True)
    # The lease: raised by whoever takes the job, so that whoever had it before is known to have lost it.
    token = models.BigIntegerField(default=0)
    holder = models.CharField(max_length=255, blank=True)
    leased_until = models.DateTimeField(null=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("kind", "subject"), name="jobs_job_kind_subject"),)
        indexes = (models.Index(fields=("state", "due_at"), name="jobs_job_due"),)

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}"
