"""What the data plane knows: an immutable snapshot of keys and routes at one revision, kept current in the background.

A prediction reads nothing but the snapshot. The keeper polls the revision, and after a change reads everything anew,
loads what is new, and swaps the whole snapshot in one assignment.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from django.db import Error, connection

from ml_pipeline.apps.accounts import keys
from ml_pipeline.apps.accounts.keys import Grant
from ml_pipeline.apps.endpoints.models import Endpoint, EndpointAlias, MLAlgorithmStatus, Status
from ml_pipeline.apps.events import revisions
from ml_pipeline.apps.events.models import Revision
from ml_pipeline.apps.ml.registry import MLRegistry
from ml_pipeline.errors import AmbiguousAlgorithm, DatabaseUnavailable, NotFound

logger = logging.getLogger(__name__)

POLL_INTERVAL_S = 0.25
# What an endpoint answers with by itself; and what an alias names. All else is loaded when it is asked for.
LIVE = frozenset({Status.PRODUCTION, Status.AB_TESTING})


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


@dataclass(frozen=True, slots=True)
class Selection:
    """How a request narrows the algorithms of its endpoint; None where it does not."""

    algorithm: str | None = None
    version: str | None = None
    status: str | None = None
    alias: str | None = None

    def fits(self, route: Route) -> bool:
        """Whether `route` has the algorithm, version and status that are asked for."""
        return (
            (self.algorithm is None or route.name == self.algorithm)
            and (self.version is None or route.version == self.version)
            and (self.status is None or route.status == self.status)
        )


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Keys by digest and routes by endpoint, as committed at `revision` (0: nothing read yet).

    `live` are the routes that the database wants loaded; `endpoints` has those that are used, which differ where one
    cannot be loaded.
    `aliases` has what each endpoint and alias name, archived or not.
    """

    revision: int = 0
    grants: Mapping[str, Grant] = field(default_factory=dict)
    endpoints: Mapping[str, tuple[Route, ...]] = field(default_factory=dict)
    live: tuple[Route, ...] = ()
    aliases: Mapping[tuple[str, str], Route] = field(default_factory=dict)

    @property
    def answering(self) -> frozenset[Route]:
        """The routes that are `live`, and those that stay in the place of one that cannot be loaded."""
        kept = (route for routes in self.endpoints.values() for route in routes if route.status in LIVE)
        named = (route for route in self.aliases.values() if route.status != Status.ARCHIVED)
        return frozenset((*self.live, *kept, *named))

    def route(self, endpoint: str, selection: Selection) -> Route:
        """The one algorithm that `selection` leaves. Raises NotFound and AmbiguousAlgorithm.

        An alias names one, which must fit the rest. Else without a status the production algorithm is meant, if it
        fits; else any other that fits.
        """
        routes = self.endpoints.get(endpoint)
        if routes is None:
            raise NotFound(f"There is no endpoint named {endpoint[:100]!r}.")
        if selection.alias is not None:
            return self._aliased(endpoint, selection.alias, selection)
        fitting = [route for route in routes if selection.fits(route)]
        chosen = fitting
        if selection.status is None:
            chosen = [route for route in fitting if route.status == Status.PRODUCTION]
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


