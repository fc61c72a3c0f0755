"""Views of monitoring: live performance of an endpoint, drift, and the report of both for people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import PolymorphicProxySerializer, extend_schema
from rest_framework import generics
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from ml_pipeline.apps.accounts.authentication import SeesOwn, grant_of
from ml_pipeline.apps.endpoints import endpoints
from ml_pipeline.apps.endpoints.models import Endpoint
from ml_pipeline.apps.monitoring import drift_windows, drifts, metrics, readings, sql, subjects
from ml_pipeline.apps.monitoring.api import questions
from ml_pipeline.apps.monitoring.api.serializers import (
    DriftSerializer,
    DriftTestSerializer,
    MetricsSerializer,
    RangeDriftSerializer,
)
from ml_pipeline.apps.monitoring.metrics import Entrant
from ml_pipeline.apps.monitoring.models import DriftTest, Window
from ml_pipeline.apps.monitoring.readings import Range
from ml_pipeline.apps.monitoring.report import pages
from ml_pipeline.rest.lists import KeysetPagination, refuse_unknown
from ml_pipeline.stats.drift import MIN_ROWS

# What a report is about unless its address says.
REPORT_DAYS = 7


class EndpointMetrics(SeesOwn, generics.GenericAPIView[Window]):
    """Live performance of an endpoint."""

    queryset = Window.objects.all()
    serializer_class = MetricsSerializer
    filter_backends = ()
    pagination_class = None
    scopes = {"GET": "read"}

    @extend_schema(
        parameters=[
            *(questions.since(), questions.TO, questions.VERSION, questions.ALGORITHM),
            *(questions.BY, questions.SLICES),
        ],
        responses=MetricsSerializer,
    )
    def get(self, request: Request, name: str) -> Response:
        """Traffic, labels, features, and how right answers were, of each algorithm with requests in the range."""
        refuse_unknown(request, {"from", "to", "version", "algorithm", "by", "slices"})
        endpoint = endpoints.named(name, grant_of(request))
        within = questions.within(request)
        by = questions.step(request, within)
        slices = questions.slices(request, endpoint.settings.get("slices", ()))
        return Response(metrics.told(endpoint, _chosen(request, endpoint), within, slices, by))


class EndpointDrift(SeesOwn, generics.GenericAPIView[DriftTest]):
    """Whether what an endpoint is asked looks like the reference of its algorithms."""

    queryset = DriftTest.objects.select_related("parent_mlalgorithm")
    serializer_class = DriftSerializer
    filter_backends = ()
    scopes = {"GET": "read"}

    @extend_schema(
        parameters=[
            *(questions.since(), questions.TO, questions.VERSION, questions.ALGORITHM),
            *(questions.LIMIT, questions.BEFORE),
        ],
        responses=PolymorphicProxySerializer(
            component_name="EndpointDrift",
            serializers=[DriftSerializer, RangeDriftSerializer],
            resource_type_field_name=None,
            many=False,
        ),
    )
    def get(self, request: Request, name: str) -> Response:
        """The tests of closed windows, newest first; with `from` or `to` a test of that range, made now."""
        of_range = bool({"from", "to"} & set(request.query_params))
        # A range has one test an algorithm, and no pages.
        refuse_unknown(request, {"from", "to", "version", "algorithm"} | (set() if of_range else {"limit", "before"}))
        endpoint = endpoints.named(name, grant_of(request))
        if of_range:
            within = questions.within(request)
            return Response(_tested(endpoint, _chosen(request, endpoint), within))
        chosen = _chosen(request, endpoint)
        paginator = KeysetPagination()
        tests = self.get_queryset().filter(parent_mlalgorithm__in=[one.pk for one in chosen])
        page = paginator.paginate_queryset(tests, request, self)
        return paginator.get_paginated_response(
            {
                "endpoint": endpoint.name,
                "folded": metrics.folded(),
                "algorithms": _gathering(chosen),
                "tests": DriftTestSerializer(page, many=True).data,
            }
        )


class EndpointReport(SeesOwn, generics.GenericAPIView[Window]):
    """The report of an endpoint, for people."""

    queryset = Window.objects.all()
    # What the route answers is a page already; what it refuses is JSON, for browsers too.
    renderer_classes = (JSONRenderer,)
    filter_backends = ()
    pagination_class = None
    scopes = {"GET": "read"}

    @extend_schema(
        parameters=[
            *(questions.since(REPORT_DAYS * 24), questions.TO, questions.VERSION, questions.ALGORITHM),
            questions.SLICES,
        ],
        responses={(200, "text/html"): OpenApiTypes.STR},
    )
    def get(self, request: Request, name: str) -> HttpResponse:
        """One HTML page that needs nothing else: what to look at, in plain words, then charts with their numbers."""
        refuse_unknown(request, {"from", "to", "version", "algorithm", "slices"})
        endpoint = endpoints.named(name, grant_of(request))
        within = questions.within(request, timedelta(days=REPORT_DAYS))
        slices = questions.slices(request, endpoint.settings.get("slices", ()))
        return HttpResponse(pages.written(endpoint, _chosen(request, endpoint), within, slices))


def _chosen(request: Request, endpoint: Endpoint) -> list[Entrant]:
    query = request.query_params
    return metrics.entrants(endpoint, query.get("version"), query.get("algorithm"))


def _tested(endpoint: Endpoint, chosen: Sequence[Entrant], within: Range) -> dict[str, Any]:
    found = readings.merged([one.pk for one in chosen], within, drifts.PARTS)
    about = subjects.found(found)
    return {
        "endpoint": endpoint.name,
        "from": within.begins_at,
        "to": within.ends_at,
        "folded": metrics.folded(),
        "algorithms": [{**one.about, **drifts.told(about[one.pk], found[one.pk])} for one in chosen if one.pk in about],
    }


def _gathering(chosen: Sequence[Entrant]) -> list[dict[str, Any]]:
    about = subjects.found(one.pk for one in chosen)
    found = []
    for one in chosen:
        subject = about.get(one.pk)
        if subject is None or subject.profile is None:
            found.append({**one.about, "gathering": None, "unavailable": drifts.WITHOUT_REFERENCE})
            continue
        run = drift_windows.gathering(one.pk)
        if run is not None:
            gathering = {"from": sql.begins_at(run.begin), "rows": run.rows, "needed": MIN_ROWS}
            found.append({**one.about, "gathering": gathering, "unavailable": None})
    return found
