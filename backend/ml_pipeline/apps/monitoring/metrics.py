"""Metrics: live performance of an endpoint in a range of time, algorithm by algorithm, from the windows alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from ml_pipeline.apps.endpoints.models import Endpoint, MLAlgorithm
from ml_pipeline.apps.events import clock
from ml_pipeline.apps.monitoring import courses, currency, figures, readings, slicing, subjects, watches
from ml_pipeline.apps.monitoring.readings import Range
from ml_pipeline.apps.monitoring.subjects import Subject
from ml_pipeline.apps.monitoring.totals import PARTS
from ml_pipeline.apps.monitoring.windows import DAY, HOUR
from ml_pipeline.errors import NotFound

STEPS: Final = {"hour": HOUR, "day": DAY}


class Entrant(NamedTuple):
    """An algorithm of the endpoint, and the status that it has now."""

    pk: int
    name: str
    version: str
    status: str | None

    @property
    def about(self) -> dict[str, Any]:
        """Which one it is."""
        return {"id": self.pk, "algorithm": self.name, "version": self.version, "current_status": self.status}


def told(
    endpoint: Endpoint, chosen: Sequence[Entrant], within: Range, slices: Sequence[str], by: str | None
) -> dict[str, Any]:
    """The whole reply: figures of those that did something in the range, slices of these features, and how current
    that is; a series in steps of `by`, where that is not None."""
    # Of wide models slices are most of what is stored.
    parts = PARTS if slices else tuple(one for one in PARTS if one != "slices")
    found = readings.merged([one.pk for one in chosen], within, parts)
    active = [one for one in chosen if one.pk in found]
    about = subjects.found(found)
    watched = watches.told(list(found))
    told = {
        "endpoint": endpoint.name,
        "from": within.begins_at,
        "to": within.ends_at,
        "folded": folded(),
        "algorithms": [
            {
                **one.about,
                **figures.told(about[one.pk], found[one.pk]),
                "slices": slicing.told(about[one.pk], found[one.pk], slices),
                "detector": watched.get(one.pk),
            }
            for one in active
            if one.pk in about
        ],
    }
    if by is not None:
        told["series"] = _series(active, about, within, STEPS[by])
    return told


def folded() -> dict[str, Any]:
    """How current the windows are."""
    behind_s = currency.behind_s(clock.now())
    return {"is_current": behind_s == 0.0, "behind_s": behind_s}


def entrants(endpoint: Endpoint, version: str | None = None, name: str | None = None) -> list[Entrant]:
    """The algorithms of the endpoint, those in production first, then the newest. Raises NotFound where none fits."""
    rows = MLAlgorithm.objects.filter(parent_endpoint=endpoint).order_by("-pk")
    for field, value in (("version", version), ("name", name)):
        rows = rows if value is None else rows.filter(**{field: value})
    found = [Entrant(*row) for row in rows.values_list("pk", "name", "version", "active_status__status")]
    if not found and (version is not None or name is not None):
        wanted = " ".join(repr(one[:100]) for one in (name, version) if one is not None)
        raise NotFound(f"There is no algorithm {wanted} under {endpoint.name!r}.")
    return sorted(found, key=lambda one: one.status != "production")


def _series(active: Sequence[Entrant], about: dict[int, Subject], within: Range, hours: int) -> list[dict[str, Any]]:
    return [
        {
            "begins_at": step.begins_at,
            "algorithms": [{**one.about, **step.figures[one.pk]} for one in active if one.pk in step.figures],
        }
        for step in courses.steps(about, within, hours)
    ]
