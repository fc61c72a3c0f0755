"""Who is behind a request of the control plane: an API key, or a person with a session."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models import QuerySet
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import NotAuthenticated, PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from ml_pipeline.apps.accounts import access, keys, quotas
from ml_pipeline.apps.accounts.access import Grant, OwnedRows
from ml_pipeline.apps.accounts.models import Membership
from ml_pipeline.errors import Unauthenticated
from ml_pipeline.wire import replies

if TYPE_CHECKING:
    from rest_framework.generics import GenericAPIView
    from rest_framework.views import APIView

    View = GenericAPIView[Any]
else:
    View = object

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


class KeyHolder(AnonymousUser):
    """The user of a request that came with an API key: known, but no person."""

    is_authenticated = True  # type: ignore[assignment]


class KeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer KEY` or `X-Api-Key: KEY`."""

    def authenticate(self, request: Request) -> tuple[KeyHolder, Grant] | None:
        """The key's holder and grant; None when there is no key. Raises Unauthenticated for an invalid one, and
        QuotaExceeded."""
        secret = keys.presented(request.headers.get("Authorization"), request.headers.get("X-Api-Key"))
        if secret is None:
            return None
        grant = keys.grant_of(secret)
        quotas.meter.admit(grant.quotas)
        return KeyHolder(), grant

    def authenticate_header(self, request: Request) -> str:
        """What a 401 asks for."""
        return 'Bearer realm="ml_pipeline"'


def grant_of(request: Request) -> Grant:
    """Who is behind an authenticated request, and what he may do. Raises Unauthenticated."""
    if isinstance(request.auth, Grant):
        return request.auth
    # Asked for several times in a request, and looked up once.
    underlying: Any = request._request
    if not hasattr(underlying, "grant"):
        underlying.grant = of_person(request.user)
    grant: Grant = underlying.grant
    return grant


def of_person(user: AbstractBaseUser | AnonymousUser) -> Grant:
    """What a person may do: all as a superuser, else what his roles say. Raises Unauthenticated for nobody."""
    if not user.is_authenticated:
        raise Unauthenticated(replies.NO_KEY)
    actor = f"user:{user.get_username()}"
    if getattr(user, "is_superuser", False):
        return Grant(actor, everywhere=access.ALL)
    return access.of_role(actor, dict(Membership.objects.filter(user=user.pk).values_list("team_id", "role")))


class HasScope(BasePermission):
    """The grant has, somewhere, the scope that the view names for the method: `scopes = {"GET": "read"}`.

    Where that is, is asked again of each object. A method that the view names no scope for is nobody's.
    """

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Whether it does; what is missing is told."""
        # DRF's own exceptions: its browsable pages ask too, and leave out the forms that are refused by them.
        try:
            grant = grant_of(request)
        except Unauthenticated:
            raise NotAuthenticated from None
        wanted = _wanted(view, str(request.method))
        if wanted and not any(grant.allows(scope) for scope in wanted):
            raise PermissionDenied(f"This needs the scope {wanted[0]!r}.")
        # Where nothing is named the view has no such method either, and says so, or it is nobody's.
        return bool(wanted) or not hasattr(view, str(request.method).lower())


def _wanted(view: APIView, method: str) -> list[str]:
    # Any of these scopes will do. What a route answers is told to whoever may use some of it.
    scopes: Mapping[str, str] = getattr(view, "scopes", {})
    if method == "OPTIONS":
        return list(scopes.values())
    scope = scopes.get("GET" if method in SAFE_METHODS else method)
    return [] if scope is None else [scope]


class SeesOwn(View):
    """Mix in first: the view's rows are those that exist for whoever asks."""

    def get_queryset(self) -> QuerySet[Any]:
        """The rows of the view's `queryset`, which belong to teams."""
        rows = super().get_queryset()
        if getattr(self, "swagger_fake_view", False):
            # Described for OpenAPI: nobody asks.
            return rows
        if not isinstance(rows, OwnedRows):
            raise TypeError(f"{type(self).__name__} shows rows that belong to nobody")
        scopes: Mapping[str, str] = getattr(self, "scopes", {})
        return rows.seen_by(grant_of(self.request), scopes.get("GET"))
