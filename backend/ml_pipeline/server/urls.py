"""The routes of the control plane. The data plane's own (`predict`, health) never reach Django."""

from __future__ import annotations

import sys

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.urls import include, path, reverse
from django.views.generic import RedirectView
from drf_spectacular.renderers import OpenApiJsonRenderer2
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerSplitView
from rest_framework.exceptions import NotAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from ml_pipeline import errors
from ml_pipeline.rest import exceptions
from ml_pipeline.server import schema, session_urls  # noqa: F401  (how keys are sent is in the schema)


class ApiRoot(APIView):
    """The lists that there are."""

    scopes = {"GET": "read"}

    @extend_schema(exclude=True)
    def get(self, request: Request) -> Response:
        """Name to address."""
        names = "endpoints mlalgorithms mlalgorithmstatuses mlrequests abtests batches teams keys events receivers"
        every = [*names.split(), "alertrules", "alerts", "schema", "docs"]
        return Response({name: request.build_absolute_uri(reverse(name)) for name in every})


class Schema(SpectacularJSONAPIView):
    """The OpenAPI document."""

    renderer_classes = [OpenApiJsonRenderer2]
    scopes = {"GET": "read"}


class Docs(SpectacularSwaggerSplitView):
    """The API's documentation, to be tried out by a person who is logged in."""

    scopes = {"GET": "read"}

    def handle_exception(self, exc: Exception) -> Response | HttpResponse:  # type: ignore[override]
        """A person who is not logged in is sent to log in, and comes back."""
        if isinstance(exc, NotAuthenticated):
            return redirect_to_login(self.request.get_full_path())
        return exceptions.page(exceptions.translated(exc, {"view": self}) or exc)


admin.autodiscover()
admin.site.site_header = admin.site.site_title = "ML_Pipeline"
admin.site.index_title = "Registry and log"

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="api-root"), name="home"),
    path("api/v1", ApiRoot.as_view(), name="api-root"),
    path("api/v1/", include("ml_pipeline.apps.endpoints.api.urls")),
    path("api/v1/", include("ml_pipeline.apps.abtests.api.urls")),
    path("api/v1/", include("ml_pipeline.apps.batches.api.urls")),
    path("api/v1/", include("ml_pipeline.apps.monitoring.api.urls")),
    path("api/v1/", include("ml_pipeline.apps.accounts.api.urls")),
    path("api/schema", Schema.as_view(), name="schema"),
    path("api/docs", Docs.as_view(url_name="schema"), name="docs"),
    path("", include((session_urls, "rest_framework"))),
    path("admin/login/", admin.site.login, {"extra_context": session_urls.ABOUT}),
    path("admin/", admin.site.urls),
]
if settings.OIDC_ISSUER:
    # What it imports is an extra.
    urlpatterns.append(path("oidc/", include("ml_pipeline.apps.accounts.openid")))


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """No route has this address."""
    return exceptions.page(errors.NotFound("Nothing is here under this name."))


def malformed(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django refused the request before any view of ours saw it: a bad Host, a bad session, too large a form."""
    return exceptions.page(exceptions.translated(exception, {}) or errors.MalformedInput("The request is malformed."))


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django refused the person."""
    return exceptions.page(errors.Forbidden("You may not do this."))


def failed(request: HttpRequest) -> HttpResponse:
    """Something nobody foresaw; logged under the id that the client is told."""
    return exceptions.unforeseen(sys.exc_info()[1])


handler400 = "ml_pipeline.server.urls.malformed"
handler403 = "ml_pipeline.server.urls.forbidden"
handler404 = "ml_pipeline.server.urls.not_found"
handler500 = "ml_pipeline.server.urls.failed"
