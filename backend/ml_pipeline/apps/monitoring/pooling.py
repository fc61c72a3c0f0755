"""Pooling: places of a feature that have few rows in the reference, judged together.

A category is in the profile because it occurred often enough in the reference. Where that is a matter of a few rows
chance has chosen it, and what comes later has fewer of it and more others: of 1,000 rows with 300 categories that are
equally frequent two in three windows without drift gave an alarm. So where more than MOST_RARE categories have fewer
than LEAST rows, these are judged as other. Neighbouring bins of numbers are judged as one until they have as many: χ²
says too often that few rows differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from ml_pipeline.apps.ml.profile import bins
from ml_pipeline.apps.monitoring.subjects import Part

LEAST, MOST_RARE = 20, 10
# Counts by place in the reference and in a window.
Pair: TypeAlias = tuple[list[int], list[int]]


def pooled(part: Part, reference: Sequence[int], window: Sequence[int]) -> Pair:
    """Both counts, of the same length as before: what is judged together is in one place, and 0 in the others."""
    before, now = list(reference), list(window)
    size = len(before) - len(bins.OUTSIDE[part.about["kind"]])
    moves = _to_other(before, size) if part.about["kind"] == "categorical" else _to_next(before, size)
    for place, onto in moves:
        for counts in (before, now):
            counts[onto] += counts[place]
            counts[place] = 0
    return before, now


def _to_other(reference: Sequence[int], size: int) -> list[tuple[int, int]]:
    rare = [place for place in range(size) if reference[place] < LEAST]
    return [(place, len(reference) - 1) for place in rare] if len(rare) > MOST_RARE else []


def _to_next(reference: Sequence[int], size: int) -> list[tuple[int, int]]:
    # Never onto one that has enough: of a value that used to be rare there can be many now.
    moves, gathered = [], 0
    for place in range(size - 1):
        gathered += reference[place]
        if gathered < LEAST and reference[place + 1] < LEAST:
            moves.append((place, place + 1))
        else:
            gathered = 0
    return moves
