"""The routes of monitoring under `/api/v1/`, none with a trailing slash."""

from __future__ import annotations

from django.urls import path

from ml_pipeline.apps.monitoring.api import alert_views, views

# The converter of endpoints' names is registered with their routes, which come first.
urlpatterns = [
    path("endpoints/<endpoint:name>/metrics", views.EndpointMetrics.as_view(), name="endpoint-metrics"),
    path("endpoints/<endpoint:name>/drift", views.EndpointDrift.as_view(), name="endpoint-drift"),
    path("endpoints/<endpoint:name>/report", views.EndpointReport.as_view(), name="endpoint-report"),
    path("alertrules", alert_views.AlertRuleList.as_view(), name="alertrules"),
    path("alertrules/<id:pk>", alert_views.AlertRuleDetail.as_view(), name="alertrule"),
    path("alerts", alert_views.AlertList.as_view(), name="alerts"),
    path("alerts/<id:pk>", alert_views.AlertDetail.as_view(), name="alert"),
]
