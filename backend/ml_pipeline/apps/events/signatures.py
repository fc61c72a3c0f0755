"""Signatures of webhooks, as Standard Webhooks has them (https://www.standardwebhooks.com, symmetric, `v1`).

A secret is the HMAC-SHA256 of its receiver's salt under a key made from the server's secret key. So the database has
none: whoever reads it learns salts, and signs nothing with them. Another secret key makes every secret another.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable
from typing import Final

from django.conf import settings

PREFIX: Final = "whsec_"
_PURPOSE: Final = b"ml_pipeline.events.receiver"


def salt() -> str:
    """A new one: 256 random bits as hexadecimal digits."""
    return secrets.token_hex(32)


def shown(salt: str) -> str:
    """The secret as its owner gets it."""
    return PREFIX + base64.b64encode(_secret(salt)).decode()


def headers(delivery: str, body: bytes, salts: Iterable[str], at_s: int) -> dict[str, str]:
    """The three headers of `delivery`, sent `at_s` seconds after 1970: signed with the secret of each of `salts`."""
    content = b".".join((delivery.encode(), str(at_s).encode(), body))
    signed = (base64.b64encode(hmac.digest(_secret(salt), content, "sha256")).decode() for salt in salts)
    return {
        "webhook-id": delivery,
        "webhook-timestamp": str(at_s),
        "webhook-signature": " ".join(f"v1,{one}" for one in signed),
    }


def _secret(salt: str) -> bytes:
    key = hashlib.sha256(_PURPOSE + settings.SECRET_KEY.encode()).digest()
    return hmac.digest(key, bytes.fromhex(salt), "sha256")