class SnapshotKeeper:
    """Holds the current snapshot of this process and brings it up to date."""

    def __init__(self, registry: MLRegistry, prepare: Callable[[], None]) -> None:
        """`prepare` is called when some algorithm may need a process of its own, so that its first request is quick."""
        self.registry = registry
        self._prepare = prepare
        self.snapshot = Snapshot()
        self._refreshing = threading.Lock()
        self._stopped = threading.Event()
        self._poller_pid: int | None = None
        self._starting = threading.Lock()
        os.register_at_fork(after_in_child=self._forget_locks)

    def _forget_locks(self) -> None:
        # A thread of the parent may have held them, and it does not exist here.
        self._refreshing, self._starting = threading.Lock(), threading.Lock()

    @property
    def is_started(self) -> bool:
        """Whether this very process polls."""
        return self._poller_pid == os.getpid()

    def start(self) -> None:
        """The snapshot is current, and polling goes on in the background; called again, nothing more happens.

        Called with the first request, so that each process of a pre-forking server has a poller of its own, and that
        request is not judged by what was true when the process was made.
        """
        with self._starting:
            if self.is_started:
                return
            revisions.raised.connect(self._on_raised, dispatch_uid="predictions.snapshot")
            try:
                self.refresh()
            except DatabaseUnavailable as error:
                logger.error("%s", error.message)
            threading.Thread(target=self._poll, name="snapshot", daemon=True).start()
            self._poller_pid = os.getpid()

    def stop(self) -> None:
        """No further polling."""
        self._stopped.set()

    def refresh(self) -> None:
        """The snapshot is that of the revision committed now. Raises DatabaseUnavailable."""
        with self._refreshing:
            try:
                while (revision := revisions.current()) != self.snapshot.revision:
                    grants, endpoints, aliases = keys.grants(), _routes(), _aliases()
                    # Nothing was committed while we read, so what we read is the state at that revision.
                    if revisions.current() == revision:
                        self._swap(revision, grants, endpoints, aliases)
            except (Error, Revision.DoesNotExist) as error:
                connection.close()
                raise DatabaseUnavailable(f"The registry cannot be read: {error}") from error

    def _swap(
        self,
        revision: int,
        grants: Mapping[str, Grant],
        endpoints: Mapping[str, tuple[Route, ...]],
        aliases: Mapping[tuple[str, str], Route],
    ) -> None:
        # Keys at once: a revocation must not wait until algorithms are loaded.
        self.snapshot = replace(self.snapshot, grants=grants)
        routable = {route.algorithm_id: route for routes in endpoints.values() for route in routes}
        named = {route.algorithm_id for route in aliases.values()}
        live = tuple(route for one, route in routable.items() if one in named or route.status in LIVE)
        if any(route.is_isolated for route in routable.values()):
            self._prepare()
        self.registry.expect(frozenset(route.algorithm_id for route in live))
        for route in live:
            self.registry.load(route.algorithm_id, route.digest)
        kept = {name: self._kept(name, routes, routable) for name, routes in endpoints.items()}
        kept_aliases = {place: self._kept_alias(place, route, routable) for place, route in aliases.items()}
        self.snapshot = Snapshot(revision, grants, kept, live, kept_aliases)
        used = [*(route for routes in kept.values() for route in routes), *kept_aliases.values()]
        serving = {route.algorithm_id for route in used if route.status in LIVE} | {one.algorithm_id for one in live}
        self.registry.keep(frozenset(serving), frozenset(routable) | {route.algorithm_id for route in used})

    def _kept(self, name: str, routes: tuple[Route, ...], routable: Mapping[int, Route]) -> tuple[Route, ...]:
        # What cannot load never replaces what serves: the production route stays the one before, unless archived since.
        failed = [route for route in routes if route.status == Status.PRODUCTION and not self._is_ready(route)]
        before = [
            route
            for route in self.snapshot.endpoints.get(name, ())
            if route.status == Status.PRODUCTION and self._is_ready(route) and route.algorithm_id in routable
        ]
        if not failed or not before:
            return routes
        logger.error("%s %s cannot serve %s; %s stays", failed[0].name, failed[0].version, name, before[0].version)
        return (*(route for route in routes if route not in failed), *before)

    def _kept_alias(self, place: tuple[str, str], route: Route, routable: Mapping[int, Route]) -> Route:
        before = self.snapshot.aliases.get(place)
        if route.status == Status.ARCHIVED or before is None or self._is_ready(route):
            return route
        if before.algorithm_id not in routable or not self._is_ready(before):
            return route
        logger.error("%s %s cannot serve %s@%s; %s stays", route.name, route.version, *place, before.version)
        return before

    def _is_ready(self, route: Route) -> bool:
        return self.registry.slot(route.algorithm_id).state == "ready"

    def _poll(self) -> None:
        reported = ""
        while not self._stopped.wait(POLL_INTERVAL_S):
            try:
                self.refresh()
                reported = ""
            except DatabaseUnavailable as error:
                if error.message != reported:
                    logger.error("%s", error.message)
                reported = error.message
            # The outermost edge of this thread: without it nobody would hear of a change any more.
            except Exception:
                logger.exception("the snapshot could not be brought up to date")
        connection.close()

    def _on_raised(self, **_: Any) -> None:
        self.refresh()


def _routes() -> dict[str, tuple[Route, ...]]:
    found: dict[str, list[Route]] = {name: [] for name in Endpoint.objects.values_list("name", flat=True)}
    steps = (
        MLAlgorithmStatus.objects.filter(active_of__isnull=False)
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
