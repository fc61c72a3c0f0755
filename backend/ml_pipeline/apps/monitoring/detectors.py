"""Detectors: what watches the accuracy of each algorithm, outcome by outcome, in the order in which they were told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def watched(rights: Sequence[tuple[Any, Any]]) -> list[Any]:
    """What `write` is to store."""
    return []


def write(changed: Sequence[Any]) -> None:
    """What `watched` gave is stored."""
