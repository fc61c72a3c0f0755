"""What the data plane knows: an immutable snapshot of keys and routes at one revision; a prediction reads no more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ml_pipeline.apps.abtests.assignment import Assignment
from ml_pipeline.apps.abtests.tests import RunningTest
from ml_pipeline.apps.accounts.access import Grant
from ml_pipeline.apps.endpoints.input_rules import InputRule
from ml_pipeline.apps.endpoints.models import Status
from ml_pipeline.errors import AmbiguousAlgorithm, NotFound

# What an endpoint answers with by itself; and what an alias names. All else is loaded when it is asked for.
LIVE = frozenset({Status.PRODUCTION, Status.AB_TESTING})
# Selections whose routes a snapshot remembers.
MOST_FOUND = 10_000


@dataclass(frozen=True, slots=True)
class Route:
    """One algorithm that can answer under an endpoint."""

    algorithm_id: int
    endpoint: str
    name: str
    version: str
    status: str
    digest: str
    is_isolated: bool


class Owner(NamedTuple):
    """Whose an endpoint is, and its id."""

    team_id: int
    endpoint_id: int


class Selection(NamedTuple):
    """How a request narrows the algorithms of its endpoint; None where it does not."""

    algorithm: str | None = None
    version: str | None = None
    status: str | None = None
    alias: str | None = None

    def fits(self, route: Route, champion: Route | None = None) -> bool:
        """Whether `route` has the algorithm, version and status that are asked for.

        In a test nothing is in production but its `champion`.
        """
        return (
            (self.algorithm is None or route.name == self.algorithm)
            and (self.version is None or route.version == self.version)
            and (self.status in (None, route.status) or (self.status == Status.PRODUCTION and route is champion))
        )


# What a running test answers; who narrows further is no part of it.
OPEN = frozenset({Selection(), Selection(status=Status.AB_TESTING.value)})


class Place(NamedTuple):
    """Where a unit belongs in a test: its arm, None where that does not count any more, and the unit's digest."""

    arm: int | None
    digest: str


