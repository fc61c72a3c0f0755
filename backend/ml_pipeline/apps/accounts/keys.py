"""API keys: made, looked up, revoked.

A key is 256 random bits; the database holds its HMAC-SHA256 under the secret key.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Final

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from ml_pipeline.apps.accounts.models import ApiKey
from ml_pipeline.apps.events import revisions
from ml_pipeline.errors import Complaint, Conflict, InvalidInput, NotFound, Unauthenticated

SCOPES: Final = ("predict", "feedback", "read", "manage", "admin")
PREFIX_CHARACTERS = 12
_PURPOSE = b"ml_pipeline.accounts.api_key"


def covers(scopes: frozenset[str], scope: str) -> bool:
    """Whether who holds `scopes` may do what needs `scope`; `admin` includes all others."""
    return scope in scopes or "admin" in scopes


@dataclass(frozen=True, slots=True)
class Grant:
    """What a valid key allows."""

    key_id: int
    name: str
    scopes: frozenset[str]

    @property
    def actor(self) -> str:
        """Who acts with this key, as history and audit name it."""
        return f"key:{self.name}"

    def allows(self, scope: str) -> bool:
        """Whether `scope` is granted."""
        return covers(self.scopes, scope)


def create(name: str, scopes: list[str]) -> tuple[ApiKey, str]:
    """A new key's record and its secret, which is nowhere stored. Raises InvalidInput, and Conflict for a used name."""
    unknown = [scope for scope in scopes if scope not in SCOPES]
    if unknown or not scopes:
        got = repr(unknown[0]) if unknown else "none"
        raise InvalidInput([Complaint(None, "scope", f"one or more of {', '.join(SCOPES)}", got)])
    if not 1 <= len(name) <= 100 or not name.isprintable():
        raise InvalidInput([Complaint(None, "name", "1 to 100 printable characters", repr(name[:40]))])
    secret = f"mlp_{secrets.token_urlsafe(32)}"
    key = ApiKey(
        name=name,
        prefix=secret[:PREFIX_CHARACTERS],
        hash=digest(secret),
        scopes=sorted(set(scopes), key=SCOPES.index),
        created_at=timezone.now(),
    )
    try:
        with transaction.atomic():
            key.save(force_insert=True)
            revisions.raise_revision()
    except IntegrityError:
        raise Conflict(f"There is an API key named {name!r} already; choose another name.") from None
    return key, secret


def revoke(name: str) -> ApiKey:
    """The key named `name`, now revoked; revoking again changes nothing. Raises NotFound."""
    with transaction.atomic():
        key = ApiKey.objects.select_for_update().filter(name=name).first()
        if key is None:
            raise NotFound(f"There is no API key named {name!r}.")
        if key.revoked_at is None:
            key.revoked_at = timezone.now()
            key.save(update_fields=["revoked_at"])
            revisions.raise_revision()
    return key


def digest(secret: str) -> str:
    """The hex HMAC-SHA256 of a key under the server's secret key."""
    keyed = _keyed(settings.SECRET_KEY).copy()
    keyed.update(secret.encode("utf-8", "surrogateescape"))
    return keyed.hexdigest()


@functools.lru_cache(maxsize=1)
def _keyed(secret_key: str) -> hmac.HMAC:
    return hmac.new(hashlib.sha256(_PURPOSE + secret_key.encode()).digest(), digestmod="sha256")


def grant_of(secret: str) -> Grant:
    """What the key `secret` allows, read from the database. Raises Unauthenticated when it is unknown or revoked."""
    key = ApiKey.objects.filter(hash=digest(secret), revoked_at=None).first()
    return valid(_grant(key) if key else None)


def valid(grant: Grant | None) -> Grant:
    """`grant`, if a key was found. Raises Unauthenticated, the same for every reason."""
    if grant is None:
        raise Unauthenticated("The API key is not valid: unknown, mistyped or revoked.")
    return grant


def grants() -> dict[str, Grant]:
    """Every valid key: its digest and what it allows. The data plane's snapshot holds this."""
    return {key.hash: _grant(key) for key in ApiKey.objects.filter(revoked_at=None)}


def _grant(key: ApiKey) -> Grant:
    return Grant(key.pk, key.name, frozenset(key.scopes))


def presented(authorization: str | None, x_api_key: str | None) -> str | None:
    """The secret in the headers `Authorization: Bearer …` or `X-Api-Key`, or None."""
    if authorization is not None:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() == "bearer" and token.strip():
            return token.strip()
    return x_api_key or None
