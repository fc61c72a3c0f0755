"""The OpenID provider: where its endpoints are, whom it means by a subject, and what he is in which team.

Nothing is asked of it before somebody comes through it, so a server starts, and passwords work, while it is down.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import time
from collections.abc import Mapping
from typing import Any, Final

import httpx
from django.conf import settings
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils import timezone

from ml_pipeline.apps.accounts import teams
from ml_pipeline.apps.accounts.access import Role
from ml_pipeline.apps.accounts.models import Identity, Team
from ml_pipeline.apps.events import audit
from ml_pipeline.errors import Forbidden, ProviderUnavailable

TIMEOUT_S: Final = 5
MAX_ANSWER_BYTES: Final = 1_000_000
DISCOVERED_FOR_S: Final = 3_600
# Fits the column, and is what OpenID Connect allows.
MAX_SUBJECT: Final = 255
NEEDED: Final = ("authorization_endpoint", "token_endpoint", "jwks_uri")

logger = logging.getLogger(__name__)
_discovered: tuple[float, dict[str, Any]] | None = None


def discovered() -> Mapping[str, Any]:
    """What the provider says of itself, as of an hour ago at most. Raises ProviderUnavailable."""
    global _discovered  # noqa: PLW0603
    if _discovered is not None and time.monotonic() - _discovered[0] < DISCOVERED_FOR_S:
        return _discovered[1]
    document = fetch(settings.OIDC_ISSUER.rstrip("/") + "/.well-known/openid-configuration")
    if document.get("issuer") != settings.OIDC_ISSUER:
        raise ProviderUnavailable(f"What is at {settings.OIDC_ISSUER} says that it is another provider.")
    schemes = ("https://",) if settings.OIDC_ISSUER.startswith("https://") else ("https://", "http://")
    given = [document.get(name) for name in (*NEEDED, *("userinfo_endpoint",) * ("userinfo_endpoint" in document))]
    if not all(isinstance(url, str) and url.startswith(schemes) for url in given):
        raise ProviderUnavailable("The provider does not name its endpoints, or names some without TLS.")
    _discovered = time.monotonic(), document
    return document


def fetch(url: str, *, token: str | None = None) -> dict[str, Any]:
    """The JSON object at `url`, shown `token` where there is one. Raises ProviderUnavailable."""
    headers = {"Accept": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    until, body = time.monotonic() + TIMEOUT_S, bytearray()
    try:
        with httpx.stream("GET", url, headers=headers, timeout=TIMEOUT_S) as reply:
            reply.raise_for_status()
            for piece in reply.iter_bytes():
                body += piece
                if len(body) > MAX_ANSWER_BYTES or time.monotonic() > until:
                    raise ProviderUnavailable("The provider's answer has no end.")
        answer = json.loads(bytes(body))
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, RecursionError) as error:
        logger.warning("the OpenID provider does not answer at %s: %s", url, type(error).__name__)
        raise ProviderUnavailable("The provider does not answer as it should. Try again later.") from error
    if not isinstance(answer, dict):
        raise ProviderUnavailable("The provider does not answer as it should. Try again later.")
    return answer


def person(claims: Mapping[str, Any]) -> User:
    """Whom these claims are about, now in the teams that his groups mean. They must have been verified.

    Raises Forbidden for whoever is then in no team, also by hand; of a stranger nothing is kept.
    """
    subject = claims.get("sub")
    if not (isinstance(subject, str) and 0 < len(subject) <= MAX_SUBJECT and subject.isprintable()):
        raise Forbidden("The provider does not say who you are.")
    actor = f"provider:{settings.OIDC_ISSUER}"
    roles = _roles(claims.get(settings.OIDC_GROUPS_CLAIM))
    user = _known(subject) or (_made(subject, claims.get("preferred_username"), actor=actor) if roles else None)
    if user is None:
        raise Forbidden("You are in no group that has a place here.")
    if not user.is_active:
        raise Forbidden("Your account here is closed.")
    with transaction.atomic():
        teams.follow(user, roles, actor=actor)
        has_place = user.memberships.exists()
        if not user.is_superuser and user.is_staff != has_place:
            # The admin's pages, which show him what is his teams', are for staff.
            user.is_staff = has_place
            user.save(update_fields=["is_staff"])
    if not (has_place or user.is_superuser):
        raise Forbidden("You are in no group that has a place here any more.")
    return user


def _roles(groups: Any) -> dict[str, str]:
    # Name of a team that there is to role.
    held = {groups} if isinstance(groups, str) else {one for one in groups or () if isinstance(one, str)}
    meant = [one for one in settings.OIDC_GROUPS if one.group in held]
    there = set(Team.objects.filter(name__in=[one.team for one in meant]).values_list("name", flat=True))
    found: dict[str, str] = {}
    for group, team, role in meant:
        if team not in there:
            logger.warning("the group %r means the team %r, which there is not", group, team)
        elif Role.values.index(role) >= Role.values.index(found.get(team, role)):
            found[team] = role
    return found


def _digest(subject: str) -> str:
    return hashlib.sha256(f"{settings.OIDC_ISSUER}\n{subject}".encode()).hexdigest()


def _known(subject: str) -> User | None:
    identity = Identity.objects.select_related("user").filter(pk=_digest(subject)).first()
    return identity.user if identity else None


def _made(subject: str, wish: Any, *, actor: str) -> User | None:
    # None where somebody took the name this moment. A name as he wishes would let him pass for another, or be taken for
    # the person whom an administrator means to put into a team; the digest's part of it nobody can choose.
    wished = re.sub(r"[^\w.@+-]", "", wish)[:80] if isinstance(wish, str) else ""
    digest = _digest(subject)
    name = f"{wished or 'person'}.{digest[:8]}"
    if User.objects.filter(username__iexact=name).exists():
        name = f"{wished or 'person'}.{digest}"
    try:
        with transaction.atomic():
            user = User.objects.create_user(name)
            now = timezone.now()
            Identity.objects.create(
                digest=digest, user=user, issuer=settings.OIDC_ISSUER, subject=subject, created_at=now
            )
            audit.record("person.created", name, actor=actor, subject_there=subject)
    except IntegrityError:
        return _known(subject)
    return user
