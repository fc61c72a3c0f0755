"""Frames: bytes with their kind and length in front, so that no two contents share an encoding."""

from __future__ import annotations


def framed(kind: str, content: bytes) -> bytes:
    """`content` in a frame; frames may stand side by side and within each other."""
    return b"%s:%d:%s" % (kind.encode(), len(content), content)
