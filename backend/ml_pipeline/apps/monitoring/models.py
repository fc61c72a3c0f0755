"""The tables of monitoring: totals of hours, days and weeks, what was taken into them, and detectors of lost accuracy.

Rows are written by the noun modules beside this one, under the lease of the job that folds; never directly.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from ml_pipeline.apps.accounts.access import OwnedRows
from ml_pipeline.apps.endpoints.models import MLAlgorithm


class Window(models.Model):
    """The totals of one algorithm in one hour or, `hours` being 24 or 168, day or week: by when its requests were made.

    A day and a week have what their hours have, so that a long range is read in few rows. Whole numbers are columns;
    the rest is JSON (see `totals`), in parts that are read for different questions.
    """

    TEAM_PATH: ClassVar[str] = "parent_mlalgorithm__parent_endpoint__team"
    ENDPOINT_PATH: ClassVar[str] = "parent_mlalgorithm__parent_endpoint"

    parent_mlalgorithm = models.ForeignKey(MLAlgorithm, on_delete=models.PROTECT, related_name="windows")
    hours = models.SmallIntegerField()
    begins_at = models.DateTimeField()
    # Requests; of them those that failed, those of batch jobs, and those whose answer was erased before it was counted.
    requests = models.BigIntegerField(default=0)
    errors = models.BigIntegerField(default=0)
    batched = models.BigIntegerField(default=0)
    erased = models.BigIntegerField(default=0)
    # Requests or feedback that could not be read.
    unreadable = models.BigIntegerField(default=0)
    # Requests whose outcome is known; of them those that were answered with it (none in regression).
    labelled = models.BigIntegerField(default=0)
    correct = models.BigIntegerField(default=0)
    # Requests with feedback that says nothing of an answer: there was none, or a test was told a reward.
    unscored = models.BigIntegerField(default=0)
    rewarded = models.BigIntegerField(default=0)
    traffic = models.TextField()
    performance = models.TextField()
    features = models.TextField()
    slices = models.TextField()

    objects = OwnedRows.as_manager()

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("parent_mlalgorithm", "hours", "begins_at"), name="monitoring_window_hours"
            ),
        )

    def __str__(self) -> str:
        return f"{self.parent_mlalgorithm_id}: {self.hours} h from {self.begins_at}"


class Claim(models.Model):
    """Which rows of an append-only table are in the windows: all up to `top` but those in `holes` (see `claims`)."""

    source = models.CharField(max_length=31, unique=True)
    # Raised with each change, so that of two who change it at once only one does.
    version = models.BigIntegerField()
    top = models.BigIntegerField()
    holes = models.TextField()

    def __str__(self) -> str:
        return f"{self.source}: {self.top}"


class Detector(models.Model):
    """What watches the accuracy of one classifier: the state of `stats.detectors.AccuracyWatch` in JSON.

    `labelled` is the number of outcomes that it has seen; it `is_down` from the alarm of a drop to that of a recovery.
    """

    TEAM_PATH: ClassVar[str] = "parent_mlalgorithm__parent_endpoint__team"
    ENDPOINT_PATH: ClassVar[str] = "parent_mlalgorithm__parent_endpoint"

    parent_mlalgorithm = models.OneToOneField(MLAlgorithm, on_delete=models.PROTECT, related_name="accuracy_detector")
    labelled = models.BigIntegerField()
    is_down = models.BooleanField()
    state = models.TextField()

    objects = OwnedRows.as_manager()

    def __str__(self) -> str:
        return f"{self.parent_mlalgorithm_id}: {self.labelled}"


class Alarm(models.Model):
    """A change of accuracy, `drop` or `recovery`, that a detector found at its outcome number `labelled`, from 1.

    `accuracy` is that of the last `of_labels` outcomes, about what it is since. `created_at` is the database's time.
    """

    TEAM_PATH: ClassVar[str] = "parent_mlalgorithm__parent_endpoint__team"
    ENDPOINT_PATH: ClassVar[str] = "parent_mlalgorithm__parent_endpoint"

    parent_mlalgorithm = models.ForeignKey(MLAlgorithm, on_delete=models.PROTECT, related_name="accuracy_alarms")
    kind = models.CharField(max_length=15)
    labelled = models.BigIntegerField()
    accuracy = models.FloatField()
    of_labels = models.BigIntegerField()
    created_at = models.DateTimeField()

    objects = OwnedRows.as_manager()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("parent_mlalgorithm", "labelled"), name="monitoring_alarm_label"),
        )

    def __str__(self) -> str:
        return f"{self.parent_mlalgorithm_id}: {self.kind} after {self.labelled}"


class DriftTest(models.Model):
    """A test of one algorithm's inputs and scores in a run of whole hours against its reference (see `drifts`).

    There is one of a run, whatever comes late. `rows` are those it had, `tested` the features and scores that were
    judged, `result` what was found, as JSON.
    """

    TEAM_PATH: ClassVar[str] = "parent_mlalgorithm__parent_endpoint__team"
    ENDPOINT_PATH: ClassVar[str] = "parent_mlalgorithm__parent_endpoint"

    parent_mlalgorithm = models.ForeignKey(MLAlgorithm, on_delete=models.PROTECT, related_name="drift_tests")
    from_at = models.DateTimeField()
    to_at = models.DateTimeField()
    rows = models.BigIntegerField()
    tested = models.IntegerField()
    is_alarm = models.BooleanField()
    result = models.TextField()
    created_at = models.DateTimeField()

    objects = OwnedRows.as_manager()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("parent_mlalgorithm", "from_at"), name="monitoring_drift_test"),)

    def __str__(self) -> str:
        return f"{self.parent_mlalgorithm_id}: {self.from_at} to {self.to_at}"
