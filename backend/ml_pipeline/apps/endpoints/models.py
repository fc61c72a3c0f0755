"""The tables of the registry and of the log of predictions, with the constraints that keep them true.

Rows are written by the noun modules beside this one (`endpoints`, `algorithms`, `statuses`, `tags`, `aliases`,
`feedback`) and, for MLRequest, by the data plane's journal; never directly.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models

from ml_pipeline.apps.accounts.access import OwnedRows
from ml_pipeline.apps.accounts.models import Team


class Status(models.TextChoices):
    """Where an algorithm stands in its life."""

    TESTING = "testing"
    STAGING = "staging"
    PRODUCTION = "production"
    AB_TESTING = "ab_testing"
    ARCHIVED = "archived"


class Endpoint(models.Model):
    """A name in a URL that answers predictions. It is its team's."""

    TEAM_PATH: ClassVar[str] = "team"
    ENDPOINT_PATH: ClassVar[str] = "pk"

    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="endpoints")
    name = models.CharField(max_length=63, unique=True)
    owner = models.CharField(max_length=128, blank=True, default="")
    description = models.TextField(blank=True, default="")
    settings = models.JSONField(default=dict)
    created_at = models.DateTimeField()

    objects = OwnedRows.as_manager()

    def __str__(self) -> str:
        return self.name


class MLAlgorithm(models.Model):
    """One immutable version of a trained model under an endpoint."""

    TEAM_PATH: ClassVar[str] = "parent_endpoint__team"
    ENDPOINT_PATH: ClassVar[str] = "parent_endpoint"

    parent_endpoint = models.ForeignKey(Endpoint, on_delete=models.PROTECT, related_name="algorithms")
    name = models.CharField(max_length=128)
    version = models.CharField(max_length=128)
    description = models.TextField(blank=True, default="")
    code = models.TextField(blank=True, default="")
    owner = models.CharField(max_length=128, blank=True, default="")
    artifact_digest = models.CharField(max_length=64)
    # Of what it is and how it is asked; the same for two uploads of one model whose bytes differ.
    content_digest = models.CharField(max_length=64)
    runtime = models.CharField(max_length=32)
    runtime_reason = models.TextField(blank=True, default="")
    is_isolated = models.BooleanField(default=False)
    parity = models.JSONField(null=True)
    timings_us = models.JSONField(default=dict)
    serves = models.JSONField(default=dict)
    memory_bytes = models.BigIntegerField(default=0)
    signature = models.JSONField()
    metrics = models.JSONField(default=dict)
    reference_profile = models.JSONField(null=True)
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField()

    objects = OwnedRows.as_manager()

    class Meta:
        verbose_name = "algorithm"
        constraints = (
            models.UniqueConstraint(fields=("parent_endpoint", "name", "version"), name="endpoints_algorithm_version"),
        )

    def __str__(self) -> str:
        return f"{self.name} {self.version}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Inserts the record; a registered algorithm never changes."""
        if not self._state.adding:
            raise TypeError("MLAlgorithm is immutable once registered")
        super().save(*args, **kwargs)


class MLAlgorithmStatus(models.Model):
    """One step in the append-only history of an algorithm.

    The step in force has `active_of` set to its algorithm and, in production, `production_of` to its endpoint. Both
    are unique and become NULL when the next step follows: at most one active step an algorithm and one production
    algorithm an endpoint, on every database (MySQL would skip a conditional constraint).
    """

    TEAM_PATH: ClassVar[str] = "parent_mlalgorithm__parent_endpoint__team"
    ENDPOINT_PATH: ClassVar[str] = "parent_mlalgorithm__parent_endpoint"

    parent_mlalgorithm = models.ForeignKey(MLAlgorithm, on_delete=models.PROTECT, related_name="statuses")
    status = models.CharField(max_length=16, choices=Status.choices)
    active_of = models.OneToOneField(MLAlgorithm, on_delete=models.PROTECT, null=True, related_name="active_status")
    production_of = models.OneToOneField(
        Endpoint, on_delete=models.PROTECT, null=True, related_name="production_status"
    )
    # For a step into production: the step that a rollback from here returns to.
    previous_production = models.ForeignKey("self", on_delete=models.PROTECT, null=True, related_name="+")
    # For a step into an A/B test, or out of one: which, and the algorithm's number in it; 0 is the champion.
    test_id = models.BigIntegerField(null=True)
    arm = models.SmallIntegerField(null=True)
    reason = models.TextField(blank=True, default="")
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField()

    objects = OwnedRows.as_manager()

    class Meta:
        verbose_name = "algorithm status"
        verbose_name_plural = "algorithm statuses"
        constraints = (
            models.CheckConstraint(
                condition=models.Q(production_of=None) | models.Q(status=Status.PRODUCTION),
                name="endpoints_production_status",
            ),
        )

    def __str__(self) -> str:
        return f"{self.parent_mlalgorithm_id}: {self.status}"

    @property
    def active(self) -> bool:
        """Whether this is the algorithm's present status."""
        return self.active_of_id is not None


