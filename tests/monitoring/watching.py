"""Rules of alerts over HTTP, traffic of this very hour, and rounds that look at it, for tests of alerts."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import uuid4

from django.db import transaction
from django.test import Client
from registered import OPERATOR, team
from traffic import Log, entry, folded, tell, watched

from ml_pipeline.apps.accounts import keys
from ml_pipeline.apps.endpoints import statuses
from ml_pipeline.apps.endpoints.models import MLAlgorithm
from ml_pipeline.apps.events import clock
from ml_pipeline.apps.events.models import Event
from ml_pipeline.apps.jobs import jobs, leases
from ml_pipeline.apps.monitoring import alert_rounds
from ml_pipeline.apps.monitoring.apps import ALERTS

ENDPOINT = "demo"
WRONG = {"yes": "no", "no": "yes"}


class Manager:
    """Somebody who may manage, asking the API in this very process."""

    def __init__(self, *scopes: str) -> None:
        _, key = keys.create(f"manager-{uuid4().hex}", list(scopes or ("read", "manage")), actor="tests", team=team())
        headers = {"Authorization": f"Bearer {key}", "Accept": "application/json", "Host": "127.0.0.1"}
        self._client = Client(headers=headers)

    def ask(self, method: str, address: str, body: Any = None, **query: Any) -> Any:
        """The response."""
        with transaction.atomic():
            return self._client.generic(
                method,
                f"/api/v1/{address}",
                "" if body is None else json.dumps(body),
                content_type="application/json",
                query_params=query,
            )

    def add(self, measure: str, condition: str, threshold: float, **values: Any) -> dict[str, Any]:
        """The new rule."""
        body = {"endpoint": ENDPOINT, "name": "rule", "measure": measure, "condition": condition}
        reply = self.ask("POST", "alertrules", {**body, "threshold": threshold, **values})
        assert reply.status_code == 201, reply.content
        made: dict[str, Any] = reply.json()
        return made

    def refusal(self, measure: str, condition: str, threshold: Any, **values: Any) -> str:
        """The field for which such a rule is refused."""
        body = {"endpoint": ENDPOINT, "name": "rule", "measure": measure, "condition": condition}
        reply = self.ask("POST", "alertrules", {**body, "threshold": threshold, **values})
        assert reply.status_code == 422, reply.content
        return str(reply.json()["error"]["details"][0]["field"])

    def get(self, address: str, **query: Any) -> Any:
        """What is told."""
        reply = self.ask("GET", address, **query)
        assert reply.status_code == 200, reply.content
        return reply.json()


class Traffic:
    """What an algorithm is asked in this hour, and what is told of it."""

    def __init__(self, seed: int = 3) -> None:
        self.draw = random.Random(seed)
        self._log = Log(self.draw)

    def ask(self, by: MLAlgorithm, rows: int, **changes: Any) -> list[Any]:
        """So many requests, which are counted."""
        now = clock.now()
        entries = [entry(self.draw, by, now, **changes) for _ in range(rows)]
        self.commit(entries)
        return entries

    def commit(self, entries: list[Any]) -> None:
        """These requests are logged and counted."""
        self._log.commit(entries, clock.now())
        folded()

    def answer(self, by: MLAlgorithm, right: int, wrong: int) -> None:
        """So many requests that were answered right and wrong, which is told and counted."""
        entries = self.ask(by, right + wrong)
        tell((one, one.response if at < right else WRONG[str(one.response)]) for at, one in enumerate(entries))
        folded()


def promoted(version: str = "1", **changes: Any) -> MLAlgorithm:
    """An algorithm in production."""
    one = watched(version, **changes)
    statuses.promote(one, actor=OPERATOR.actor)
    return one


def round_made(now: datetime | None = None) -> None:
    """The standing job has looked once; at `now` where it is given."""
    jobs.stand([ALERTS])
    lease = leases.claim([ALERTS], "tests")
    assert lease is not None
    if now is None:
        alert_rounds.work(lease)
    else:
        for endpoint_id in MLAlgorithm.objects.values_list("parent_endpoint", flat=True).distinct():
            alert_rounds.judge(endpoint_id, now, lease)
    lease.postpone(0.0)


def told(actions: Iterable[str] = ("alert.opened", "alert.recovered", "alert.closed")) -> list[str]:
    """What happened to alerts, in order."""
    return [one.action.partition(".")[2] for one in Event.objects.filter(action__in=list(actions)).order_by("pk")]
