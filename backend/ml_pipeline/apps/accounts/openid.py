"""Log-in through the OpenID provider, by mozilla-django-oidc, an extra that is imported only where a provider is set.

The library begins a log-in, keeps its state, nonce and PKCE verifier in the session, and changes the code for tokens.
It checks no issuer, no audience and not that there is an expiry, and knows people by their e-mail. That is done here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

import jwt
import requests
from django.conf import settings
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.cache import never_cache
from mozilla_django_oidc.auth import OIDCAuthenticationBackend
from mozilla_django_oidc.utils import import_from_settings
from mozilla_django_oidc.views import OIDCAuthenticationCallbackView, OIDCAuthenticationRequestView

from ml_pipeline.apps.accounts import providers
from ml_pipeline.errors import Forbidden, ProviderUnavailable
from ml_pipeline.rest import exceptions

ALGORITHM: Final = "RS256"
# Between the provider's clock and ours.
LEEWAY_S: Final = 30
REQUIRED: Final = ("iss", "sub", "aud", "exp", "iat", "nonce")
DISCOVERED: Final = {
    "OIDC_OP_AUTHORIZATION_ENDPOINT": "authorization_endpoint",
    "OIDC_OP_TOKEN_ENDPOINT": "token_endpoint",
    "OIDC_OP_JWKS_ENDPOINT": "jwks_uri",
    "OIDC_OP_USER_ENDPOINT": "userinfo_endpoint",
}

logger = logging.getLogger(__name__)


def setting(name: str, *default: Any) -> Any:
    """What the library calls `name`: as the provider says, or Django's settings. Raises ProviderUnavailable."""
    if name in DISCOVERED:
        return providers.discovered().get(DISCOVERED[name], "")
    if name == "OIDC_TOKEN_USE_BASIC_AUTH":
        # What OpenID Connect means where nothing is said.
        methods = providers.discovered().get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        return "client_secret_post" not in methods
    return import_from_settings(name, *default)


class ProvidedPeople(OIDCAuthenticationBackend):  # type: ignore[misc]
    """People whom the provider vouches for."""

    get_settings = staticmethod(setting)

    def __init__(self) -> None:
        # Django makes one for each request of a session. The provider is asked only when somebody logs in.
        pass

    def authenticate(self, request: HttpRequest | None, *, nonce: str, code_verifier: str) -> User | None:
        """The person behind the code that came back. Raises Forbidden and ProviderUnavailable.

        Its arguments are named so that Django asks it for no password.
        """
        super().__init__()
        user: User | None = super().authenticate(request, nonce=nonce, code_verifier=code_verifier)
        return user

    def get_user(self, user_id: int) -> User | None:
        """The person of a session, unless his account is closed, which the library does not look at."""
        user = ModelBackend.get_user(self, user_id)
        return user if isinstance(user, User) else None

    def get_token(self, payload: dict[str, str]) -> dict[str, Any]:
        """The tokens for the code. Raises Forbidden and ProviderUnavailable."""
        try:
            tokens = super().get_token(payload)
        except requests.RequestException as error:
            status = getattr(error.response, "status_code", None)
            logger.warning("the OpenID provider gives no token: %s, status %s", type(error).__name__, status)
            if status is not None and 400 <= status < 500:
                raise Forbidden("The provider does not vouch for this log-in.") from None
            raise ProviderUnavailable("The provider does not answer. Try again later.") from None
        if not isinstance(tokens, dict):
            raise ProviderUnavailable("The provider does not answer as it should. Try again later.")
        return tokens

    def verify_token(self, token: Any, *, nonce: str | None = None) -> dict[str, Any]:
        """The claims of an id token: signed by the provider, for this server and this log-in, not over. Raises
        Forbidden."""
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self._key(jwt.get_unverified_header(token)),
                algorithms=[ALGORITHM],
                audience=self.OIDC_RP_CLIENT_ID,
                issuer=settings.OIDC_ISSUER,
                leeway=LEEWAY_S,
                options={"require": list(REQUIRED)},
            )
        except jwt.PyJWTError as error:
            raise Forbidden(f"The provider's token is not valid: {type(error).__name__}.") from error
        if nonce is None or claims["nonce"] != nonce:
            raise Forbidden("The provider's token is for another log-in.")
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if claims.get("azp", None if several else self.OIDC_RP_CLIENT_ID) != self.OIDC_RP_CLIENT_ID:
            raise Forbidden("The provider's token was made for another.")
        return claims

    def get_or_create_user(self, access_token: Any, id_token: Any, payload: dict[str, Any]) -> User:
        """The person, by issuer and subject. Raises Forbidden for whoever has no place here."""
        claims = payload
        if settings.OIDC_GROUPS_CLAIM not in payload and self.OIDC_OP_USER_ENDPOINT:
            told = providers.fetch(self.OIDC_OP_USER_ENDPOINT, token=str(access_token))
            if told.get("sub") != payload["sub"]:
                raise Forbidden("The provider speaks of somebody else.")
            claims = {**told, **payload}
        return providers.person(claims)

    def _key(self, header: Mapping[str, Any]) -> jwt.PyJWK:
        # The library takes a key of any kind, and fails where tokens or keys have no id.
        if header.get("alg") != ALGORITHM:
            raise Forbidden(f"The provider's token is not signed by {ALGORITHM}.")
        kid = header.get("kid")
        keys = [
            key
            for key in jwt.PyJWKSet.from_dict(providers.fetch(self.OIDC_OP_JWKS_ENDPOINT)).keys
            if key.algorithm_name == ALGORITHM and key.public_key_use in (None, "sig") and kid in (None, key.key_id)
        ]
        if len(keys) != 1:
            raise Forbidden("The provider's token is signed with a key that it does not have.")
        return keys[0]


class Start(OIDCAuthenticationRequestView):  # type: ignore[misc]
    """Sends the browser to the provider."""

    get_settings = staticmethod(setting)


class Callback(OIDCAuthenticationCallbackView):  # type: ignore[misc]
    """Where the provider sends the browser back to."""

    def get(self, request: HttpRequest) -> HttpResponse:
        """The page that he wanted, logged in. Raises Forbidden, ProviderUnavailable and SuspiciousOperation."""
        if "error" in request.GET:
            # The library would log out whoever followed a stranger's link to here.
            raise Forbidden("The provider did not let you in.")
        reply: HttpResponse = super().get(request)
        return reply

    def login_failure(self) -> HttpResponse:
        """Raises Forbidden."""
        raise Forbidden("This log-in was not begun in this browser, or is over.")


def _told(view: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    # Who is refused gets a page. Whoever was logged in before stays so.
    @never_cache
    def answer(request: HttpRequest) -> HttpResponse:
        refusal: Forbidden | ProviderUnavailable
        try:
            return view(request)
        except SuspiciousOperation:
            refusal = Forbidden("This log-in was not begun in this browser, or is over.")
        except (Forbidden, ProviderUnavailable) as error:
            refusal = error
        logger.warning("nobody was logged in through the OpenID provider: %s", refusal.message)
        return exceptions.written_page(request, refusal, "accounts/refused.html")

    return answer


urlpatterns = [
    path("login", _told(Start.as_view()), name="oidc_authentication_init"),
    path("callback", _told(Callback.as_view()), name="oidc_authentication_callback"),
]
