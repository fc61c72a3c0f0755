"""The keeper: brings this process's snapshot up to date, and loads beside it what the snapshot will need.

It polls the revision, and after a change reads everything anew. Keys, and routes to what is loaded, are swapped at
once, in one assignment; what has to be loaded first takes its place when it is ready, and an endpoint keeps its old
route until then.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from django.db import Error, connection

from ml_pipeline.apps.endpoints.models import Status
from ml_pipeline.apps.events import revisions
from ml_pipeline.apps.events.models import Revision
from ml_pipeline.apps.ml.registry import MLRegistry
from ml_pipeline.apps.predictions import wanted as database
from ml_pipeline.apps.predictions.companions import Companion
from ml_pipeline.apps.predictions.presence import Presence
from ml_pipeline.apps.predictions.routing import LIVE, Route, Snapshot, Trial
from ml_pipeline.apps.predictions.wanted import Wanted
from ml_pipeline.errors import DatabaseUnavailable

logger = logging.getLogger(__name__)

POLL_INTERVAL_S = 0.25
# Whoever made a change finds it served when he is answered, unless its load takes longer than this.
PATIENCE_S = 10.0
# After how long what failed to load is tried again at first, and at most.
RETRY_S, MAX_RETRY_S = 5.0, 60.0
# One that hangs must not keep the others waiting.
LOADS_AT_ONCE = 4


class SnapshotKeeper:
    """Holds the current snapshot of this process and brings it up to date."""

    def __init__(self, registry: MLRegistry, prepare: Callable[[], None], beside: Sequence[Companion] = ()) -> None:
        """`prepare` is called when some algorithm may need a process of its own, so that its first request is quick.

        What is `beside` starts and stops in each process together with the polling.
        """
        self.registry = registry
        self._prepare = prepare
        self._beside = beside
        self._wanted = Wanted()
        self._tried, self._retry_s = 0.0, RETRY_S
        self.snapshot = Snapshot()
        # The latest revision of which everything live is loaded: keys and routes are as the database says.
        self.served_revision = 0
        self._presence = Presence(lambda: self.served_revision)
        self._stopped = threading.Event()
        self._begin()
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        # In a fork, too: a thread of the parent may have held these, or been loading, and it does not exist here.
        self._refreshing, self._starting = threading.Lock(), threading.Lock()
        self._turns = threading.Semaphore(LOADS_AT_ONCE)
        # When each load under way began; notified when one has ended.
        self._loading: dict[int, float] = {}
        self._loaded = threading.Condition()
        # Whether this very process polls.
        self.is_started = False

    def start(self) -> None:
        """The snapshot is current, and polling goes on in the background; called again, nothing more happens.

        Called with the first request, so that each process of a pre-forking server has a poller of its own, and that
        request is not judged by what was true when the process was made. Others know of it first: whoever changes
        something after the snapshot was read waits for this process too.
        """
        with self._starting:
            if self.is_started:
                return
            revisions.raised.connect(self._on_raised, dispatch_uid="predictions.snapshot")
            self._presence.enter()
            try:
                self.refresh()
            except DatabaseUnavailable as error:
                logger.error("%s", error.message)
            self.settle(PATIENCE_S)
            for companion in self._beside:
                companion.start()
            threading.Thread(target=self._poll, name="snapshot", daemon=True).start()
            self.is_started = True

    def stop(self) -> None:
        """No further polling, and nobody waits for this process any more."""
        self._stopped.set()
        for companion in self._beside:
            companion.stop()
        self._presence.leave()

    def close(self) -> None:
        """As `stop`; returns when the others have been told."""
        self.stop()
        self._presence.left()

    def refresh(self) -> None:
        """The snapshot has the keys of the revision committed now, and its routes as far as they are loaded.

        The rest is being loaded when this returns (see `settle`). Raises DatabaseUnavailable.
        """
        with self._refreshing:
            try:
                while (revision := revisions.current()) != self._wanted.revision:
                    wanted = database.read(revision)
                    # Nothing was committed while we read, so what we read is the state at that revision.
                    if revisions.current() == revision:
                        self._wanted, self._retry_s = wanted, RETRY_S
                        self._publish()
                        self._load_all()
            except (Error, Revision.DoesNotExist) as error:
                connection.close()
                raise DatabaseUnavailable(f"The registry cannot be read: {error}") from error

    def settle(self, patience_s: float | None = None) -> None:
        """Returns when everything that is being loaded is there, or failed; what takes over `patience_s` is left."""
        with self._loaded:
            now, awaited, left_s = time.monotonic(), set(self._loading), None
            if patience_s is not None:
                left = {one: begun + patience_s - now for one, begun in self._loading.items()}
                awaited = {one for one in left if left[one] > 0}
                left_s = max((left[one] for one in awaited), default=0.0)
            self._loaded.wait_for(lambda: awaited.isdisjoint(self._loading), left_s)

    def _load_all(self) -> None:
        # What failed is tried again with each revision, and now and then (see `_retry`).
        self._tried = time.monotonic()
        absent = [route for route in self._wanted.live if not self._is_ready(route)]
        with self._loaded:
            for route in absent:
                if route.algorithm_id not in self._loading:
                    threading.Thread(target=self._load, args=(route,), name="snapshot-load", daemon=True).start()
                    self._loading[route.algorithm_id] = time.monotonic()
        if any(route.is_isolated for route in self._wanted.routable.values()):
            # It may have to wait for a process, and keys must not.
            threading.Thread(target=self._prepare, name="snapshot-prepare", daemon=True).start()

    def _load(self, route: Route) -> None:
        try:
            with self._turns:
                self.registry.load(route.algorithm_id, route.digest)
            with self._refreshing:
                self._publish()
        finally:
            with self._loaded:
                del self._loading[route.algorithm_id]
                self._loaded.notify_all()

    def _publish(self) -> None:
        # What is wanted, as far as it is loaded.
        wanted = self._wanted
        kept = {name: self._kept(name, routes) for name, routes in wanted.endpoints.items()}
        kept_aliases = {place: self._kept_alias(place, route) for place, route in wanted.aliases.items()}
        self.snapshot = Snapshot(
            wanted.revision,
            wanted.grants,
            kept,
            wanted.live,
            kept_aliases,
            wanted.owners,
            wanted.rules,
            self._trials(kept),
        )
        used = [*(route for routes in kept.values() for route in routes), *kept_aliases.values()]
        live = {route.algorithm_id for route in used if route.status in LIVE}
        live |= {route.algorithm_id for route in wanted.live}
        self.registry.keep(frozenset(live), frozenset(wanted.routable) | {route.algorithm_id for route in used})
        if self.served_revision != wanted.revision and all(self._is_ready(route) for route in wanted.live):
            self.served_revision = wanted.revision
            self._presence.tell()

    def _kept(self, name: str, routes: tuple[Route, ...]) -> tuple[Route, ...]:
        # What is not loaded never replaces what serves: the production route stays the one before, unless archived. A
        # test begins when all of its arms are loaded.
        absent = [route for route in routes if route.status in LIVE and not self._is_ready(route)]
        before = self._serving(name) if absent else None
        if before is None:
            return routes
        self._report(absent[0], name, before)
        # Whoever asks for one of these by its version still reaches it by the status that it had.
        left = {
            route.algorithm_id
            for route in routes
            if route in absent or (route.status == Status.AB_TESTING and route.algorithm_id != before.algorithm_id)
        }
        present = self.snapshot.endpoints.get(name, ())
        still = [route for route in present if route.algorithm_id in left and route.status != Status.PRODUCTION]
        return (*(route for route in routes if route.algorithm_id not in left), *still, before)

    def _serving(self, name: str) -> Route | None:
        # What stays in production for now: what was there, or the champion of the test before or of the one to come.
        trial, test = self.snapshot.trials.get(name), self._wanted.tests.get(name)
        champion = test.arms[0].algorithm_id if test is not None else None
        for route in (
            *(route for route in self.snapshot.endpoints.get(name, ()) if route.status == Status.PRODUCTION),
            *((trial.champion,) if trial is not None else ()),
            *(route for route in self._wanted.endpoints.get(name, ()) if route.algorithm_id == champion),
        ):
            if self._is_ready(route) and self._is_routable(route):
                standing: Route = replace(route, status=Status.PRODUCTION)
                return standing
        return None

    def _trials(self, kept: Mapping[str, tuple[Route, ...]]) -> dict[str, Trial]:
        # Only where the endpoint is served as it is wanted.
        found: dict[str, Trial] = {}
        for name, test in self._wanted.tests.items():
            routes = kept.get(name, ())
            trial = Trial.of(test, routes)
            if trial is not None and routes is self._wanted.endpoints.get(name):
                found[name] = trial
        return found

    def _kept_alias(self, place: tuple[str, str], route: Route) -> Route:
        before = self.snapshot.aliases.get(place)
        if route.status == Status.ARCHIVED or before is None or self._is_ready(route):
            return route
        if not self._is_routable(before) or not self._is_ready(before):
            return route
        self._report(route, "@".join(place), before)
        return before

    def _report(self, absent: Route, place: str, before: Route) -> None:
        if self.registry.slot(absent.algorithm_id).state == "failed":
            logger.error("%s %s cannot serve %s; %s stays", absent.name, absent.version, place, before.version)

    def _is_ready(self, route: Route) -> bool:
        return self.registry.slot(route.algorithm_id).state == "ready"

    def _is_routable(self, route: Route) -> bool:
        return any(route.algorithm_id == one.algorithm_id for one in self._wanted.endpoints.get(route.endpoint, ()))

    def _retry(self) -> None:
        # A store that was away for a moment must not keep an algorithm from serving until something else changes.
        if self.served_revision == self._wanted.revision or time.monotonic() < self._tried + self._retry_s:
            return
        self._retry_s = min(2 * self._retry_s, MAX_RETRY_S)
        with self._refreshing:
            self._publish()
            self._load_all()

    def _poll(self) -> None:
        reported = ""
        while not self._stopped.wait(POLL_INTERVAL_S):
            try:
                self.refresh()
                self._retry()
                reported = ""
            except DatabaseUnavailable as error:
                if error.message != reported:
                    logger.error("%s", error.message)
                reported = error.message
            # The outermost edge of this thread: without it nobody would hear of a change any more.
            except Exception:
                logger.exception("the snapshot could not be brought up to date")
        connection.close()

    def _on_raised(self, *, patience_s: float | None, **_: Any) -> None:
        self.refresh()
        self.settle(PATIENCE_S if patience_s is None else patience_s)
