"""Who is behind a request of the control plane: an API key, or a person with a session."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import NotAuthenticated, PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from ml_pipeline.apps.accounts import keys
from ml_pipeline.errors import Unauthenticated
from ml_pipeline.wire import replies

if TYPE_CHECKING:
    from rest_framework.views import APIView

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


class KeyHolder(AnonymousUser):
    """The user of a request that came with an API key: known, but no person."""

    is_authenticated = True  # type: ignore[assignment]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it, as history and audit name them: `key:NAME` or `user:NAME`."""

    name: str
    scopes: frozenset[str]

    def allows(self, scope: str) -> bool:
        """Whether `scope` is granted."""
        return keys.covers(self.scopes, scope)


class KeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer KEY` or `X-Api-Key: KEY`."""

    def authenticate(self, request: Request) -> tuple[KeyHolder, Actor] | None:
        """The key's holder and actor; None when there is no key. Raises Unauthenticated for an invalid one."""
        secret = keys.presented(request.headers.get("Authorization"), request.headers.get("X-Api-Key"))
        if secret is None:
            return None
        grant = keys.grant_of(secret)
        return KeyHolder(), Actor(grant.actor, grant.scopes)

    def authenticate_header(self, request: Request) -> str:
        """What a 401 asks for."""
        return 'Bearer realm="ml_pipeline"'


def actor_of(request: Request) -> Actor:
    """Who is behind an authenticated request. A person has every scope as a superuser, and none otherwise."""
    if isinstance(request.auth, Actor):
        return request.auth
    user: AbstractBaseUser | AnonymousUser = request.user
    if not user.is_authenticated:
        raise Unauthenticated(replies.NO_KEY)
    scopes = frozenset(keys.SCOPES) if getattr(user, "is_superuser", False) else frozenset[str]()
    return Actor(f"user:{user.get_username()}", scopes)


class HasScope(BasePermission):
    """The actor holds the scope that the view names for the method: `scopes = {"GET": "read", "POST": "manage"}`."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Whether it does; what is missing is told. Unless named, reading needs `read`, the rest `manage`."""
        # DRF's own exceptions: its browsable pages ask too, and leave out the forms that are refused by them.
        try:
            actor = actor_of(request)
        except Unauthenticated:
            raise NotAuthenticated from None
        method = "GET" if request.method in SAFE_METHODS else request.method
        scope = getattr(view, "scopes", {}).get(method, "read" if method == "GET" else "manage")
        if not actor.allows(scope):
            raise PermissionDenied(f"This needs the scope {scope!r}.")
        return True
