"""Selections: which algorithm scores a file. The rules are those by which predictions are answered."""

from __future__ import annotations

from ml_pipeline.apps.endpoints.models import Endpoint, MLAlgorithm
from ml_pipeline.apps.predictions import wanted
from ml_pipeline.apps.predictions.routing import Selection


def chosen(endpoint: Endpoint, selection: Selection) -> MLAlgorithm:
    """The one algorithm of `endpoint` that `selection` leaves: without more the one in production.

    In a running test that is the champion; a batch takes no part in it. Raises NotFound and AmbiguousAlgorithm.
    """
    route = wanted.of_endpoint(endpoint).route(endpoint.name, selection)
    return MLAlgorithm.objects.select_related("parent_endpoint").get(pk=route.algorithm_id)
