"""API keys: made, looked up, revoked.

A key is 256 random bits; the database holds its HMAC-SHA256 under the secret key. Whoever looks one up finds it by that
hash, so the time it takes says nothing about the keys that there are.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Final

from django.db import Error, IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from ml_pipeline.apps.accounts import access, digests
from ml_pipeline.apps.accounts.access import SCOPES, Grant
from ml_pipeline.apps.accounts.models import ApiKey, Team
from ml_pipeline.apps.accounts.quotas import Quota
from ml_pipeline.apps.events import audit, revisions
from ml_pipeline.errors import Complaint, Conflict, InvalidInput, NotFound, Unauthenticated

PREFIX_CHARACTERS: Final = 12
MAX_ENDPOINTS: Final = 1_000
_digest = digests.Digest(b"ml_pipeline.accounts.api_key")
# Keys that were used in this process since that was last written.
_used: set[int] = set()


def create(
    name: str,
    scopes: Collection[str],
    *,
    actor: str,
    team: Team | None = None,
    owner: str = "",
    endpoint_ids: Collection[int] | None = None,
    expires_at: datetime | None = None,
    requests_per_s: int | None = None,
    rows_per_day: int | None = None,
) -> tuple[ApiKey, str]:
    """A new key's record and its secret, which is nowhere stored. Raises InvalidInput, and Conflict for a used name.

    Without a `team` it holds its scopes in all of them; `endpoint_ids` limits it to these. Its owner is, unless said
    otherwise, the actor. Its quotas are at least 1, None for no limit.
    """
    now = timezone.now()
    if complaints := [*_of_scopes(scopes, endpoint_ids), *_of_names(name, owner), *_of_expiry(expires_at, now)]:
        raise InvalidInput(complaints)
    secret = f"mlp_{secrets.token_urlsafe(32)}"
    key = ApiKey(
        name=name,
        prefix=secret[:PREFIX_CHARACTERS],
        hash=digest(secret),
        scopes=sorted(set(scopes), key=SCOPES.index),
        team=team,
        endpoint_ids=None if endpoint_ids is None else sorted(set(endpoint_ids)),
        owner=owner or actor,
        created_by=actor,
        created_at=now,
        expires_at=expires_at,
        requests_per_s=requests_per_s,
        rows_per_day=rows_per_day,
    )
    try:
        with transaction.atomic():
            key.save(force_insert=True)
            audit.record(
                "key.created",
                name,
                actor=actor,
                team_id=key.team_id,
                scopes=key.scopes,
                owner=key.owner,
                endpoint_ids=key.endpoint_ids,
                expires_at=expires_at and expires_at.isoformat(),
                requests_per_s=requests_per_s,
                rows_per_day=rows_per_day,
            )
            revisions.raise_revision()
    except IntegrityError:
        raise Conflict(f"There is an API key named {name!r} already; choose another name.") from None
    return key, secret


def _of_scopes(scopes: Collection[str], endpoint_ids: Collection[int] | None) -> list[Complaint]:
    unknown = [scope for scope in scopes if scope not in SCOPES]
    if unknown or not scopes:
        got = repr(unknown[0]) if unknown else "none"
        return [Complaint(None, "scope", f"one or more of {', '.join(SCOPES)}", got)]
    if endpoint_ids is None:
        return []
    if "admin" in scopes:
        return [Complaint(None, "scope", "no admin in a key that is for some endpoints only", "'admin'")]
    if not 1 <= len(endpoint_ids) <= MAX_ENDPOINTS:
        return [Complaint(None, "endpoints", f"1 to {MAX_ENDPOINTS:,} endpoints", str(len(endpoint_ids)))]
    return []


def _of_names(name: str, owner: str) -> list[Complaint]:
    complaints = []
    if not 1 <= len(name) <= 100 or not name.isprintable():
        complaints.append(Complaint(None, "name", "1 to 100 printable characters", repr(name[:40])))
    if len(owner) > 150 or not owner.isprintable():
        complaints.append(Complaint(None, "owner", "at most 150 printable characters", repr(owner[:40])))
    return complaints


def _of_expiry(expires_at: datetime | None, now: datetime) -> list[Complaint]:
    if expires_at is None or expires_at > now:
        return []
    return [Complaint(None, "expires_at", "a time to come", expires_at.isoformat())]


def limit(key: ApiKey, *, requests_per_s: int | None, rows_per_day: int | None, actor: str) -> ApiKey:
    """`key` with these quotas, at least 1 each, None for no limit; served everywhere within a second.

    The same again changes nothing.
    """
    with transaction.atomic():
        key = ApiKey.objects.select_for_update().get(pk=key.pk)
        if (key.requests_per_s, key.rows_per_day) == (requests_per_s, rows_per_day):
            return key
        key.requests_per_s, key.rows_per_day = requests_per_s, rows_per_day
        key.save(update_fields=["requests_per_s", "rows_per_day"])
        audit.record(
            "key.limited",
            key.name,
            actor=actor,
            team_id=key.team_id,
            requests_per_s=requests_per_s,
            rows_per_day=rows_per_day,
        )
        revisions.raise_revision()
    return key


def named(name: str, grant: Grant) -> ApiKey:
    """The key named `name`. Raises NotFound."""
    key = ApiKey.objects.seen_by(grant).filter(name=name).first()
    if key is None:
        raise NotFound(f"There is no API key named {name[:100]!r}.")
    return key


def revoke(key: ApiKey, *, actor: str) -> ApiKey:
    """`key`, now revoked; revoking again changes nothing."""
    with transaction.atomic():
        key = ApiKey.objects.select_for_update().get(pk=key.pk)
        if key.revoked_at is None:
            key.revoked_at = timezone.now()
            key.save(update_fields=["revoked_at"])
            audit.record("key.revoked", key.name, actor=actor, team_id=key.team_id)
            revisions.raise_revision()
    return key


def digest(secret: str) -> str:
    """The hex HMAC-SHA256 of a key under the server's secret key."""
    return _digest(secret.encode("utf-8", "surrogateescape"))


