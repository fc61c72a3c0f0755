"""Consumption: what each serving process let through of what has a quota, told to the others in the database."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import F

from ml_pipeline.apps.accounts.models import QuotaRate, QuotaUse
from ml_pipeline.apps.accounts.quotas import Known, Meter, Use
from ml_pipeline.apps.events import processes


def reconcile(meter: Meter, process: UUID, *, today: date | None = None) -> None:
    """What `process` has let through is known to the others, and what they let through is known to `meter`."""
    day = today or datetime.now(UTC).date()
    uses = meter.used()
    if uses:
        with transaction.atomic():
            for subject, use in uses.items():
                _report(process, subject, use)
    meter.learn(Known(day, _rows(day), _rates(process)), uses)


def forget(process: UUID) -> None:
    """`process` lets nothing through any more."""
    QuotaRate.objects.filter(process=process).delete()


def _report(process: UUID, subject: str, use: Use) -> None:
    for day, rows in use.rows.items():
        present = QuotaUse.objects.filter(subject=subject, day=day)
        if rows and not present.update(rows=F("rows") + rows):
            try:
                with transaction.atomic():
                    QuotaUse.objects.create(subject=subject, day=day, rows=rows)
            except IntegrityError:
                # Another process was first.
                present.update(rows=F("rows") + rows)
    if use.rate_per_s:
        rate = {"rate_per_s": use.rate_per_s}
        QuotaRate.objects.update_or_create(process=process, subject=subject, defaults=rate)
    else:
        QuotaRate.objects.filter(process=process, subject=subject).delete()


def _rows(day: date) -> Mapping[str, int]:
    return dict(QuotaUse.objects.filter(day=day).values_list("subject", "rows"))


def _rates(process: UUID) -> dict[str, list[float]]:
    rates: dict[str, list[float]] = {}
    others = QuotaRate.objects.exclude(process=process).filter(process__in=processes.live().values("pk"))
    for subject, rate_per_s in others.values_list("subject", "rate_per_s"):
        rates.setdefault(subject, []).append(rate_per_s)
    return rates
