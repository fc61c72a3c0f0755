"""The routes of monitoring under `/api/v1/`, none with a trailing slash."""

from __future__ import annotations

from django.urls import path

from ml_pipeline.apps.monitoring.api import views

# The converter of endpoints' names is registered with their routes, which come first.
urlpatterns = [
    path("endpoints/<endpoint:name>/metrics", views.EndpointMetrics.as_view(), name="endpoint-metrics"),
    path("endpoints/<endpoint:name>/drift", views.EndpointDrift.as_view(), name="endpoint-drift"),
    path("endpoints/<endpoint:name>/report", views.EndpointReport.as_view(), name="endpoint-report"),
]
