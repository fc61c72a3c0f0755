"""The routes of the registry under `/api/v1/`, none with a trailing slash."""

from __future__ import annotations

from django.urls import path, register_converter
from django.urls.converters import StringConverter, UUIDConverter

from ml_pipeline.apps.endpoints.api import algorithms, aliases, endpoints, receivers, requests
from ml_pipeline.rest import converters


class EndpointName(StringConverter):
    """A name that an endpoint may bear; anything else is not found."""

    regex = "[a-z][a-z0-9_-]{0,62}"


class RequestId(UUIDConverter):
    """A UUID, in either case."""

    regex = "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"


register_converter(EndpointName, "endpoint")
converters.register()
register_converter(RequestId, "request")

urlpatterns = [
    path("endpoints", endpoints.EndpointList.as_view(), name="endpoints"),
    path("endpoints/<endpoint:name>", endpoints.EndpointDetail.as_view(), name="endpoint"),
    path("endpoints/<endpoint:name>/history", endpoints.EndpointHistory.as_view(), name="endpoint-history"),
    path("endpoints/<endpoint:name>/rollback", endpoints.EndpointRollback.as_view(), name="endpoint-rollback"),
    path("endpoints/<endpoint:name>/aliases", aliases.AliasList.as_view(), name="endpoint-aliases"),
    path("endpoints/<endpoint:name>/aliases/<str:alias>", aliases.AliasDetail.as_view(), name="endpoint-alias"),
    path("mlalgorithms", algorithms.AlgorithmList.as_view(), name="mlalgorithms"),
    path("mlalgorithms/<id:pk>", algorithms.AlgorithmDetail.as_view(), name="mlalgorithm"),
    path("mlalgorithms/<id:pk>/archive", algorithms.AlgorithmArchive.as_view(), name="mlalgorithm-archive"),
    path("mlalgorithms/<id:pk>/tags/<str:name>", algorithms.AlgorithmTagDetail.as_view(), name="mlalgorithm-tag"),
    path("mlalgorithmstatuses", algorithms.StatusList.as_view(), name="mlalgorithmstatuses"),
    path("mlalgorithmstatuses/<id:pk>", algorithms.StatusDetail.as_view(), name="mlalgorithmstatus"),
    path("receivers", receivers.ReceiverList.as_view(), name="receivers"),
    path("receivers/<id:pk>", receivers.ReceiverDetail.as_view(), name="receiver"),
    path("receivers/<id:pk>/test", receivers.ReceiverTest.as_view(), name="receiver-test"),
    path("receivers/<id:pk>/rotate", receivers.ReceiverRotation.as_view(), name="receiver-rotate"),
    path("receivers/<id:pk>/deliveries", receivers.DeliveryList.as_view(), name="receiver-deliveries"),
    path(
        "receivers/<id:pk>/deliveries/<request:uid>/retry",
        receivers.DeliveryRetry.as_view(),
        name="receiver-delivery-retry",
    ),
    path("mlrequests", requests.RequestList.as_view(), name="mlrequests"),
    path("mlrequests/feedback", requests.FeedbackBulk.as_view(), name="mlrequests-feedback"),
    path("mlrequests/<request:pk>", requests.RequestDetail.as_view(), name="mlrequest"),
]
