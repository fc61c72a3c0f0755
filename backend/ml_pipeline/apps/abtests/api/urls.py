"""The routes of A/B tests under `/api/v1/`, none with a trailing slash."""

from __future__ import annotations

from django.urls import path

from ml_pipeline.apps.abtests.api import views
from ml_pipeline.rest import converters

converters.register()

urlpatterns = [
    path("abtests", views.TestList.as_view(), name="abtests"),
    path("abtests/plan", views.TestPlan.as_view(), name="abtest-plan"),
    path("abtests/<id:pk>", views.TestDetail.as_view(), name="abtest"),
    path("abtests/<id:pk>/stop", views.TestStop.as_view(), name="abtest-stop"),
    path("abtests/<id:pk>/report", views.TestReport.as_view(), name="abtest-report"),
    path("abtests/<id:pk>/verification", views.TestVerification.as_view(), name="abtest-verification"),
    path("abtests/<id:pk>/selftest", views.TestSelfTest.as_view(), name="abtest-selftest"),
    path("stop_ab_test/<id:pk>", views.TestStopByOldName.as_view(), name="stop-ab-test"),
]
