"""The tables of monitoring: totals of hours, days and weeks, what was taken into them, detectors, drift, and alerts.

Rows are written by the noun modules beside this one, most of them under the lease of a job; never directly.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from ml_pipeline.apps.accounts.access import OwnedRows
from ml_pipeline.apps.endpoints.models import Endpoint, MLAlgorithm


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


class Condition(models.TextChoices):
    """On which side of its threshold a figure is a breach."""

    ABOVE = "above"
    BELOW = "below"


class AlertRule(models.Model):
    """When a figure of an endpoint, or of its algorithms, is a breach (see `measures`, `alert_rules`).

    `standing` is what the last round saw, as JSON, algorithm by algorithm; `evaluated_at` is when by the database's
    clock. `revision` is raised with each change, so that what was seen by the rule before is not taken for it.
    """

    TEAM_PATH: ClassVar[str] = "parent_endpoint__team"
    ENDPOINT_PATH: ClassVar[str] = "parent_endpoint"
    MAX_TEXT: ClassVar[int] = 255

    # An endpoint is only deleted where no algorithm was registered, and then nothing was ever seen.
    parent_endpoint = models.ForeignKey(Endpoint, on_delete=models.CASCADE, related_name="alert_rules")
    name = models.CharField(max_length=63)
    measure = models.CharField(max_length=31)
    condition = models.CharField(max_length=7, choices=Condition.choices)
    threshold = models.FloatField()
    recovers_at = models.FloatField(null=True)
    window_hours = models.SmallIntegerField()
    min_rows = models.BigIntegerField()
    beyond_chance = models.BooleanField(default=False)
    # Empty where the measure has none, or all are meant.
    feature = models.CharField(max_length=MAX_TEXT, blank=True, default="")
    label = models.CharField(max_length=MAX_TEXT, blank=True, default="")
    algorithm = models.CharField(max_length=128, blank=True, default="")
    version = models.CharField(max_length=128, blank=True, default="")
    is_active = models.BooleanField(default=True)
    revision = models.BigIntegerField(default=0)
    evaluated_at = models.DateTimeField(null=True)
    standing = models.TextField(default="[]")
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField()

    objects = OwnedRows.as_manager()

    class Meta:
        verbose_name = "alert rule"
        constraints = (models.UniqueConstraint(fields=("parent_endpoint", "name"), name="monitoring_alertrule_name"),)

    def __str__(self) -> str:
        return self.name


class Outcome(models.TextChoices):
    """How an alert ended."""

    RECOVERED = "recovered"
    RULE_CHANGED = "rule_changed"
    RULE_OFF = "rule_switched_off"
    RULE_DELETED = "rule_deleted"
    ALGORITHM_LEFT = "algorithm_left"


class Alert(models.Model):
    """A breach of a rule, from when it was seen until it was over; with what the rule was then.

    Without an algorithm it is of the endpoint as a whole. `worst` is the value farthest beyond the threshold so far,
    `outcome` empty while it is open. Times are the database's.
    """

    TEAM_PATH: ClassVar[str] = "parent_endpoint__team"
    ENDPOINT_PATH: ClassVar[str] = "parent_endpoint"

    parent_endpoint = models.ForeignKey(Endpoint, on_delete=models.CASCADE, related_name="alerts")
    parent_mlalgorithm = models.ForeignKey(MLAlgorithm, on_delete=models.PROTECT, null=True, related_name="alerts")
    # What was told of stays when its rule is gone.
    rule = models.ForeignKey(AlertRule, on_delete=models.SET_NULL, null=True, related_name="alerts")
    # Rule and algorithm, while it is open: one of each.
    open_of = models.CharField(max_length=63, null=True, unique=True)
    name = models.CharField(max_length=63)
    measure = models.CharField(max_length=31)
    condition = models.CharField(max_length=7, choices=Condition.choices)
    threshold = models.FloatField()
    feature = models.CharField(max_length=AlertRule.MAX_TEXT, blank=True, default="")
    label = models.CharField(max_length=AlertRule.MAX_TEXT, blank=True, default="")
    value = models.FloatField()
    rows = models.BigIntegerField()
    worst = models.FloatField()
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=31, choices=Outcome.choices, blank=True, default="")
    # None where it did not recover.
    closing_value = models.FloatField(null=True)

    objects = OwnedRows.as_manager()

    def __str__(self) -> str:
        return f"{self.name} since {self.opened_at}"
