"""One route."""

from __future__ import annotations

from django.urls import path

from benchmarks.data_plane.tutorial.views import PredictView

urlpatterns = [path("api/v1/<endpoint_name>/predict", PredictView.as_view())]