@dataclass(frozen=True, slots=True)
class Trial:
    """A running test as predictions meet it: the routes of its arms by number, None for one that was withdrawn."""

    test_id: int
    assignment: Assignment
    arms: tuple[Route | None, ...]
    champion: Route
    # Whether a challenger takes the very rows that the champion takes, by its algorithm; as far as it was looked at.
    alike: dict[int, bool] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, test: RunningTest, routes: Sequence[Route]) -> Trial | None:
        """`test` on an endpoint with these `routes`; None where they lack an arm."""
        by_id = {route.algorithm_id: route for route in routes}
        if any(arm.algorithm_id not in by_id for arm in test.arms if not arm.is_withdrawn):
            return None
        arms = tuple(None if arm.is_withdrawn else by_id[arm.algorithm_id] for arm in test.arms)
        assignment = Assignment(test.salt, [arm.weight for arm in test.arms])
        return cls(test.id, assignment, arms, by_id[test.arms[0].algorithm_id])

    def place(self, unit: str) -> Place:
        """Where `unit` belongs."""
        number, digest = self.assignment.arm(unit)
        return Place(None if self.arms[number] is None else number, digest)

    def route(self, arm: int | None) -> Route:
        """Who answers the units of `arm`."""
        return self.champion if arm is None else self.arms[arm] or self.champion


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Keys by digest and routes by endpoint, as committed at `revision` (0: nothing read yet).

    `live` are the routes that the database wants loaded; `endpoints` has those that are used, which differ where one
    cannot be loaded.
    `aliases` has what each endpoint and alias name, archived or not; `owners` whose each endpoint is;
    `rules` what those endpoints keep that keep less than all of their inputs; `trials` the tests that run, by endpoint.
    """

    revision: int = 0
    grants: Mapping[str, Grant] = field(default_factory=dict)
    endpoints: Mapping[str, tuple[Route, ...]] = field(default_factory=dict)
    live: tuple[Route, ...] = ()
    aliases: Mapping[tuple[str, str], Route] = field(default_factory=dict)
    owners: Mapping[str, Owner] = field(default_factory=dict)
    rules: Mapping[str, InputRule] = field(default_factory=dict)
    trials: Mapping[str, Trial] = field(default_factory=dict)
    # Routes found before. An endpoint may have thousands of algorithms.
    _found: dict[tuple[str, Selection], Route] = field(default_factory=dict, repr=False, compare=False)

    @property
    def answering(self) -> frozenset[Route]:
        """The routes that are `live`, and those that stay in the place of one that cannot be loaded."""
        kept = (route for routes in self.endpoints.values() for route in routes if route.status in LIVE)
        named = (route for route in self.aliases.values() if route.status != Status.ARCHIVED)
        return frozenset((*self.live, *kept, *named))

    def route_for(self, grant: Grant, endpoint: str, selection: Selection) -> Route:
        """As `route`, for whoever may ask that endpoint; for others it does not exist."""
        self.admit(grant, endpoint)
        return self.route(endpoint, selection)

    def admit(self, grant: Grant, endpoint: str) -> None:
        """Raises NotFound for whoever may not ask that endpoint."""
        owner = self.owners.get(endpoint)
        if owner is None or not grant.may("predict", *owner):
            raise _unknown(endpoint)

    def shows(self, grant: Grant, endpoint: str) -> bool:
        """Whether `endpoint` is among those that `grant` may read; one that is gone, among all."""
        owner = self.owners.get(endpoint)
        if owner is None:
            return "read" in grant.everywhere and grant.endpoint_ids is None
        return grant.may("read", *owner)

    def trial(self, endpoint: str, selection: Selection) -> Trial | None:
        """The test that answers, where one does."""
        trial = self.trials.get(endpoint)
        return trial if trial is not None and selection in OPEN else None

    def route(self, endpoint: str, selection: Selection) -> Route:
        """The one algorithm that `selection` leaves. Raises NotFound and AmbiguousAlgorithm.

        An alias names one, which must fit the rest. Else without a status the production algorithm is meant, if it
        fits, which is the champion while a test runs; else any other that fits.
        """
        found = self._found.get((endpoint, selection))
        if found is None:
            found = self._search(endpoint, selection)
            if len(self._found) < MOST_FOUND:
                self._found[endpoint, selection] = found
        return found

    def _search(self, endpoint: str, selection: Selection) -> Route:
        routes = self.endpoints.get(endpoint)
        if routes is None:
            raise _unknown(endpoint)
        if selection.alias is not None:
            return self._aliased(endpoint, selection.alias, selection)
        trial = self.trials.get(endpoint)
        champion = trial.champion if trial is not None else None
        fitting = [route for route in routes if selection.fits(route, champion)]
        chosen = fitting
        if selection.status is None:
            chosen = [route for route in fitting if route.status == Status.PRODUCTION or route is champion]
            if not chosen and (selection.algorithm or selection.version):
                chosen = fitting
        if not chosen:
            raise NotFound(f"No algorithm of {endpoint!r} fits: {_asked(selection)}.")
        if len(chosen) > 1:
            raise AmbiguousAlgorithm(
                f"{len(chosen)} algorithms of {endpoint!r} fit; narrow by algorithm, version or status.",
                [{"algorithm": one.name, "version": one.version, "status": one.status} for one in chosen],
            )
        return chosen[0]

    def _aliased(self, endpoint: str, alias: str, selection: Selection) -> Route:
        route = self.aliases.get((endpoint, alias))
        if route is None:
            raise NotFound(f"{endpoint!r} has no alias {alias[:100]!r}.")
        named = f"The alias {alias!r} of {endpoint!r} names {route.name} {route.version}"
        if route.status == Status.ARCHIVED:
            raise NotFound(f"{named}, which is archived and answers no more.")
        if not selection.fits(route):
            raise NotFound(f"{named} in {route.status}, which does not fit: {_asked(selection)}.")
        return route


def _unknown(endpoint: str) -> NotFound:
    return NotFound(f"There is no endpoint named {endpoint[:100]!r}.")


def _asked(selection: Selection) -> str:
    asked = [
        f"{name} {value[:100]!r}"
        for name, value in (
            ("algorithm", selection.algorithm),
            ("version", selection.version),
            ("status", selection.status),
        )
        if value is not None
    ]
    return ", ".join(asked) or "none is in production"
