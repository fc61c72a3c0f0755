"""Cleaning: what killed processes left behind is removed, of all apps that store or work in folders."""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

from ml_pipeline.apps.batches import removal
from ml_pipeline.apps.endpoints import registrations


class Cleaned(NamedTuple):
    """How much was removed: work that nobody is at, bundles that no version has, files that no batch job has."""

    work: int
    bundles: int
    batches: int


def clean_up(grace: timedelta = registrations.GRACE) -> Cleaned:
    """What was removed: all that no living process works at, and of what is stored what is older than `grace`."""
    return Cleaned(*registrations.clean_up(grace), removal.clear_strange(grace))
