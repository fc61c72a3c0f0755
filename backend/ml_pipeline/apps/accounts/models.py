"""API keys. Only a keyed hash of each is stored."""

from __future__ import annotations

from django.db import models


class ApiKey(models.Model):
    """One key: a name for people, a readable prefix, the hash, scopes, and when it was revoked."""

    name = models.CharField(max_length=100, unique=True)
    prefix = models.CharField(max_length=16)
    hash = models.CharField(max_length=64, unique=True)
    scopes = models.JSONField()
    created_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = "API key"

    def __str__(self) -> str:
        return self.name
