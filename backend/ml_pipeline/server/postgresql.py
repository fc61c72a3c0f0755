"""PostgreSQL: how it is connected to."""

from __future__ import annotations

from typing import Any, Final

ENGINE: Final = "django.db.backends.postgresql"
# Overruled by the query of ML_PIPELINE_DATABASE_URL: `postgres://…/name?connect_timeout=3`. A server that has gone
# without a word is noticed within 15 s, whether an answer is awaited or something has been sent.
OPTIONS: Final[dict[str, Any]] = {
    "connect_timeout": 10,
    "keepalives_idle": 5,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": 15_000,
}
