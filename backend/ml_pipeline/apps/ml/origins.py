"""Origins: who vouches for a joblib. Loading one runs its code, so it carries an Ed25519 signature over its manifest.

The manifest names every file by sha256, so one signature covers all. Keys are 32 raw bytes in base64. Whoever registers
from the command line on the server is an operator: there the server signs, with a key made from its secret key.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ml_pipeline.errors import InvalidArtifact

KEY_BYTES, SIGNATURE_BYTES = 32, 64
ORIGIN = b"ml_pipeline.artifacts.origin"


def public_key(text: str) -> Ed25519PublicKey:
    """The key that `text` spells in base64. Raises ValueError."""
    try:
        content = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None
    if len(content) != KEY_BYTES:
        raise ValueError(f"{len(content)} bytes instead of {KEY_BYTES}")
    return Ed25519PublicKey.from_public_bytes(content)


def verify(content: bytes, signature: bytes, trusted_keys: Sequence[str]) -> None:
    """Returns when one of `trusted_keys` signed `content`; `signature` is raw or base64. Raises InvalidArtifact."""
    raw = signature
    if len(signature) != SIGNATURE_BYTES:
        try:
            raw = base64.b64decode(signature.strip(), validate=True)
        except binascii.Error:
            raise InvalidArtifact("The signature is neither 64 raw bytes nor base64 of them.") from None
    for text in trusted_keys:
        try:
            public_key(text).verify(raw, content)
        except InvalidSignature:
            continue
        return
    raise InvalidArtifact("None of the keys that the operator trusts signed this manifest.")


class ServerKey:
    """A key of the server's own, made from its secret key; for every purpose another.

    For ORIGIN it signs what an operator registers on the server.
    """

    def __init__(self, secret_key: str, purpose: bytes) -> None:
        seed = hashlib.sha256(purpose + secret_key.encode()).digest()
        self._key = Ed25519PrivateKey.from_private_bytes(seed)

    @property
    def public_key(self) -> str:
        """The public half in base64, to be trusted by whoever loads or reads what was signed."""
        return base64.b64encode(self._key.public_key().public_bytes_raw()).decode()

    def sign(self, content: bytes) -> bytes:
        """The signature of `content`, 64 raw bytes."""
        return self._key.sign(content)
