"""Teams, people in them, whom a provider knows, API keys, tries to log in; of keys and tries only keyed hashes."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models

from ml_pipeline.apps.accounts.access import OwnedRows, Role

# Made by a migration: whoever needs no teams has this one.
DEFAULT_TEAM = "default"


class Team(models.Model):
    """Some people and keys, and the endpoints that are theirs."""

    TEAM_PATH: ClassVar[str] = "pk"
    ENDPOINT_PATH: ClassVar[str] = ""

    name = models.CharField(max_length=63, unique=True)
    description = models.TextField(blank=True, default="")
    requests_per_s = models.PositiveIntegerField(null=True)
    rows_per_day = models.PositiveBigIntegerField(null=True)
    created_at = models.DateTimeField()

    objects = OwnedRows.as_manager()

    def __str__(self) -> str:
        return self.name


class Origin(models.TextChoices):
    """Who put a person into a team."""

    HAND = "hand"
    PROVIDER = "provider"


class Membership(models.Model):
    """What a person is in a team. One that the provider gave follows the provider at each log-in; others it leaves."""

    TEAM_PATH: ClassVar[str] = "team"
    ENDPOINT_PATH: ClassVar[str] = ""

    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="memberships")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=16, choices=Role.choices)
    origin = models.CharField(max_length=8, choices=Origin.choices, default=Origin.HAND)
    created_at = models.DateTimeField()

    objects = OwnedRows.as_manager()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("team", "user"), name="accounts_membership_team_user"),)

    def __str__(self) -> str:
        return f"{self.user}: {self.role} of {self.team}"


class Identity(models.Model):
    """Whom an OpenID provider means by a subject. `digest` is the sha256 of both: exact whatever the collation."""

    digest = models.CharField(max_length=64, primary_key=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="identities")
    issuer = models.CharField(max_length=255)
    subject = models.CharField(max_length=255)
    created_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "identities"

    def __str__(self) -> str:
        return f"{self.user}: {self.subject} of {self.issuer}"


class ApiKey(models.Model):
    """One key: a name for people, a readable prefix, the hash, what it may do and where, until when.

    Without a team it holds its scopes in all of them. `endpoint_ids`, where not null, are the only endpoints it is for.
    `owner` answers for it.
    """

    TEAM_PATH: ClassVar[str] = "team"
    ENDPOINT_PATH: ClassVar[str] = ""

    name = models.CharField(max_length=100, unique=True)
    prefix = models.CharField(max_length=16)
    hash = models.CharField(max_length=64, unique=True)
    scopes = models.JSONField()
    team = models.ForeignKey(Team, on_delete=models.PROTECT, null=True, related_name="keys")
    endpoint_ids = models.JSONField(null=True)
    owner = models.CharField(max_length=150)
    requests_per_s = models.PositiveIntegerField(null=True)
    rows_per_day = models.PositiveBigIntegerField(null=True)
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True)
    # Some seconds late: it is written in the background.
    last_used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    objects = OwnedRows.as_manager()

    class Meta:
        verbose_name = "API key"

    def __str__(self) -> str:
        return self.name


class QuotaUse(models.Model):
    """Rows that all processes together let through in a day (UTC), of a key or team that has a quota."""

    subject = models.CharField(max_length=255)
    day = models.DateField()
    rows = models.BigIntegerField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("subject", "day"), name="accounts_use_subject_day"),)

    def __str__(self) -> str:
        return f"{self.subject} on {self.day}: {self.rows}"


class QuotaRate(models.Model):
    """Requests a second that one serving process let through of late."""

    process = models.UUIDField()
    subject = models.CharField(max_length=255)
    rate_per_s = models.FloatField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("process", "subject"), name="accounts_rate_process_subject"),)

    def __str__(self) -> str:
        return f"{self.subject}: {self.rate_per_s:g} a second"


class LoginTries(models.Model):
    """How often somebody tried to log in under a name, or from an address, until when; `digest` is its keyed hash."""

    digest = models.CharField(max_length=64, primary_key=True)
    tries = models.PositiveIntegerField()
    until_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.tries} until {self.until_at:%H:%M:%S}"
