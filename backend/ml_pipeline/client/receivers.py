"""`Client.receivers`: who is told of events, as methods, each a thin call."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

from ml_pipeline.client import connection
from ml_pipeline.client.connection import Connection

Record: TypeAlias = dict[str, Any]
Records: TypeAlias = list[Record]


class Receivers:
    """A server's receivers of events. Records are as docs/api.md has them; what is raised is as of `Client`."""

    def __init__(self, connected: Connection) -> None:
        self._connection = connected

    def add(
        self,
        address: str,
        events: Iterable[str],
        *,
        kind: str | None = None,
        endpoint: str | None = None,
        team: str | None = None,
        all_teams: bool = False,
        administration: bool = False,
        description: str = "",
    ) -> Record:
        """The new receiver, and in it `secret`, which is shown this once.

        `address` is a URL or an e-mail address, which says the `kind` where none is named. It is told of `events`, such
        as `abtest.ended`, `batch.*` or `*`, of one endpoint, a team or all of them.
        """
        body: Record = {
            "address": address,
            "events": list(events),
            "kind": kind or ("webhook" if "://" in address else "email"),
            "administration": administration,
            "description": description,
        }
        if endpoint is not None:
            body["endpoint"] = endpoint
        if team is not None or all_teams:
            body["team"] = team
        return self._record("POST", connection.path("receivers"), json=body)

    def get(self, receiver_id: int) -> Record:
        """The receiver."""
        return self._record("GET", connection.path("receivers", receiver_id))

    def list(self, limit: int | None = None, **filters: str | None) -> Records:
        """The receivers that fit `filters` (team, endpoint, kind, is_active), newest first, at most `limit`."""
        return self._connection.pages(connection.path("receivers"), _given(filters), limit)

    def change(self, receiver_id: int, **changes: Any) -> Record:
        """The receiver, with another address, events, administration, description or is_active."""
        return self._record("PATCH", connection.path("receivers", receiver_id), json=changes)

    def remove(self, receiver_id: int) -> None:
        """Takes the receiver away; what waits for it is not sent any more."""
        self._connection.ask("DELETE", connection.path("receivers", receiver_id))

    def test(self, receiver_id: int) -> Record:
        """The delivery of an event to try the receiver with."""
        return self._record("POST", connection.path("receivers", receiver_id, "test"))

    def rotate(self, receiver_id: int) -> Record:
        """The receiver, and in it its new `secret`; until `previous_until_at` webhooks are signed with the old too."""
        return self._record("POST", connection.path("receivers", receiver_id, "rotate"))

    def deliveries(self, receiver_id: int, limit: int | None = None, **filters: str | None) -> Records:
        """What is on its way to the receiver, and what was, newest first; `filters`: state, type."""
        return self._connection.pages(connection.path("receivers", receiver_id, "deliveries"), _given(filters), limit)

    def retry(self, receiver_id: int, delivery: str) -> Record:
        """The delivery with that uid, on its way again."""
        return self._record("POST", connection.path("receivers", receiver_id, "deliveries", delivery, "retry"))

    def _record(self, method: str, address: str, **content: Any) -> Record:
        value: Record = self._connection.ask(method, address, **content).value
        return value


def _given(filters: dict[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in filters.items() if value is not None}
