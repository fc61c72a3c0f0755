"""`Client.abtests`: A/B tests as methods, each a thin call."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from ml_pipeline.client import connection
from ml_pipeline.client.connection import Connection
from ml_pipeline.errors import NotReachable

Record: TypeAlias = dict[str, Any]
# It goes through every request of a test.
VERIFY_TIMEOUT_S = 3_600.0
# How long a self-test is waited for, and the time between two looks at it.
SELFTEST_S, LOOK_S = 600.0, 0.5


class ABTests:
    """A server's A/B tests. Records are as docs/api.md has them; what is raised is as of `Client`."""

    def __init__(self, connected: Connection) -> None:
        self._connection = connected

    def plan(self, champion: float, challenger: float, **assumed: float | None) -> Record:
        """How many labels and seconds a test takes to find the challenger better, given both accuracies.

        `assumed` are share, alpha, requests_per_s and label_rate.
        """
        query = {"champion": champion, "challenger": challenger, **assumed}
        params = {name: repr(float(value)) for name, value in query.items() if value is not None}
        return self._record("GET", connection.path("abtests", "plan"), params=params)

    def start(
        self,
        title: str,
        arms: Iterable[int | Mapping[str, Any]],
        *,
        wait_s: float | None = None,
        **terms: Any,
    ) -> Record:
        """The test, which runs from now on. `arms` are ids of algorithms, or mappings of `parent_mlalgorithm` and
        `weight`; the champion is the first.

        `terms` are the route's other fields: metric, alpha, min_labels, max_labels, guardrails, promotes, …
        """
        entrants = [dict(one) if isinstance(one, Mapping) else {"parent_mlalgorithm": one} for one in arms]
        given = {name: value for name, value in terms.items() if value is not None}
        body = {"title": title, "arms": entrants, **given}
        return connection.told(self._connection.change("POST", connection.path("abtests"), wait_s, json=body))

    def all(self, endpoint: str | None = None, limit: int | None = None, **filters: str | None) -> list[Record]:
        """The tests that fit `endpoint` and the list's filters (state, result, …), newest first, at most `limit`."""
        given = {name: value for name, value in {"endpoint": endpoint, **filters}.items() if value is not None}
        return self._connection.pages(connection.path("abtests"), given, limit)

    def get(self, test_id: int) -> Record:
        """The test, and how it stands."""
        return self._record("GET", connection.path("abtests", test_id))

    def stop(self, test_id: int, reason: str = "", *, wait_s: float | None = None) -> Record:
        """The test, which is over: whoever has the evidence is in production, else the champion."""
        address = connection.path("abtests", test_id, "stop")
        return connection.told(self._connection.change("POST", address, wait_s, json={"reason": reason}))

    def report(self, test_id: int) -> str:
        """The report of the test for people: one HTML page that needs nothing else."""
        return self._connection.text(connection.path("abtests", test_id, "report"))

    def verify(self, test_id: int) -> Record:
        """What recomputing the test's certificate from the log found; `is_verified` where nothing is wrong."""
        address = connection.path("abtests", test_id, "verification")
        return self._record("GET", address, timeout_s=VERIFY_TIMEOUT_S)

    def selftest(self, test_id: int, *, replays: int = 200, seed: int = 0, timeout_s: float = SELFTEST_S) -> Record:
        """How often the test's rule promotes on its labels when they are dealt out anew; a worker goes through it.

        Raises NotReachable where it is not done within `timeout_s`; it goes on all the same.
        """
        address, until = connection.path("abtests", test_id, "selftest"), time.monotonic() + timeout_s
        found = self._record("POST", address, json={"replays": replays, "seed": seed})
        while found["state"] == "running":
            if time.monotonic() > until:
                raise NotReachable(
                    f"{found['done']:,} of {replays:,} replays were done in {timeout_s:g} s. Is a worker running?"
                )
            time.sleep(LOOK_S)
            found = self._record("GET", address)
        return found

    def _record(self, method: str, address: str, **content: Any) -> Record:
        value: Record = self._connection.ask(method, address, **content).value
        return value
