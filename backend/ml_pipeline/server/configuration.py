"""The settings that operators make, in one table: read from the environment, checked at start, listed in the docs.

A value that cannot be read, and a name in `ML_PIPELINE_*` that nothing reads, stop the start with the id of the check.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.core.checks.security.base import SECRET_KEY_INSECURE_PREFIX
from django.core.exceptions import ImproperlyConfigured

from ml_pipeline.apps.ml import origins

PREFIX = "ML_PIPELINE_"
MIN_SECRET, MIN_DIFFERENT = 32, 8
# Read by the command line when it talks to a server over HTTP.
CLIENT_VARIABLES = frozenset({"ML_PIPELINE_URL", "ML_PIPELINE_API_KEY"})


@dataclass(frozen=True, slots=True)
class Setting:
    """One environment variable. `read` turns its text into the value, or raises ValueError saying what it expects."""

    variable: str
    default: str
    read: Callable[[str], Any]
    check: str
    help: str
    secret: bool = False


def _text(text: str) -> str:
    return text


def _flag(text: str) -> bool:
    if text.lower() not in ("0", "1", "true", "false"):
        raise ValueError("0 or 1")
    return text.lower() in ("1", "true")


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _folder(text: str) -> Path:
    if not text:
        raise ValueError("a folder")
    try:
        return Path(text).expanduser().resolve()
    # Of a person whom the machine does not know, or a link to itself.
    except (RuntimeError, OSError):
        raise ValueError("a folder that can be found") from None


def _count(text: str) -> int:
    return _integer(text, 1, 10**9, "an integer of at least 1")


def _whole(text: str) -> int:
    return _integer(text, 0, 10**9, "an integer of at least 0")


def _port(text: str) -> int:
    return _integer(text, 1, 65_535, "a port from 1 to 65535")


def _integer(text: str, least: int, most: int, expected: str) -> int:
    # int() has a complaint of its own about thousands of digits.
    if not (text.isascii() and text.isdigit() and len(text) <= 20 and least <= int(text) <= most):
        raise ValueError(expected)
    return int(text)


def _database(text: str) -> str:
    if text and not text.startswith(("sqlite:///", "postgres://", "postgresql://", "mysql://")):
        raise ValueError("sqlite:///PATH, or postgres:// or mysql:// and USER:PASSWORD@HOST:PORT/NAME")
    return text


def _public_keys(text: str) -> list[str]:
    keys = _names(text)
    for key in keys:
        try:
            origins.public_key(key)
        except ValueError as error:
            raise ValueError(f"Ed25519 public keys of 32 bytes in base64 ({error})") from None
    return keys


def _networks(text: str) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    try:
        return [ipaddress.ip_network(name) for name in _names(text)]
    except ValueError as error:
        raise ValueError(f"addresses and networks such as 10.0.0.5,10.1.0.0/16 ({error})") from None


def _secret(text: str) -> str:
    if text and _weakness(text):
        raise ValueError(f"random text, but it {_weakness(text)}")
    return text


def _weakness(secret: str) -> str | None:
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


TABLE = (
    Setting(
        "ML_PIPELINE_HOME",
        ".ml_pipeline",
        _folder,
        "ml_pipeline.E001",
        "Folder for the SQLite database, bundles and the demo's secret key; relative to where the server is started.",
    ),
    Setting(
        "ML_PIPELINE_DATABASE_URL",
        "",
        _database,
        "ml_pipeline.E002",
        "The database, as a URL; by default `db.sqlite3` in the home folder. PostgreSQL needs the extra `postgres`, "
        "MySQL and MariaDB the extra `mysql`.",
        secret=True,
    ),
    Setting(
        "ML_PIPELINE_SECRET_KEY",
        "",
        _secret,
        "ml_pipeline.E003",
        "Random text of at least 32 characters, 8 of them different, the same for every process; keys and sessions are "
        "void when it changes. By default the file `secret_key` in the home folder, which `ml-pipeline demo` makes.",
        secret=True,
    ),
    Setting(
        "ML_PIPELINE_DEBUG",
        "0",
        _flag,
        "ml_pipeline.E004",
        "1 shows full errors, for development only; refused with a HOST that others reach.",
    ),
    Setting(
        "ML_PIPELINE_ALLOWED_HOSTS",
        "localhost,127.0.0.1,[::1]",
        _names,
        "ml_pipeline.E005",
        "Host names, separated by commas, under which the control plane answers.",
    ),
    Setting(
        "ML_PIPELINE_QUEUE_ROWS",
        "20000",
        _count,
        "ml_pipeline.E006",
        "Rows that may wait for one algorithm in one process; what comes on top gets 503 `overloaded`.",
    ),
    Setting(
        "ML_PIPELINE_MAX_BATCH",
        "256",
        _count,
        "ml_pipeline.E015",
        "Rows of requests that wait for the same algorithm and are answered by it at once.",
    ),
    Setting(
        "ML_PIPELINE_MAX_WAIT_US",
        "0",
        _whole,
        "ml_pipeline.E016",
        "Microseconds that a request waits for others to be answered with it; at 0 it is with those that wait anyhow.",
    ),
    Setting(
        "ML_PIPELINE_DEADLINE_MS",
        "5000",
        _count,
        "ml_pipeline.E009",
        "Milliseconds that a request waits at most for its answer; after that 504 `deadline_exceeded`. An algorithm in "
        "a process of its own that took as long is replaced.",
    ),
    Setting(
        "ML_PIPELINE_MEMORY_MB",
        "2000",
        _count,
        "ml_pipeline.E010",
        "Memory for the loaded algorithms of one serving process. What is not live makes room, least recently used "
        "first.",
    ),
    Setting(
        "ML_PIPELINE_CHILD_MEMORY_MB",
        "2000",
        _count,
        "ml_pipeline.E011",
        "Memory that one algorithm in a process of its own may use.",
    ),
    Setting(
        "ML_PIPELINE_REGISTRATION_MEMORY_MB",
        "4000",
        _count,
        "ml_pipeline.E012",
        "Memory that the examination of one upload may use.",
    ),
    Setting(
        "ML_PIPELINE_UPLOAD_MB",
        "500",
        _count,
        "ml_pipeline.E013",
        "Size of an upload's body in megabytes; what is larger gets 413 `too_large`.",
    ),
    Setting(
        "ML_PIPELINE_TRUSTED_KEYS",
        "",
        _public_keys,
        "ml_pipeline.E014",
        "Ed25519 public keys, 32 bytes in base64 each, separated by commas, whose owners may upload signed joblibs.",
    ),
    Setting(
        "ML_PIPELINE_TLS",
        "0",
        _flag,
        "ml_pipeline.E018",
        "1 where people reach the control plane by https: cookies go over TLS alone, browsers are told never to come "
        "without it, and plain HTTP is redirected.",
    ),
    Setting(
        "ML_PIPELINE_TRUSTED_PROXIES",
        "",
        _networks,
        "ml_pipeline.E017",
        "Addresses and networks of the proxies in front, separated by commas. Only what comes from them may say in "
        "`X-Forwarded-For` who the client is, and in `X-Forwarded-Proto` that it came by https.",
    ),
    Setting("HOST", "127.0.0.1", _text, "ml_pipeline.E007", "Address that `demo` and `serve` listen on."),
    Setting("PORT", "8000", _port, "ml_pipeline.E008", "Port that `demo` and `serve` listen on."),
)


def read(environment: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """Variable to value for the whole table. Raises ImproperlyConfigured naming everything that is wrong."""
    values: dict[str, Any] = {}
    wrong = []
    for setting in TABLE:
        text = environment.get(setting.variable, setting.default)
        try:
            values[setting.variable] = setting.read(text)
        except ValueError as error:
            got = "something else, which is not shown" if setting.secret else repr(text[:80])
            wrong.append(f"({setting.check}) {setting.variable}: expected {error}, got {got}.")
    known = {setting.variable for setting in TABLE} | CLIENT_VARIABLES
    for name in sorted(environment):
        if name.startswith(PREFIX) and name not in known:
            wrong.append(f"(ml_pipeline.E000) {name}: there is no such setting; see docs/settings.md.")
    if values.get("ML_PIPELINE_DEBUG") and not is_loopback(values.get("HOST", "")):
        wrong.append(
            "(ml_pipeline.E004) ML_PIPELINE_DEBUG: full errors are not for others; listen on loopback, HOST=127.0.0.1."
        )
    if wrong:
        raise ImproperlyConfigured("The settings are wrong:\n  " + "\n  ".join(wrong))
    return values


def secret_key(values: Mapping[str, Any]) -> str:
    """The secret key: the setting, or the file in the home folder. Raises ImproperlyConfigured without either."""
    if values["ML_PIPELINE_SECRET_KEY"]:
        return str(values["ML_PIPELINE_SECRET_KEY"])
    path: Path = values["ML_PIPELINE_HOME"] / "secret_key"
    try:
        text = path.read_text(encoding="ascii").strip()
    except OSError:
        raise ImproperlyConfigured(
            f"(ml_pipeline.E003) There is no secret key. Set ML_PIPELINE_SECRET_KEY, or run `ml-pipeline demo`, "
            f"which makes one in {path}."
        ) from None
    if _weakness(text):
        raise ImproperlyConfigured(f"(ml_pipeline.E003) {path} is no good secret key: it {_weakness(text)}.")
    return text
