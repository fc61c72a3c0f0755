"""Tests and their arms, frozen at the start; what has come in and is not counted yet; and what was counted."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from ml_pipeline.apps.accounts.access import OwnedRows
from ml_pipeline.apps.endpoints.models import Endpoint, MLAlgorithm


class State(models.TextChoices):
    """What has become of a test."""

    RUNNING = "running"
    FINISHED = "finished"


class Result(models.TextChoices):
    """How a test ended."""

    # The winner is in production.
    PROMOTED = "promoted"
    # A person is to promote the winner; until then the champion stays.
    PROPOSED = "proposed"
    # No challenger was shown to be better.
    STAYED = "stayed"
    # All challengers did harm.
    HARMFUL = "harmful"
    ROLLED_BACK = "rolled_back"


class ABTest(models.Model):
    """One test on one endpoint. What it was started with never changes; what it has come to is in `course`."""

    TEAM_PATH: ClassVar[str] = "parent_endpoint__team"
    ENDPOINT_PATH: ClassVar[str] = "parent_endpoint"

    title = models.CharField(max_length=255)
    parent_endpoint = models.ForeignKey(Endpoint, on_delete=models.PROTECT, related_name="abtests")
    # The endpoint, while it runs: one of each.
    running_of = models.OneToOneField(Endpoint, on_delete=models.PROTECT, null=True, related_name="running_abtest")
    state = models.CharField(max_length=15, choices=State.choices, default=State.RUNNING)
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    # Frozen (`terms.Terms`): metric and its bounds, the plan's numbers, guardrails; whether it promotes by itself.
    metric = models.JSONField()
    plan = models.JSONField()
    promotes = models.BooleanField()
    # 64 hexadecimal digits.
    salt = models.CharField(max_length=64)
    # `stats.courses.Course.state()`, as of `counted` observations and `units` units.
    course = models.JSONField()
    counted = models.BigIntegerField(default=0)
    units = models.BigIntegerField(default=0)
    # Chains of sha256 over all units, and over all observations, in the order in which they were counted.
    units_digest = models.CharField(max_length=64, default="")
    observations_digest = models.CharField(max_length=64, default="")
    # How many labels there were at the newest points of the paths.
    last_point = models.BigIntegerField(default=0)
    # A correction came after its label was counted.
    is_corrected = models.BooleanField(default=False)
    # How it ended and why, in a word and a sentence; and the decision with its evidence, the exact JSON text.
    result = models.CharField(max_length=15, choices=Result.choices, null=True)
    summary = models.TextField(default="")
    certificate = models.TextField(null=True)

    objects = OwnedRows.as_manager()

    class Meta:
        verbose_name = "A/B test"

    def __str__(self) -> str:
        return self.title


class Arm(models.Model):
    """One algorithm in a test, by its number; 0 is the champion. `weight` is its share, in proportion.

    `withdrawal` says of a challenger that is withdrawn when it left: after how many `units` and `observations`, after
    `elapsed_s` seconds, and which `gates` failed.
    """

    test = models.ForeignKey(ABTest, on_delete=models.PROTECT, related_name="arms")
    number = models.SmallIntegerField()
    parent_mlalgorithm = models.ForeignKey(MLAlgorithm, on_delete=models.PROTECT, related_name="arms")
    weight = models.FloatField()
    # A challenger that did harm: its units are answered by the champion and do not count any more.
    is_withdrawn = models.BooleanField(default=False)
    withdrawal = models.JSONField(null=True)

    class Meta:
        ordering = ("number",)
        constraints = (
            models.UniqueConstraint(fields=("test", "number"), name="abtests_arm_number"),
            models.UniqueConstraint(fields=("test", "parent_mlalgorithm"), name="abtests_arm_algorithm"),
        )

    def __str__(self) -> str:
        return f"{self.number}: {self.parent_mlalgorithm}"


class UncountedAnswers(models.Model):
    """Answers of one commit of the log that a test has to count; written in that commit, gone once they are counted.

    `answers` is a JSON text: a list of [unit's digest, arm, whether the arm failed, latency in µs].
    """

    test_id = models.BigIntegerField()
    answers = models.TextField()

    class Meta:
        indexes = (models.Index(fields=("test_id", "id"), name="abtests_uncounted_answers"),)

    def __str__(self) -> str:
        return f"{self.test_id}: {self.answers}"


class UncountedLabel(models.Model):
    """A piece of feedback on a request of a test; written with the feedback, gone once it is counted."""

    test_id = models.BigIntegerField()
    request_id = models.UUIDField()

    class Meta:
        indexes = (models.Index(fields=("test_id", "id"), name="abtests_uncounted_label"),)

    def __str__(self) -> str:
        return f"{self.test_id}: {self.request_id}"


class Unit(models.Model):
    """One unit of a test, by its digest (`Assignment.arm`), with its arm and its first answer; and its observation.

    The ids of a test's units are in the order in which they were counted; `position` numbers the observations from 1
    in theirs, and is null as long as there is none.
    """

    test = models.ForeignKey(ABTest, on_delete=models.PROTECT, related_name="counted_units")
    digest = models.CharField(max_length=32)
    arm = models.SmallIntegerField()
    is_failed = models.BooleanField()
    latency_us = models.BigIntegerField()
    position = models.BigIntegerField(null=True)
    request_id = models.UUIDField(null=True)
    score = models.FloatField(null=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("test", "digest"), name="abtests_unit_digest"),
            models.UniqueConstraint(fields=("test", "position"), name="abtests_unit_position"),
        )

    def __str__(self) -> str:
        return f"{self.test_id}: {self.digest}"


class Point(models.Model):
    """Where a challenger stood after `labels` labels: the path of its evidence, for people and for the certificate."""

    test = models.ForeignKey(ABTest, on_delete=models.PROTECT, related_name="points")
    arm = models.SmallIntegerField()
    labels = models.BigIntegerField()
    pairs = models.BigIntegerField()
    log_evidence = models.FloatField()
    mean = models.FloatField(null=True)
    low = models.FloatField()
    high = models.FloatField()
    created_at = models.DateTimeField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("test", "arm", "labels"), name="abtests_point_labels"),)

    def __str__(self) -> str:
        return f"{self.test_id}: arm {self.arm} after {self.labels} labels"


class SelfTest(models.Model):
    """The self-test of a test that was asked for last: how far it is, and how many of the replays promoted.

    It goes through the first `labels` observations of the arms that were not `withdrawn` when it was asked for, when
    `counted` were there in all; `last` is the position of the last of them.
    """

    test = models.OneToOneField(ABTest, on_delete=models.PROTECT, related_name="selftest")
    replays = models.IntegerField()
    seed = models.IntegerField()
    counted = models.BigIntegerField()
    last = models.BigIntegerField()
    labels = models.IntegerField()
    # The numbers of arms.
    withdrawn = models.JSONField()
    done = models.IntegerField(default=0)
    promoted = models.IntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.test_id}: {self.done} of {self.replays}"
