"""`Client.alerts`: breaches, and the rules that they are of, as methods, each a thin call."""

from __future__ import annotations

from typing import Any, TypeAlias

from ml_pipeline.client import connection
from ml_pipeline.client.connection import Connection

Record: TypeAlias = dict[str, Any]
Records: TypeAlias = list[Record]


class Alerts:
    """A server's alerts and their rules. Records are as docs/api.md has them; what is raised is as of `Client`."""

    def __init__(self, connected: Connection) -> None:
        self._connection = connected

    def get(self, alert_id: int) -> Record:
        """The alert."""
        return self._record("GET", connection.path("alerts", alert_id))

    def list(self, limit: int | None = None, **filters: str | None) -> Records:
        """The alerts that fit `filters` (endpoint, rule, parent_mlalgorithm, name, measure, outcome, is_open), newest
        first, at most `limit`."""
        return self._connection.pages(connection.path("alerts"), _given(filters), limit)

    def rules(self, limit: int | None = None, **filters: str | None) -> Records:
        """The rules that fit `filters` (endpoint, name, measure, is_active), newest first, at most `limit`."""
        return self._connection.pages(connection.path("alertrules"), _given(filters), limit)

    def rule(self, rule_id: int) -> Record:
        """The rule, and in `standing` what it saw last."""
        return self._record("GET", connection.path("alertrules", rule_id))

    def add(
        self,
        endpoint: str,
        name: str,
        measure: str,
        *,
        above: float | None = None,
        below: float | None = None,
        **more: Any,
    ) -> Record:
        """The new rule: an alert is opened where `measure` is `above`, or `below`, that threshold.

        `more` is any other field: recovers_at, window_hours, min_rows, beyond_chance, feature, label, algorithm,
        version, is_active. ValueError unless one of the two thresholds is given.
        """
        if (above is None) == (below is None):
            raise ValueError("either above or below is the threshold")
        condition, threshold = ("above", above) if below is None else ("below", below)
        body = {"endpoint": endpoint, "name": name, "measure": measure, "condition": condition, "threshold": threshold}
        return self._record("POST", connection.path("alertrules"), json={**body, **more})

    def change(self, rule_id: int, **changes: Any) -> Record:
        """The rule, with another threshold, recovers_at, window_hours, min_rows, beyond_chance or is_active; its open
        alerts are closed."""
        return self._record("PATCH", connection.path("alertrules", rule_id), json=changes)

    def remove(self, rule_id: int) -> None:
        """Takes the rule away; its alerts stay, closed."""
        self._connection.ask("DELETE", connection.path("alertrules", rule_id))

    def _record(self, method: str, address: str, **content: Any) -> Record:
        value: Record = self._connection.ask(method, address, **content).value
        return value


def _given(filters: dict[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in filters.items() if value is not None}