class AlgorithmTag(models.Model):
    """A note on an algorithm: a name and a value, which may change although the algorithm never does."""

    TEAM_PATH: ClassVar[str] = "parent_mlalgorithm__parent_endpoint__team"
    ENDPOINT_PATH: ClassVar[str] = "parent_mlalgorithm__parent_endpoint"

    parent_mlalgorithm = models.ForeignKey(MLAlgorithm, on_delete=models.PROTECT, related_name="tags")
    name = models.CharField(max_length=63)
    value = models.CharField(max_length=256, blank=True)

    objects = OwnedRows.as_manager()

    class Meta:
        verbose_name = "tag"
        constraints = (models.UniqueConstraint(fields=("parent_mlalgorithm", "name"), name="endpoints_tag_name"),)

    def __str__(self) -> str:
        return f"{self.name}: {self.value}"


class EndpointAlias(models.Model):
    """A name under an endpoint for one of its algorithms; `created_by` and `created_at` are of its latest change."""

    TEAM_PATH: ClassVar[str] = "parent_endpoint__team"
    ENDPOINT_PATH: ClassVar[str] = "parent_endpoint"

    parent_endpoint = models.ForeignKey(Endpoint, on_delete=models.PROTECT, related_name="aliases")
    name = models.CharField(max_length=63)
    parent_mlalgorithm = models.ForeignKey(MLAlgorithm, on_delete=models.PROTECT, related_name="aliases")
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField()

    objects = OwnedRows.as_manager()

    class Meta:
        verbose_name = "alias"
        verbose_name_plural = "aliases"
        constraints = (models.UniqueConstraint(fields=("parent_endpoint", "name"), name="endpoints_alias_name"),)

    def __str__(self) -> str:
        return self.name


class MLRequest(models.Model):
    """One prediction, committed before it was answered. Immutable; partitioned by id on PostgreSQL.

    `input_data` and `full_response` are the exact JSON texts, so that a hash over them can be checked later on any
    database. `parent_mlalgorithm` has no constraint in the database, which would cost each insert a look-up:
    algorithms are never deleted. `latency_us` runs from the request's arrival in the service to the algorithm's
    answer; the commit itself is not in it. `job_id` is the batch job's that asked, whose rows are found by their ids:
    these begin with when it was made.
    """

    TEAM_PATH: ClassVar[str] = "parent_mlalgorithm__parent_endpoint__team"
    ENDPOINT_PATH: ClassVar[str] = "parent_mlalgorithm__parent_endpoint"

    id = models.UUIDField(primary_key=True)
    parent_mlalgorithm = models.ForeignKey(
        MLAlgorithm, on_delete=models.PROTECT, related_name="requests", db_constraint=False, db_index=False
    )
    test_id = models.BigIntegerField(null=True)
    arm = models.SmallIntegerField(null=True)
    job_id = models.BigIntegerField(null=True)
    outcome = models.CharField(max_length=32)
    revision = models.BigIntegerField()
    batch_id = models.BigIntegerField()
    position = models.IntegerField()
    input_data = models.TextField()
    full_response = models.TextField()
    response = models.TextField(null=True)
    probability = models.FloatField(null=True)
    latency_us = models.BigIntegerField()
    unit = models.CharField(max_length=255, null=True)
    key_id = models.BigIntegerField(null=True)
    created_at = models.DateTimeField()

    objects = OwnedRows.as_manager()

    class Meta:
        verbose_name = "request"
        indexes = (models.Index(fields=("parent_mlalgorithm", "id"), name="endpoints_request_algorithm"),)

    def __str__(self) -> str:
        return str(self.id)


class Feedback(models.Model):
    """A true outcome, learnt later. Append-only: the first of a request counts, later ones are corrections."""

    request_id = models.UUIDField(db_index=True)
    value = models.JSONField()
    actor = models.CharField(max_length=150)
    created_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "feedback"

    def __str__(self) -> str:
        return f"{self.request_id}: {self.value}"
