"""The registry and the log in Django's admin, to be read. Changes go through the API, which knows the rules."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from ml_pipeline.apps.accounts import authentication
from ml_pipeline.apps.accounts.admin import ReadOnly
from ml_pipeline.apps.endpoints.models import (
    AlgorithmTag,
    Endpoint,
    EndpointAlias,
    Feedback,
    MLAlgorithm,
    MLAlgorithmStatus,
    MLRequest,
)


@admin.register(Endpoint)
class EndpointAdmin(ReadOnly):
    """Endpoints."""

    list_display = ("name", "team", "owner", "description", "created_at")
    list_select_related = ("team",)


@admin.register(MLAlgorithm)
class MLAlgorithmAdmin(ReadOnly):
    """Algorithms."""

    list_display = ("name", "version", "parent_endpoint", "runtime", "owner", "created_at")


@admin.register(AlgorithmTag)
class AlgorithmTagAdmin(ReadOnly):
    """Tags of algorithms."""

    list_display = ("parent_mlalgorithm", "name", "value")
    list_select_related = ("parent_mlalgorithm",)


@admin.register(EndpointAlias)
class EndpointAliasAdmin(ReadOnly):
    """Aliases of endpoints."""

    list_display = ("parent_endpoint", "name", "parent_mlalgorithm", "created_by", "created_at")
    list_select_related = ("parent_endpoint", "parent_mlalgorithm")


@admin.register(MLAlgorithmStatus)
class MLAlgorithmStatusAdmin(ReadOnly):
    """The history of statuses."""

    list_display = ("parent_mlalgorithm", "status", "active", "created_by", "created_at", "reason")
    list_select_related = ("parent_mlalgorithm",)


@admin.register(MLRequest)
class MLRequestAdmin(ReadOnly):
    """The log of predictions."""

    list_display = ("id", "parent_mlalgorithm", "outcome", "response", "probability", "latency_us", "created_at")
    list_select_related = ("parent_mlalgorithm",)


@admin.register(Feedback)
class FeedbackAdmin(ReadOnly):
    """Feedback as it arrived."""

    list_display = ("request_id", "value", "actor", "created_at")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Feedback]:
        """What was told of requests that exist for whoever asks."""
        grant = authentication.of_person(request.user)
        rows = Feedback.objects.order_by(*self.ordering)
        return rows if grant.everywhere else rows.filter(request_id__in=MLRequest.objects.seen_by(grant).values("pk"))
