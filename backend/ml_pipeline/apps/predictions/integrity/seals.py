"""Seals: documents about the log, signed (Ed25519) with a key that the server makes of its secret key for it."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from django.conf import settings

from ml_pipeline.apps.ml import origins
from ml_pipeline.apps.ml.origins import ServerKey
from ml_pipeline.errors import InvalidArtifact

_PURPOSE = b"ml_pipeline.log.seal"


class Sealed(NamedTuple):
    """The exact text of a JSON document, and its signature in base64."""

    document: str
    signature: str


class Seal:
    """The server's key for the log. `trusted_keys`, in base64, are others that it may have had before."""

    def __init__(self, secret_key: str, trusted_keys: Sequence[str] = ()) -> None:
        self._key = ServerKey(secret_key, _PURPOSE)
        self._trusted_keys = (self.public_key, *trusted_keys)

    @property
    def public_key(self) -> str:
        """The public half in base64, by which anybody can check what is sealed."""
        return self._key.public_key

    def seal(self, document: dict[str, Any]) -> Sealed:
        """`document` as text, signed."""
        text = json.dumps(document, sort_keys=True, ensure_ascii=False)
        return Sealed(text, base64.b64encode(self._key.sign(text.encode())).decode())

    def opened(self, document: str, signature: str) -> dict[str, Any] | None:
        """What `document` says; None where no trusted key has signed it."""
        try:
            origins.verify(document.encode(), signature.encode(), self._trusted_keys)
        except InvalidArtifact:
            return None
        content: dict[str, Any] = json.loads(document)
        return content


def sha256(document: str) -> str:
    """The hex sha256 of a document's text."""
    return hashlib.sha256(document.encode()).hexdigest()


def own(trusted_keys: Sequence[str] = ()) -> Seal:
    """The seal of this server."""
    return Seal(settings.SECRET_KEY, trusted_keys)
