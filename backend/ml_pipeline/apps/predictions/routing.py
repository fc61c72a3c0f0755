"""What the data plane knows: an immutable snapshot of keys and routes at one revision, kept current in the background.

A prediction reads nothing but the snapshot. The keeper polls the revision, and after a change reads everything anew,
loads what is new, and swaps the whole snapshot in one assignment.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from django.db import Error, connection

from ml_pipeline.apps.accounts import keys
from ml_pipeline.apps.accounts.keys import Grant
from ml_pipeline.apps.endpoints.models import Endpoint, MLAlgorithmStatus, Status
from ml_pipeline.apps.events import revisions
from ml_pipeline.apps.events.models import Revision
from ml_pipeline.apps.ml.registry import MLRegistry
from ml_pipeline.errors import AmbiguousAlgorithm, DatabaseUnavailable, NotFound

logger = logging.getLogger(__name__)

POLL_INTERVAL_S = 0.25


@dataclass(frozen=True, slots=True)
class Route:
    """One algorithm that can answer under an endpoint."""

    algorithm_id: int
    endpoint: str
    name: str
    version: str
    status: str
    digest: str


@dataclass(frozen=True, slots=True)
class Selection:
    """How a request narrows the algorithms of its endpoint; None where it does not."""

    algorithm: str | None = None
    version: str | None = None
    status: str | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Keys by digest and routes by endpoint, as committed at `revision` (0: nothing read yet).

    `live` are all routes of the database; `endpoints` those that are used, which differ where one cannot be loaded.
    """

    revision: int = 0
    grants: Mapping[str, Grant] = field(default_factory=dict)
    endpoints: Mapping[str, tuple[Route, ...]] = field(default_factory=dict)
    live: tuple[Route, ...] = ()

    def route(self, endpoint: str, selection: Selection) -> Route:
        """The one algorithm that `selection` leaves. Raises NotFound and AmbiguousAlgorithm.

        Without a status the production algorithm is meant, if it fits; else any other that fits.
        """
        routes = self.endpoints.get(endpoint)
        if routes is None:
            raise NotFound(f"There is no endpoint named {endpoint[:100]!r}.")
        fitting = [
            route
            for route in routes
            if (selection.algorithm is None or route.name == selection.algorithm)
            and (selection.version is None or route.version == selection.version)
        ]
        wanted = selection.status or Status.PRODUCTION
        chosen = [route for route in fitting if route.status == wanted]
        if not chosen and selection.status is None and (selection.algorithm or selection.version):
            chosen = fitting
        if not chosen:
            raise NotFound(f"No algorithm of {endpoint!r} fits: {_asked(selection)}.")
        if len(chosen) > 1:
            raise AmbiguousAlgorithm(
                f"{len(chosen)} algorithms of {endpoint!r} fit; narrow by algorithm, version or status.",
                [{"algorithm": one.name, "version": one.version, "status": one.status} for one in chosen],
            )
        return chosen[0]


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

    def __init__(self, registry: MLRegistry) -> None:
        self.registry = registry
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
                    grants, endpoints = keys.grants(), _routes()
                    # Nothing was committed while we read, so what we read is the state at that revision.
                    if revisions.current() == revision:
                        self._swap(revision, grants, endpoints)
            except (Error, Revision.DoesNotExist) as error:
                connection.close()
                raise DatabaseUnavailable(f"The registry cannot be read: {error}") from error

    def _swap(self, revision: int, grants: Mapping[str, Grant], endpoints: Mapping[str, tuple[Route, ...]]) -> None:
        # Keys at once: a revocation must not wait until algorithms are loaded.
        self.snapshot = replace(self.snapshot, grants=grants)
        live = tuple(route for routes in endpoints.values() for route in routes)
        for route in live:
            self.registry.load(route.algorithm_id, route.digest)
        kept = {name: self._kept(name, routes) for name, routes in endpoints.items()}
        self.snapshot = Snapshot(revision, grants, kept, live)
        used = {route.algorithm_id for route in (*live, *(route for routes in kept.values() for route in routes))}
        for gone in self.registry.ids() - used:
            self.registry.unload(gone)

    def _kept(self, name: str, routes: tuple[Route, ...]) -> tuple[Route, ...]:
        # What cannot load never replaces what serves: the production route stays the one before.
        failed = [route for route in routes if route.status == Status.PRODUCTION and not self._is_ready(route)]
        before = [
            route
            for route in self.snapshot.endpoints.get(name, ())
            if route.status == Status.PRODUCTION and self._is_ready(route)
        ]
        if not failed or not before:
            return routes
        logger.error("%s %s cannot serve %s; %s stays", failed[0].name, failed[0].version, name, before[0].version)
        return (*(route for route in routes if route not in failed), *before)

    def _is_ready(self, route: Route) -> bool:
        slot = self.registry.slot(route.algorithm_id)
        return slot is not None and slot.state == "ready"

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
        )
    )
    for step in steps:
        # An endpoint made between the two queries; the second look at the revision discards what was read.
        found.setdefault(step[1], []).append(Route(*step))
    return {name: tuple(routes) for name, routes in found.items()}
