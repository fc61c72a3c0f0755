"""What the database wants served: read whole, as of one revision, whether or not it is loaded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ml_pipeline.apps.abtests import tests
from ml_pipeline.apps.abtests.tests import RunningTest
from ml_pipeline.apps.accounts import keys
from ml_pipeline.apps.accounts.access import Grant
from ml_pipeline.apps.endpoints import input_rules
from ml_pipeline.apps.endpoints.input_rules import InputRule
from ml_pipeline.apps.endpoints.models import Endpoint, EndpointAlias, MLAlgorithmStatus, Status
from ml_pipeline.apps.events import revisions
from ml_pipeline.apps.predictions.routing import LIVE, Owner, Route, Snapshot, Trial


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the database says as of one revision, whether or not it is loaded (0: nothing read yet)."""

    revision: int = 0
    grants: Mapping[str, Grant] = field(default_factory=dict)
    endpoints: Mapping[str, tuple[Route, ...]] = field(default_factory=dict)
    aliases: Mapping[tuple[str, str], Route] = field(default_factory=dict)
    owners: Mapping[str, Owner] = field(default_factory=dict)
    rules: Mapping[str, InputRule] = field(default_factory=dict)
    tests: Mapping[str, RunningTest] = field(default_factory=dict)

    @property
    def routable(self) -> dict[int, Route]:
        """The routes of all endpoints by algorithm."""
        return {route.algorithm_id: route for routes in self.endpoints.values() for route in routes}

    @property
    def live(self) -> tuple[Route, ...]:
        """What must be loaded: what an endpoint answers with by itself, and what an alias names."""
        named = {route.algorithm_id for route in self.aliases.values()}
        return tuple(route for one, route in self.routable.items() if one in named or route.status in LIVE)


def read(revision: int) -> Wanted:
    """What is wanted now, which is as of `revision` when that was committed before and still is when this returns."""
    endpoints = list(Endpoint.objects.values_list("name", "team_id", "pk", "settings"))
    return Wanted(
        revision,
        keys.grants(),
        _routes(name for name, *_ in endpoints),
        _aliases(),
        {name: Owner(team_id, pk) for name, team_id, pk, _ in endpoints},
        {name: rule for name, _, _, settings in endpoints if (rule := input_rules.of(settings))},
        {test.endpoint: test for test in tests.running()},
    )


def of_endpoint(endpoint: Endpoint) -> Snapshot:
    """What the database says now of `endpoint` alone: its routes, and the test that runs, whatever is loaded where."""
    while True:
        revision = revisions.current()
        routes = _routes([endpoint.name], parent_mlalgorithm__parent_endpoint=endpoint)
        test = next((one for one in tests.running() if one.endpoint == endpoint.name), None)
        # Nothing was committed meanwhile, so the two belong together.
        if revisions.current() == revision:
            break
    trial = None if test is None else Trial.of(test, routes[endpoint.name])
    return Snapshot(revision, endpoints=routes, trials={} if trial is None else {endpoint.name: trial})


def _routes(endpoints: Iterable[str], **only: Any) -> dict[str, tuple[Route, ...]]:
    found: dict[str, list[Route]] = {name: [] for name in endpoints}
    steps = (
        MLAlgorithmStatus.objects.filter(active_of__isnull=False, **only)
        .exclude(status=Status.ARCHIVED)
        .order_by("parent_mlalgorithm_id")
        .values_list(
            "parent_mlalgorithm_id",
            "parent_mlalgorithm__parent_endpoint__name",
            "parent_mlalgorithm__name",
            "parent_mlalgorithm__version",
            "status",
            "parent_mlalgorithm__artifact_digest",
            "parent_mlalgorithm__is_isolated",
        )
    )
    for step in steps:
        # An endpoint made between the two queries; the second look at the revision discards what was read.
        found.setdefault(step[1], []).append(Route(*step))
    return {name: tuple(routes) for name, routes in found.items()}


def _aliases() -> dict[tuple[str, str], Route]:
    named = EndpointAlias.objects.filter(parent_mlalgorithm__active_status__isnull=False).values_list(
        "name",
        "parent_mlalgorithm_id",
        "parent_endpoint__name",
        "parent_mlalgorithm__name",
        "parent_mlalgorithm__version",
        "parent_mlalgorithm__active_status__status",
        "parent_mlalgorithm__artifact_digest",
        "parent_mlalgorithm__is_isolated",
    )
    return {(one[2], one[0]): Route(*one[1:]) for one in named}
