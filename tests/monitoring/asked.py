"""The API, asked in this very process."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from django.db import transaction
from django.test import Client
from registered import team

from ml_pipeline.apps.accounts import keys
from ml_pipeline.apps.accounts.models import Team


class Asker:
    """Somebody with a key of these scopes."""

    def __init__(self, *scopes: str, of: Team | None = None) -> None:
        _, key = keys.create(f"asker-{uuid4().hex}", list(scopes or ("read",)), actor="tests", team=of or team())
        self._client = Client(
            headers={"Authorization": f"Bearer {key}", "Accept": "application/json", "Host": "127.0.0.1"}
        )

    def reply(self, address: str, **query: Any) -> Any:
        """The response."""
        # What is refused rolls back the transaction that it was in.
        with transaction.atomic():
            return self._client.get(f"/api/v1/{address}", {name.rstrip("_"): value for name, value in query.items()})

    def get(self, address: str, **query: Any) -> Any:
        """What is told; `from_` is `from`."""
        reply = self.reply(address, **query)
        assert reply.status_code == 200, reply.content
        return reply.json()

    def refusal(self, address: str, **query: Any) -> tuple[int, str]:
        """The status and the code of what is refused."""
        reply = self.reply(address, **query)
        return reply.status_code, reply.json()["error"]["code"]
