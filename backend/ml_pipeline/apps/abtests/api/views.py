"""Views of A/B tests: their list, one of them, its report, its stop, its certificate's verification, its self-test."""

from __future__ import annotations

from typing import Any

import django_filters
from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import generics, status
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from ml_pipeline.apps.abtests import ends, outlook, selftests, tests, verification
from ml_pipeline.apps.abtests.api.serializers import (
    NewTestSerializer,
    PlanQuestionSerializer,
    PlanSerializer,
    SelfTestQuestionSerializer,
    SelfTestSerializer,
    TestDetailSerializer,
    TestSerializer,
    VerificationSerializer,
)
from ml_pipeline.apps.abtests.models import ABTest, Result, SelfTest, State
from ml_pipeline.apps.abtests.report import pages
from ml_pipeline.apps.accounts.authentication import SAFE_METHODS, SeesOwn, grant_of
from ml_pipeline.apps.endpoints.api import waiting
from ml_pipeline.apps.endpoints.api.serializers import ReasonSerializer
from ml_pipeline.errors import Complaint, InvalidInput, NotFound
from ml_pipeline.rest.lists import RowIdFilter, refuse_unknown

_TESTS = ABTest.objects.select_related("parent_endpoint").prefetch_related("arms__parent_mlalgorithm")


class TestFilters(django_filters.FilterSet):
    """Filters of the list of tests."""

    __test__ = False

    endpoint = django_filters.CharFilter(field_name="parent_endpoint__name")
    state = django_filters.ChoiceFilter(choices=State.choices)
    result = django_filters.ChoiceFilter(choices=Result.choices)
    # By number: whether another team's exists is not told.
    parent_mlalgorithm = RowIdFilter(field_name="arms__parent_mlalgorithm_id")

    class Meta:
        model = ABTest
        fields = ()


class TestList(SeesOwn, generics.ListAPIView[ABTest]):
    """All tests, newest first; `POST` starts one."""

    __test__ = False

    # Both may be large, and only the reply for one test has them.
    queryset = _TESTS.defer("course", "certificate")
    filterset_class = TestFilters
    scopes = {"GET": "read", "POST": "manage"}

    def get_serializer_class(self) -> type[Any]:
        """The test when read, what starts one when written."""
        return TestSerializer if self.request.method in SAFE_METHODS else NewTestSerializer

    @waiting.awaited
    @extend_schema(request=NewTestSerializer, responses={201: TestDetailSerializer})
    def post(self, request: Request) -> Response:
        """The test, which runs from now on. 409 where one runs already, or another algorithm is in production."""
        refuse_unknown(request, {waiting.PARAMETER})
        body = NewTestSerializer(data=request.data, context=self.get_serializer_context())
        body.is_valid(raise_exception=True)
        grant = grant_of(request)
        entrants = body.entrants()
        for entrant in entrants:
            grant.demand("manage", entrant.algorithm.parent_endpoint.team_id)
        test = tests.create(
            body.validated_data["title"],
            entrants,
            body.metric_json(),
            body.plan_json(),
            actor=grant.actor,
            promotes=body.validated_data["promotes"],
        )
        return Response(_record(test.pk), status=status.HTTP_201_CREATED)


class TestDetail(SeesOwn, generics.RetrieveAPIView[ABTest]):
    """One test, and how it stands."""

    __test__ = False

    queryset = _TESTS
    serializer_class = TestDetailSerializer
    filter_backends = ()
    scopes = {"GET": "read"}


class TestStop(SeesOwn, generics.GenericAPIView[ABTest]):
    """The end of a test: what has come in is counted, and the rule decides."""

    __test__ = False

    queryset = _TESTS
    serializer_class = ReasonSerializer
    scopes = {"POST": "manage"}

    @waiting.awaited
    @extend_schema(responses=TestDetailSerializer)
    def post(self, request: Request, pk: int) -> Response:
        """The test, which is over. Without enough evidence the champion stays, and `summary` says what was missing.

        One that is over stays as it is.
        """
        return Response(self.stopped(request, pk))

    def stopped(self, request: Request, pk: int) -> dict[str, Any]:
        """The record of the test, which is over. Raises NotFound, Forbidden."""
        refuse_unknown(request, {waiting.PARAMETER})
        test = _seen(pk, request, "manage")
        body = ReasonSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        ends.stop(test, actor=grant_of(request).actor, reason=body.validated_data["reason"])
        return _record(pk)


