"""The Django app."""

from __future__ import annotations

from django.apps import AppConfig


class EndpointsConfig(AppConfig):
    """Its tables are called `endpoints_…`."""

    name = "benchmarks.data_plane.tutorial"
    label = "endpoints"
