"""Digests: keyed hashes of what must not be stored itself, for every purpose under another key."""

from __future__ import annotations

import functools
import hashlib
import hmac
from typing import TYPE_CHECKING

from django.conf import settings

if TYPE_CHECKING:
    from hashlib import _Hash

BLOCK_BYTES = 64


class Digest:
    """The hex HMAC-SHA256 (RFC 2104) of what it is called with, under a key made from the server's for `purpose`."""

    def __init__(self, purpose: bytes) -> None:
        self._purpose = purpose

    def __call__(self, content: bytes) -> str:
        """64 hexadecimal digits."""
        inner, outer = self._begun
        inner, outer = inner.copy(), outer.copy()
        inner.update(content)
        outer.update(inner.digest())
        return outer.hexdigest()

    @functools.cached_property
    def _begun(self) -> tuple[_Hash, _Hash]:
        # HMAC's two hashes, each with its key taken in. To copy an object of `hmac` takes three times as long, and a
        # prediction waits for it.
        key = hashlib.sha256(self._purpose + settings.SECRET_KEY.encode()).digest().ljust(BLOCK_BYTES, b"\0")
        return hashlib.sha256(key.translate(hmac.trans_36)), hashlib.sha256(key.translate(hmac.trans_5C))