def grant_of(secret: str) -> Grant:
    """What the key `secret` allows, read from the database. Raises Unauthenticated when it is not valid."""
    key = ApiKey.objects.select_related("team").filter(hash=digest(secret), revoked_at=None).first()
    return valid(_grant(key) if key else None)


def valid(grant: Grant | None) -> Grant:
    """`grant`, if a key was found that has not expired. Raises Unauthenticated, the same for every reason."""
    if grant is None or (grant.expires_s is not None and time.time() >= grant.expires_s):
        raise Unauthenticated("The API key is not valid: unknown, mistyped, expired or revoked.")
    if grant.key_id is not None:
        _used.add(grant.key_id)
    return grant


def write_uses() -> None:
    """The keys that this process has seen since it was last called were last used now.

    What cannot be written is left for the next time.
    """
    used = set()
    while _used:
        used.add(_used.pop())
    try:
        if used:
            ApiKey.objects.filter(pk__in=used).update(last_used_at=timezone.now())
    except Error:
        _used.update(used)
        raise


def grants() -> dict[str, Grant]:
    """Every valid key: its digest and what it allows. The data plane's snapshot holds this."""
    unexpired = Q(expires_at=None) | Q(expires_at__gt=timezone.now())
    valid_now = ApiKey.objects.select_related("team").filter(unexpired, revoked_at=None)
    return {key.hash: _grant(key) for key in valid_now}


def _grant(key: ApiKey) -> Grant:
    scopes = access.included(key.scopes)
    return Grant(
        f"key:{key.name}",
        everywhere=scopes if key.team_id is None else frozenset(),
        teams={} if key.team_id is None else {key.team_id: scopes},
        endpoint_ids=None if key.endpoint_ids is None else frozenset(key.endpoint_ids),
        key_id=key.pk,
        expires_s=None if key.expires_at is None else key.expires_at.timestamp(),
        quotas=tuple(_quotas(key)),
    )


def _quotas(key: ApiKey) -> Iterator[Quota]:
    for kind, limited in (("key", key), ("team", key.team)):
        if limited is not None and (limited.requests_per_s is not None or limited.rows_per_day is not None):
            yield Quota(f"{kind} {limited.name!r}", limited.requests_per_s, limited.rows_per_day)


def presented(authorization: str | None, x_api_key: str | None) -> str | None:
    """The secret in the headers `Authorization: Bearer …` or `X-Api-Key`, or None."""
    if authorization is not None:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() == "bearer" and token.strip():
            return token.strip()
    return x_api_key or None
