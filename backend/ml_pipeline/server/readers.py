"""Readers of settings: each turns the text of a variable into its value, or raises ValueError with what it expects."""

from __future__ import annotations

import ipaddress
from email.utils import parseaddr
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from django.core.checks.security.base import SECRET_KEY_INSECURE_PREFIX
from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from ml_pipeline.apps.accounts.access import Role
from ml_pipeline.apps.events import targets
from ml_pipeline.apps.ml import origins

MIN_SECRET, MIN_DIFFERENT = 32, 8
# As long as the actor of an event may be.
MAX_ISSUER = 140


class Mapped(NamedTuple):
    """Whoever is in `group` at the provider is `role` in `team`."""

    group: str
    team: str
    role: str


class MailServer(NamedTuple):
    """Who sends e-mails, as Django's backend names it: TLS after STARTTLS, or from the beginning."""

    host: str
    port: int
    username: str
    password: str
    use_tls: bool
    use_ssl: bool


def text(text: str) -> str:
    """`text` as it is."""
    return text


def flag(text: str) -> bool:
    """Whether it is 1 or true."""
    if text.lower() not in ("0", "1", "true", "false"):
        raise ValueError("0 or 1")
    return text.lower() in ("1", "true")


def names(text: str) -> list[str]:
    """What stands between commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def folder(text: str) -> Path:
    """A folder, absolute."""
    if not text:
        raise ValueError("a folder")
    try:
        return Path(text).expanduser().resolve()
    # Of a person whom the machine does not know, or a link to itself.
    except (RuntimeError, OSError):
        raise ValueError("a folder that can be found") from None


def count(text: str) -> int:
    """An integer of at least 1."""
    return _integer(text, 1, 10**9, "an integer of at least 1")


def whole(text: str) -> int:
    """An integer of at least 0."""
    return _integer(text, 0, 10**9, "an integer of at least 0")


def port(text: str) -> int:
    """A port."""
    return _integer(text, 1, 65_535, "a port from 1 to 65535")


def address(text: str) -> str:
    """HOST:PORT, or nothing."""
    host, _, number = text.rpartition(":")
    try:
        port(number or "0")
    except ValueError:
        host = ""
    # Of an address of IPv6 the colons are in brackets.
    if text and (not host or "/" in host or (":" in host and not (host[0] == "[" and host[-1] == "]"))):
        raise ValueError("HOST:PORT, such as 10.0.0.5:6379")
    return text


def _integer(text: str, least: int, most: int, expected: str) -> int:
    # int() has a complaint of its own about thousands of digits.
    if not (text.isascii() and text.isdigit() and len(text) <= 20 and least <= int(text) <= most):
        raise ValueError(expected)
    return int(text)


def database(text: str) -> str:
    """A database's URL, or nothing."""
    if text and not text.startswith(("sqlite:///", "postgres://", "postgresql://", "mysql://")):
        raise ValueError("sqlite:///PATH, or postgres:// or mysql:// and USER:PASSWORD@HOST:PORT/NAME")
    return text


def public_keys(text: str) -> list[str]:
    """Ed25519 public keys in base64."""
    keys = names(text)
    for key in keys:
        try:
            origins.public_key(key)
        except ValueError as error:
            raise ValueError(f"Ed25519 public keys of 32 bytes in base64 ({error})") from None
    return keys


def networks(text: str) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    """Addresses and networks."""
    try:
        return [ipaddress.ip_network(name) for name in names(text)]
    except ValueError as error:
        raise ValueError(f"addresses and networks such as 10.0.0.5,10.1.0.0/16 ({error})") from None


def secret(text: str) -> str:
    """Random text, or nothing."""
    if text and weakness(text):
        raise ValueError(f"random text, but it {weakness(text)}")
    return text


def weakness(secret: str) -> str | None:
    """Why `secret` is none that anything should be hashed or signed with; None for a good one."""
    if len(secret) < MIN_SECRET:
        return f"holds fewer than {MIN_SECRET} characters"
    if len(set(secret)) < MIN_DIFFERENT:
        return f"holds fewer than {MIN_DIFFERENT} different characters"
    if secret.startswith(SECRET_KEY_INSECURE_PREFIX):
        return f"begins with {SECRET_KEY_INSECURE_PREFIX!r}, as Django marks keys that are for development"
    return None


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens on `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def issuer(text: str) -> str:
    """The URL of an OpenID provider, or nothing."""
    parts = urlsplit(text)
    safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
    if text and (not safe or not parts.hostname or parts.query or parts.fragment or len(text) > MAX_ISSUER):
        raise ValueError(
            f"https://… of at most {MAX_ISSUER} characters, as the provider names itself; http:// on loopback"
        )
    return text


def scopes(text: str) -> str:
    """Scopes of OpenID Connect, `openid` among them."""
    if "openid" not in text.split():
        raise ValueError("scopes with spaces between, openid among them")
    return text


def claim(text: str) -> str:
    """The name of a claim."""
    if not text.strip():
        raise ValueError("the name of a claim")
    return text


def groups(text: str) -> list[Mapped]:
    """What groups at the provider mean here."""
    found = []
    for one in names(text):
        group, _, meaning = one.rpartition("=")
        team, _, role = meaning.partition(":")
        if not group or not team or role not in Role.values:
            raise ValueError(f"GROUP=TEAM:ROLE, separated by commas, the roles being {', '.join(Role.values)}")
        found.append(Mapped(group, team, role))
    return found


def webhook_targets(text: str) -> targets.Allowed:
    """Networks and names of hosts."""
    try:
        return targets.names_and_networks(names(text))
    except ValueError:
        raise ValueError("networks such as 10.1.0.0/16 and names such as hooks.example, separated by commas") from None


def mail_server(text: str) -> MailServer | None:
    """The URL of a mail server, or nothing. A password goes over TLS alone, but on this machine."""
    if not text:
        return None
    try:
        return _mail_server(text)
    except ValueError:
        expected = "smtp:// or smtps:// and USER:PASSWORD@HOST:PORT, ?tls=0 only for smtp:// without a password"
        raise ValueError(expected) from None


def _mail_server(text: str) -> MailServer:
    parts = urlsplit(text)
    query = parse_qs(parts.query, keep_blank_values=True, strict_parsing=True) if parts.query else {}
    is_ssl, is_plain = parts.scheme == "smtps", query == {"tls": ["0"]}
    host, password = parts.hostname or "", unquote(parts.password or "")
    is_odd = parts.scheme not in ("smtp", "smtps") or parts.path not in ("", "/") or parts.fragment
    if is_odd or not host or (query and not is_plain) or (is_plain and is_ssl) or parts.port == 0:
        raise ValueError
    if is_plain and password and not is_loopback(host):
        raise ValueError
    port = parts.port or (465 if is_ssl else 587)
    return MailServer(host, port, unquote(parts.username or ""), password, not is_ssl and not is_plain, is_ssl)


def mailbox(text: str) -> str:
    """An e-mail address, with or without a name, or nothing."""
    address = parseaddr(text)[1]
    try:
        if text:
            validate_email(address)
    except ValidationError:
        address = ""
    if text and (not address or not text.isprintable()):
        raise ValueError("an e-mail address, such as ml@example.org or ML_Pipeline <ml@example.org>")
    return text
