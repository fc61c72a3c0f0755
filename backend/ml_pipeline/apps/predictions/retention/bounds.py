"""Bounds: until when the log is archived or pruned, as an operator says it and as ids and rows say it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from ml_pipeline.errors import MalformedInput

# How long before its commit a request's id may have been made.
MARGIN = timedelta(days=1)


def parsed(text: str) -> date:
    """The day (UTC) that `text` says as YYYY-MM-DD. Raises MalformedInput, also for one that is yet to come."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = date.max
    if day.isoformat() != text or day == date.max:
        raise MalformedInput(f"--before: expected a day as YYYY-MM-DD, got {text!r}.")
    if day > datetime.now(UTC).date():
        raise MalformedInput("--before: today (UTC) at the latest.")
    return day


def first_id(moment: datetime) -> str:
    """The lowest id, 32 hex digits, that a request of `moment` or later has."""
    milliseconds = max(0, int(moment.timestamp() * 1000))
    return f"{milliseconds << 80:032x}"


def first_id_of(stamp: str) -> str:
    """The lowest id that a request in a batch of that time has, as far as that can be known."""
    try:
        return first_id(datetime.fromisoformat(stamp).replace(tzinfo=UTC) - MARGIN)
    except (OverflowError, TypeError, ValueError):
        return "0" * 32


def first_id_on(day: date) -> str:
    """The lowest id that a request of that day has."""
    return first_id(datetime(day.year, day.month, day.day, tzinfo=UTC))
