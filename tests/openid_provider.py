"""An OpenID provider of a test's own, on loopback: it lets in whoever `person` is, and lies as it is told to."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from servers import free_port

CLIENT_ID, CLIENT_SECRET = "ml-pipeline", "a-client-secret-that-nobody-logs"
Mint = Callable[["OpenIDProvider", dict[str, Any]], str]


def honest(provider: OpenIDProvider, claims: dict[str, Any]) -> str:
    """The claims as a token that the provider has signed."""
    return provider.signed(claims)


class OpenIDProvider:
    """Authorization, token, JWKS and userinfo endpoints, with RS256, PKCE and a client's secret."""

    def __init__(self) -> None:
        self.port = free_port()
        self.issuer = f"http://127.0.0.1:{self.port}"
        self.key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
        self.stranger = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
        self.basic = True
        self._server: ThreadingHTTPServer | None = None
        self.be({})

    def be(self, person: dict[str, Any], mint: Mint = honest, *, told: dict[str, Any] | None = None) -> None:
        """Who comes next, and how his token is made; `told` is what the userinfo endpoint says."""
        self.person, self.mint, self.told = person, mint, told
        self.codes: dict[str, dict[str, str]] = {}
        self.asked: list[str] = []

    @property
    def environment(self) -> dict[str, str]:
        """The settings of a server that knows this provider."""
        return {
            "ML_PIPELINE_OIDC_ISSUER": self.issuer,
            "ML_PIPELINE_OIDC_CLIENT_ID": CLIENT_ID,
            "ML_PIPELINE_OIDC_CLIENT_SECRET": CLIENT_SECRET,
        }

    @property
    def public_pem(self) -> bytes:
        form, kind = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        return self.key.public_key().public_bytes(form, kind)

    def signed(self, claims: dict[str, Any], key: Any = None, kid: str = "one") -> str:
        return jwt.encode(claims, key or self.key, algorithm="RS256", headers={"kid": kid})

    def start(self) -> OpenIDProvider:
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider._get(self)

            def do_POST(self) -> None:
                provider._token(self)

            def log_message(self, *arguments: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def _get(self, handler: BaseHTTPRequestHandler) -> None:
        url = urlsplit(handler.path)
        self.asked.append(url.path)
        match url.path:
            case "/.well-known/openid-configuration":
                _answer(handler, 200, self._document())
            case "/authorize":
                self._authorize(handler, {name: values[0] for name, values in parse_qs(url.query).items()})
            case "/keys":
                _answer(handler, 200, {"keys": [self._jwk()]})
            case "/userinfo" if handler.headers["Authorization"] == "Bearer an-access-token":
                _answer(handler, 200, self.told or {"sub": self.person["sub"]})
            case _:
                _answer(handler, 404, {})

    def _document(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "token_endpoint_auth_methods_supported": ["client_secret_basic" if self.basic else "client_secret_post"],
        }

    def _jwk(self) -> dict[str, Any]:
        jwk: dict[str, Any] = jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        return {**jwk, "kid": "one", "use": "sig", "alg": "RS256"}

    def _authorize(self, handler: BaseHTTPRequestHandler, query: dict[str, str]) -> None:
        assert query["response_type"] == "code"
        assert query["client_id"] == CLIENT_ID
        assert query["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe()
        self.codes[code] = query
        handler.send_response(302)
        back = urlencode({"code": code, "state": query["state"]})
        handler.send_header("Location", f"{query['redirect_uri']}?{back}")
        handler.end_headers()

    def _token(self, handler: BaseHTTPRequestHandler) -> None:
        self.asked.append("/token")
        body = handler.rfile.read(int(handler.headers["Content-Length"])).decode()
        form = {name: values[0] for name, values in parse_qs(body).items()}
        query = self.codes.pop(form["code"], None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        expected = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        if self.basic:
            known = handler.headers["Authorization"] == f"Basic {expected}" and "client_secret" not in form
        else:
            known = form.get("client_secret") == CLIENT_SECRET and "Authorization" not in handler.headers
        if query is None or not known or query["code_challenge"] != challenge:
            _answer(handler, 400, {"error": "invalid_grant"})
            return
        assert form["redirect_uri"] == query["redirect_uri"]
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 300, "nonce": query["nonce"]}
        token = self.mint(self, {**claims, **self.person})
        _answer(handler, 200, {"access_token": "an-access-token", "token_type": "Bearer", "id_token": token})


def _answer(handler: BaseHTTPRequestHandler, status: int, body: Any) -> None:
    text = json.dumps(body).encode()
    handler.send_response(status)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(text)))
    handler.end_headers()
    handler.wfile.write(text)


def changed(**claims: Any) -> Mint:
    return lambda provider, honest: provider.signed({**honest, **claims})


def without(claim: str) -> Mint:
    return lambda provider, honest: provider.signed({name: honest[name] for name in honest if name != claim})


def unsigned(provider: OpenIDProvider, claims: dict[str, Any]) -> str:
    return jwt.encode(claims, None, algorithm="none", headers={"kid": "one"})


def signed_with_the_public_key(provider: OpenIDProvider, claims: dict[str, Any]) -> str:
    # By hand: the library would not.
    parts = [{"alg": "HS256", "typ": "JWT", "kid": "one"}, claims]
    text = b".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts)
    signature = hmac.new(provider.public_pem, text, hashlib.sha256).digest()
    return (text + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


def edited(provider: OpenIDProvider, claims: dict[str, Any]) -> str:
    head, _, signature = provider.signed({**claims, "groups": []}).split(".")
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"{head}.{body}.{signature}"


LIES: dict[str, Mint] = {
    "a forged signature": lambda provider, claims: provider.signed(claims, provider.stranger),
    "a key that is not listed": lambda provider, claims: provider.signed(claims, provider.stranger, "two"),
    "an edited body": edited,
    "no signature": unsigned,
    "HS256 with the public key": signed_with_the_public_key,
    "another audience": changed(aud="somebody-else"),
    "more audiences, made for another": changed(aud=["ml-pipeline", "other"], azp="other"),
    "more audiences, made for nobody": changed(aud=["ml-pipeline", "other"]),
    "another issuer": changed(iss="http://127.0.0.1:1"),
    "another nonce": changed(nonce="x" * 32),
    "over": changed(exp=int(time.time()) - 120),
    "not yet": changed(iat=int(time.time()) + 3_600),
    "an empty subject": changed(sub=""),
    "no token at all": lambda provider, claims: "",
    **{f"no {claim}": without(claim) for claim in ("iss", "aud", "exp", "iat", "nonce", "sub")},
}
