"""Digests: keyed hashes of what must not be stored itself, for every purpose under another key."""

from __future__ import annotations

import functools
import hashlib
import hmac

from django.conf import settings


def of(purpose: bytes, content: bytes) -> str:
    """The hex HMAC-SHA256 of `content`, under a key made from the server's secret key for `purpose`."""
    keyed = _keyed(purpose, settings.SECRET_KEY).copy()
    keyed.update(content)
    return keyed.hexdigest()


@functools.lru_cache(maxsize=8)
def _keyed(purpose: bytes, secret_key: str) -> hmac.HMAC:
    return hmac.new(hashlib.sha256(purpose + secret_key.encode()).digest(), digestmod="sha256")
