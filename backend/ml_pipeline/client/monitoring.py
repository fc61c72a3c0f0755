"""What of a `Client` asks how algorithms do: live performance, drift, the report of both, the state of endpoints."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, TypeAlias

from ml_pipeline.client import connection
from ml_pipeline.client.abtests import ABTests
from ml_pipeline.client.alerts import Alerts
from ml_pipeline.client.connection import Connection

Record: TypeAlias = dict[str, Any]
Moment: TypeAlias = str | datetime
SERVED = ("production", "ab_testing")
# Of an endpoint the newest that are read at once.
_TESTS = 100


class Monitoring:
    """Records are as docs/live-performance.md has them; what is raised is as of `Client`."""

    _connection: Connection
    abtests: ABTests
    alerts: Alerts

    def metrics(
        self,
        endpoint: str,
        since: Moment | None = None,
        until: Moment | None = None,
        *,
        version: str | None = None,
        algorithm: str | None = None,
        by: str | None = None,
        slices: Iterable[str] | None = None,
    ) -> Record:
        """Live performance of the endpoint's algorithms, by default in the last 24 hours; `by` is hour or day."""
        query = _query(since, until, slices, version=version, algorithm=algorithm, by=by)
        return self._told(endpoint, "metrics", query)

    def drift(
        self,
        endpoint: str,
        since: Moment | None = None,
        until: Moment | None = None,
        *,
        version: str | None = None,
        algorithm: str | None = None,
        limit: int | None = None,
    ) -> Record:
        """The tests of closed windows, newest first, at most `limit`; with a time, a test of that range made now."""
        query = _query(since, until, version=version, algorithm=algorithm)
        if limit is not None:
            query["limit"] = str(limit)
        return self._told(endpoint, "drift", query)

    def report(
        self,
        endpoint: str,
        since: Moment | None = None,
        until: Moment | None = None,
        *,
        version: str | None = None,
        algorithm: str | None = None,
        slices: Iterable[str] | None = None,
    ) -> str:
        """Both for people, by default of the last seven days: one HTML page that needs nothing else."""
        query = _query(since, until, slices, version=version, algorithm=algorithm)
        return self._connection.text(connection.path("endpoints", endpoint, "report"), query)

    def status(self, endpoint: str | None = None) -> list[Record]:
        """How each endpoint is, or that one: `ready`, its running `abtest`, its open `alerts`, and its `algorithms`,
        those that serve and those with requests in the last 24 hours, each with its metrics, its last test of drift and
        its alarm."""
        readiness = self._connection.ask("GET", "/readyz", answers=(503,)).value
        if endpoint is None:
            names = [one["name"] for one in self._connection.pages(connection.path("endpoints"), {})]
        else:
            names = [endpoint]
        return [self._status(name, readiness) for name in sorted(names)]

    def _status(self, name: str, readiness: Record) -> Record:
        metrics, drift = self.metrics(name), self.drift(name, limit=_TESTS)
        active = {one["id"]: one for one in metrics["algorithms"]}
        tested = {one["parent_mlalgorithm"]: one for one in reversed(drift["tests"])}
        has_more = len(drift["tests"]) == _TESTS
        waiting = {one["id"]: one for one in drift["algorithms"]}
        loaded = {one["id"]: one for one in readiness["algorithms"]}
        listed = self._connection.pages(connection.path("mlalgorithms"), {"endpoint": name})
        algorithms = [
            {
                "id": one["id"],
                "algorithm": one["name"],
                "version": one["version"],
                "status": one["current_status"],
                "state": loaded.get(one["id"], {}).get("state"),
                "metrics": active.get(one["id"]),
                "drift": tested.get(one["id"]) or (self._last_test(name, one) if has_more else None),
                "gathering": waiting.get(one["id"], {}).get("gathering"),
                "is_comparable": not waiting.get(one["id"], {}).get("unavailable"),
            }
            for one in listed
            if one["current_status"] in SERVED or one["id"] in active
        ]
        served = [one for one in algorithms if one["status"] in SERVED]
        return {
            "endpoint": name,
            "ready": bool(readiness["ready"] and served and all(one["state"] == "ready" for one in served)),
            "folded": metrics["folded"],
            "abtest": self._running(name),
            "alerts": self.alerts.list(endpoint=name, is_open="true"),
            "algorithms": sorted(algorithms, key=lambda one: one["status"] not in SERVED),
        }

    def _last_test(self, endpoint: str, algorithm: Record) -> Record | None:
        # Of one that is asked so rarely that the newest tests are all of others.
        found = self.drift(endpoint, version=algorithm["version"], algorithm=algorithm["name"], limit=1)["tests"]
        return found[0] if found else None

    def _running(self, endpoint: str) -> Record | None:
        for one in self.abtests.all(endpoint, limit=1, state="running"):
            test = self.abtests.get(one["id"])
            return {"id": test["id"], "title": test["title"], "trouble": test["standing"]["trouble"]}
        return None

    def _told(self, endpoint: str, route: str, query: dict[str, str]) -> Record:
        value: Record = self._connection.ask("GET", connection.path("endpoints", endpoint, route), params=query).value
        return value


def _query(
    since: Moment | None, until: Moment | None, slices: Iterable[str] | None = None, **given: str | None
) -> dict[str, str]:
    moments = {"from": since, "to": until}
    stamps = {name: one.isoformat() if isinstance(one, datetime) else one for name, one in moments.items()}
    joined = None if slices is None else ",".join(slices)
    return {name: value for name, value in {**stamps, "slices": joined, **given}.items() if value is not None}
