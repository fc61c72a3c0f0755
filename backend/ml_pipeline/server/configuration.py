"""The settings that operators make, in one table: read from the environment, checked at start, listed in the docs.

A value that cannot be read, and a name in `ML_PIPELINE_*` that nothing reads, stop the start with the id of the check.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from ml_pipeline.server import readers, settings_together

PREFIX = "ML_PIPELINE_"
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


TABLE = (
    Setting(
        "ML_PIPELINE_HOME",
        ".ml_pipeline",
        readers.folder,
        "ml_pipeline.E001",
        "Folder for the SQLite database, bundles and the demo's secret key; relative to where the server is started.",
    ),
    Setting(
        "ML_PIPELINE_DATABASE_URL",
        "",
        readers.database,
        "ml_pipeline.E002",
        "The database, as a URL; by default `db.sqlite3` in the home folder. PostgreSQL needs the extra `postgres`, "
        "MySQL and MariaDB the extra `mysql`.",
        secret=True,
    ),
    Setting(
        "ML_PIPELINE_SECRET_KEY",
        "",
        readers.secret,
        "ml_pipeline.E003",
        "Random text of at least 32 characters, 8 of them different, the same for every process; keys and sessions are "
        "void when it changes. By default the file `secret_key` in the home folder, which `ml-pipeline demo` makes.",
        secret=True,
    ),
    Setting(
        "ML_PIPELINE_DEBUG",
        "0",
        readers.flag,
        "ml_pipeline.E004",
        "1 shows full errors, for development only; refused with a HOST that others reach.",
    ),
    Setting(
        "ML_PIPELINE_ALLOWED_HOSTS",
        "localhost,127.0.0.1,[::1]",
        readers.names,
        "ml_pipeline.E005",
        "Host names, separated by commas, under which the control plane answers.",
    ),
    Setting(
        "ML_PIPELINE_QUEUE_ROWS",
        "20000",
        readers.count,
        "ml_pipeline.E006",
        "Rows that may wait for one algorithm in one process; what comes on top gets 503 `overloaded`.",
    ),
    Setting(
        "ML_PIPELINE_MAX_BATCH",
        "256",
        readers.count,
        "ml_pipeline.E015",
        "Rows of requests that wait for the same algorithm and are answered by it at once.",
    ),
    Setting(
        "ML_PIPELINE_MAX_WAIT_US",
        "0",
        readers.whole,
        "ml_pipeline.E016",
        "Microseconds that a request waits for others to be answered with it; at 0 it is with those that wait anyhow.",
    ),
    Setting(
        "ML_PIPELINE_DEADLINE_MS",
        "5000",
        readers.count,
        "ml_pipeline.E009",
        "Milliseconds that a request waits at most for its answer; after that 504 `deadline_exceeded`. An algorithm in "
        "a process of its own that took as long is replaced.",
    ),
    Setting(
        "ML_PIPELINE_MEMORY_MB",
        "2000",
        readers.count,
        "ml_pipeline.E010",
        "Memory for the loaded algorithms of one serving process. What is not live makes room, least recently used "
        "first.",
    ),
    Setting(
        "ML_PIPELINE_CHILD_MEMORY_MB",
        "2000",
        readers.count,
        "ml_pipeline.E011",
        "Memory that one algorithm in a process of its own may use.",
    ),
    Setting(
        "ML_PIPELINE_REGISTRATION_MEMORY_MB",
        "4000",
        readers.count,
        "ml_pipeline.E012",
        "Memory that the examination of one upload may use.",
    ),
    Setting(
        "ML_PIPELINE_UPLOAD_MB",
        "500",
        readers.count,
        "ml_pipeline.E013",
        "Size of an upload's body in megabytes; what is larger gets 413 `too_large`.",
    ),
    Setting(
        "ML_PIPELINE_BATCH_DAYS",
        "30",
        readers.count,
        "ml_pipeline.E025",
        "Days for which the result of a batch job, and what it rejected, is kept; then only its record is.",
    ),
    Setting(
        "ML_PIPELINE_BATCH_MB",
        "2000",
        readers.count,
        "ml_pipeline.E026",
        "Size of the body that brings a file to score, in megabytes; what is larger gets 413 `too_large`.",
    ),
    Setting(
        "ML_PIPELINE_TRUSTED_KEYS",
        "",
        readers.public_keys,
        "ml_pipeline.E014",
        "Ed25519 public keys, 32 bytes in base64 each, separated by commas, whose owners may upload signed joblibs.",
    ),
    Setting(
        "ML_PIPELINE_TLS",
        "0",
        readers.flag,
        "ml_pipeline.E018",
        "1 where people reach the control plane by https: cookies go over TLS alone, browsers are told never to come "
        "without it, and plain HTTP is redirected.",
    ),
    Setting(
        "ML_PIPELINE_TRUSTED_PROXIES",
        "",
        readers.networks,
        "ml_pipeline.E017",
        "Addresses and networks of the proxies in front, separated by commas. Only what comes from them may say in "
        "`X-Forwarded-For` who the client is, and in `X-Forwarded-Proto` that it came by https.",
    ),
    Setting(
        "ML_PIPELINE_OIDC_ISSUER",
        "",
        readers.issuer,
        "ml_pipeline.E019",
        "The OpenID provider that people may log in through, as it names itself: `https://…`, its discovery document "
        "lies below. Needs the extra `oidc` and the next three settings.",
    ),
    Setting("ML_PIPELINE_OIDC_CLIENT_ID", "", readers.text, "ml_pipeline.E020", "How the provider knows this server."),
    Setting(
        "ML_PIPELINE_OIDC_CLIENT_SECRET",
        "",
        readers.text,
        "ml_pipeline.E021",
        "What this server proves to the provider that it is itself with.",
        secret=True,
    ),
    Setting(
        "ML_PIPELINE_OIDC_GROUPS",
        "",
        readers.groups,
        "ml_pipeline.E022",
        "`GROUP=TEAM:ROLE`, separated by commas: who is in the group at the provider is `viewer`, `operator` or "
        "`administrator` in the team; of several roles in one team the one that may do most. Nobody else is let in.",
    ),
    Setting(
        "ML_PIPELINE_OIDC_GROUPS_CLAIM",
        "groups",
        readers.claim,
        "ml_pipeline.E023",
        "The claim that lists a person's groups, in the id token or, where that has none, in the user info.",
    ),
    Setting(
        "ML_PIPELINE_OIDC_SCOPES",
        "openid profile",
        readers.scopes,
        "ml_pipeline.E024",
        "Scopes that the provider is asked for, spaces between; some give the groups only with `groups` among them.",
    ),
    Setting(
        "ML_PIPELINE_RAY_ADDRESS",
        "",
        readers.address,
        "ml_pipeline.E027",
        "`HOST:PORT` of the Ray cluster that scores batch jobs; a node of it runs on each worker's machine. Needs the "
        "extra `ray`. By default the processors of the worker's machine score.",
    ),
    Setting(
        "ML_PIPELINE_WEBHOOK_ALLOW",
        "",
        readers.webhook_targets,
        "ml_pipeline.E028",
        "Networks and names of hosts, separated by commas, that webhooks may go to although they are not public, by "
        "plain http and at any port as well.",
    ),
    Setting(
        "ML_PIPELINE_EMAIL_URL",
        "",
        readers.mail_server,
        "ml_pipeline.E029",
        "The mail server that sends e-mails about events: `smtp://USER:PASSWORD@HOST:PORT` speaks TLS after STARTTLS, "
        "`smtps://…` from the beginning, and `smtp://HOST:PORT?tls=0` never. By default nothing is sent by mail.",
        secret=True,
    ),
    Setting(
        "ML_PIPELINE_EMAIL_FROM",
        "",
        readers.mailbox,
        "ml_pipeline.E030",
        "Whom e-mails are from: `ml@example.org` or `ML_Pipeline <ml@example.org>`. Needed with the setting before.",
    ),
    Setting("HOST", "127.0.0.1", readers.text, "ml_pipeline.E007", "Address that `demo` and `serve` listen on."),
    Setting("PORT", "8000", readers.port, "ml_pipeline.E008", "Port that `demo` and `serve` listen on."),
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
    if values.get("ML_PIPELINE_DEBUG") and not readers.is_loopback(values.get("HOST", "")):
        wrong.append(
            "(ml_pipeline.E004) ML_PIPELINE_DEBUG: full errors are not for others; listen on loopback, HOST=127.0.0.1."
        )
    wrong.extend(settings_together.wrong(values))
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
    if readers.weakness(text):
        raise ImproperlyConfigured(f"(ml_pipeline.E003) {path} is no good secret key: it {readers.weakness(text)}.")
    return text
