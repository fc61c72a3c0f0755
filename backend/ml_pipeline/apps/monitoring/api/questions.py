"""Questions: what the query of a route of monitoring asks for, read strictly."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from ml_pipeline.apps.endpoints.input_rules import MAX_SLICES
from ml_pipeline.apps.monitoring.metrics import STEPS
from ml_pipeline.apps.monitoring.readings import Range
from ml_pipeline.errors import Complaint, InvalidInput
from ml_pipeline.rest import lists, moments

# What is asked about unless the query says, and at most; steps of a series.
DEFAULT_HOURS = 24
MAX_DAYS = 400
MAX_STEPS = 800
# Years in which every hour's beginning and end is a time that all databases know.
_YEARS: Final = range(1971, 9999)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_MOMENT: Final = f"{moments.EXPECTED}, or a date in UTC"

TO = OpenApiParameter(
    "to", OpenApiTypes.STR, description="The hour before this time is the last: likewise; now by default."
)
VERSION = OpenApiParameter("version", OpenApiTypes.STR, description="Only algorithms of this version.")
ALGORITHM = OpenApiParameter("algorithm", OpenApiTypes.STR, description="Only the algorithms of this name.")
BY = OpenApiParameter(
    "by", OpenApiTypes.STR, enum=list(STEPS), description=f"Adds a series in such steps, at most {MAX_STEPS}."
)
SLICES = OpenApiParameter(
    "slices",
    OpenApiTypes.STR,
    description=f"Up to {MAX_SLICES} features, separated by commas; by default those of the endpoint's settings.",
)

LIMIT = OpenApiParameter(
    "limit",
    {"type": "integer", "minimum": 1, "maximum": lists.MAX_LIMIT, "default": lists.DEFAULT_LIMIT},
    description="Tests a page.",
)
BEFORE = OpenApiParameter(
    "before",
    {"type": "string", "pattern": lists.ID_PATTERN},
    description="Tests older than this id; the `Link` header holds the next page's address.",
)


def since(hours: int = DEFAULT_HOURS) -> OpenApiParameter:
    """The parameter `from` of a route that by default tells of the last so many hours."""
    about = f"The hour of this time is the first: {_MOMENT}. By default {hours} hours before the end."
    return OpenApiParameter("from", OpenApiTypes.STR, description=about)


def within(request: Request, default: timedelta = timedelta(hours=DEFAULT_HOURS)) -> Range:
    """The range of whole hours that the query asks about. Raises InvalidInput."""
    until = _moment(request, "to") or timezone.now()
    since = _moment(request, "from") or until - default
    if since >= until:
        raise InvalidInput([Complaint(None, "from", "a time before the end", since.isoformat())])
    if until - since > timedelta(days=MAX_DAYS):
        got = f"{(until - since).days} days"
        raise InvalidInput([Complaint(None, "from", f"at most {MAX_DAYS} days before the end", got)])
    return Range.of(since, until)


def step(request: Request, asked: Range) -> str | None:
    """The step of the series, None where none is asked for. Raises InvalidInput, too where there would be too many."""
    by = request.query_params.get("by")
    if by is None:
        return None
    if by not in STEPS:
        raise InvalidInput([Complaint(None, "by", f"one of {', '.join(STEPS)}", repr(by[:40]))])
    steps = -(-(asked.end - asked.begin) // STEPS[by])
    if steps > MAX_STEPS:
        expected = f"a range of at most {MAX_STEPS} steps; days are fewer than hours"
        raise InvalidInput([Complaint(None, "by", expected, f"{steps:,} steps")])
    return by


def slices(request: Request, default: Iterable[str]) -> Sequence[str]:
    """The features whose slices are asked for, none twice. Raises InvalidInput for too many."""
    text = request.query_params.get("slices")
    if text is None:
        return list(default)
    names = list(dict.fromkeys(name for name in text.split(",") if name))
    if len(names) > MAX_SLICES:
        raise InvalidInput([Complaint(None, "slices", f"at most {MAX_SLICES} features", f"{len(names)} of them")])
    return names


def _moment(request: Request, name: str) -> datetime | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    moment = moments.read(f"{text}T00:00:00Z" if _DATE.fullmatch(text) else text)
    if moment is None or moment.astimezone(UTC).year not in _YEARS:
        raise InvalidInput([Complaint(None, name, _MOMENT, repr(text[:40]))])
    return moment