class TestStopByOldName(TestStop):
    """The same, under the name that the Django tutorial's client knows; its reply has a `message`, too."""

    @waiting.awaited
    @extend_schema(responses=TestDetailSerializer)
    def post(self, request: Request, pk: int) -> Response:
        """The test, which is over."""
        return Response({"message": "AB Test finished.", **self.stopped(request, pk)})


class TestReport(SeesOwn, generics.GenericAPIView[ABTest]):
    """The report of a test, for people."""

    __test__ = False

    queryset = _TESTS
    # What the route answers is a page already; what it refuses is JSON, for browsers too.
    renderer_classes = (JSONRenderer,)
    filter_backends = ()
    scopes = {"GET": "read"}

    @extend_schema(responses={(200, "text/html"): OpenApiTypes.STR})
    def get(self, request: Request, pk: int) -> HttpResponse:
        """One HTML page that needs nothing else: what was decided or is missing, in plain words and charts."""
        refuse_unknown(request, set())
        return HttpResponse(pages.written(self.get_object()))


class TestVerification(SeesOwn, generics.GenericAPIView[ABTest]):
    """The certificate of a test, recomputed from the log."""

    __test__ = False

    queryset = _TESTS
    serializer_class = VerificationSerializer
    scopes = {"GET": "read"}

    def get(self, request: Request, pk: int) -> Response:
        """What was found. It goes through all requests of the test. 409 while it runs."""
        refuse_unknown(request, set())
        return Response(verification.verified(_seen(pk, request, "read")).to_json())


class TestSelfTest(SeesOwn, generics.GenericAPIView[ABTest]):
    """How often the rule of a test promotes on its own labels, dealt out anew among the arms."""

    __test__ = False

    queryset = _TESTS
    serializer_class = SelfTestQuestionSerializer
    scopes = {"GET": "read", "POST": "manage"}

    @extend_schema(responses=SelfTestSerializer)
    def get(self, request: Request, pk: int) -> Response:
        """The one that was asked for last, done or not. 404 where none was."""
        refuse_unknown(request, set())
        test = _seen(pk, request, "read")
        one = SelfTest.objects.select_related("test").filter(test=test).first()
        if one is None:
            raise NotFound(f"No self-test of the A/B test {pk} was asked for yet; POST does.")
        return Response(selftests.to_json(one))

    @extend_schema(responses={200: SelfTestSerializer, 202: SelfTestSerializer})
    def post(self, request: Request, pk: int) -> Response:
        """The self-test: 202 while a worker goes through it, 200 where the same was done.

        409 where too few labels have come to be shuffled, and while another one of the test is under way.
        """
        refuse_unknown(request, set())
        test = _seen(pk, request, "manage")
        body = SelfTestQuestionSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        one = selftests.ask(test, **body.validated_data)
        found = selftests.to_json(one)
        is_done = found["state"] == selftests.Progress.DONE
        return Response(found, status=status.HTTP_200_OK if is_done else status.HTTP_202_ACCEPTED)


class TestPlan(APIView):
    """How many labels and how much time a test will take."""

    __test__ = False

    scopes = {"GET": "read"}

    @extend_schema(parameters=[PlanQuestionSerializer], responses=PlanSerializer)
    def get(self, request: Request) -> Response:
        """What the assumed accuracies say of a test of two arms."""
        refuse_unknown(request, set(PlanQuestionSerializer().fields))
        question = PlanQuestionSerializer(data=request.query_params.dict())
        question.is_valid(raise_exception=True)
        try:
            plan = outlook.planned(**question.validated_data)
        except ValueError as error:
            got = repr(question.validated_data["challenger"])
            raise InvalidInput([Complaint(None, "challenger", str(error), got)]) from None
        return Response(plan._asdict())


def _seen(pk: int, request: Request, scope: str) -> ABTest:
    grant = grant_of(request)
    test = ABTest.objects.seen_by(grant).select_related("parent_endpoint").filter(pk=pk).first()
    if test is None:
        raise NotFound(f"There is no A/B test with the id {pk}.")
    grant.demand(scope, test.parent_endpoint.team_id)
    return test


def _record(test_id: int) -> dict[str, Any]:
    # A plain mapping: the page would make its form of the fields of whatever serializer it finds on the reply.
    return dict(TestDetailSerializer(_TESTS.get(pk=test_id)).data)
