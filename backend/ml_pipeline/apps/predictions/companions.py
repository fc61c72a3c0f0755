"""Companions: what works in the background while a process serves."""

from __future__ import annotations

from typing import Protocol


class Companion(Protocol):
    """It starts and stops with the keeper, in each process that serves."""

    def start(self) -> None:
        """It works in this very process; called again, nothing more happens."""
        ...

    def stop(self) -> None:
        """It does no more."""
        ...
