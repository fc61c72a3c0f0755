"""`keys create|list|revoke`: API keys, managed by whoever runs the server."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ml_pipeline.apps.accounts import keys
from ml_pipeline.apps.accounts.models import ApiKey
from ml_pipeline.errors import MLPipelineError


class Command(BaseCommand):
    """Creates, lists and revokes API keys."""

    help = "Create, list and revoke API keys."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The sub-commands."""
        actions = parser.add_subparsers(dest="action", required=True)
        create = actions.add_parser("create", help="make a key and print it, once")
        create.add_argument("name")
        create.add_argument("--scope", action="append", default=[], help=f"one of {', '.join(keys.SCOPES)}; repeatable")
        listing = actions.add_parser("list", help="list the keys")
        revoke = actions.add_parser("revoke", help="make a key invalid")
        revoke.add_argument("name")
        for action in (create, listing, revoke):
            action.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Runs one sub-command."""
        try:
            {"create": self._create, "list": self._list, "revoke": self._revoke}[options["action"]](options)
        except MLPipelineError as error:
            raise CommandError(error.message) from None

    def _create(self, options: dict[str, Any]) -> None:
        key, secret = keys.create(options["name"], options["scope"])
        if options["json"]:
            self.stdout.write(json.dumps({**_document(key), "key": secret}))
        else:
            self.stdout.write(
                f"API key: {secret}\nScopes: {', '.join(key.scopes)}. The key is shown only now; keep it."
            )

    def _list(self, options: dict[str, Any]) -> None:
        documents = [_document(key) for key in ApiKey.objects.order_by("pk")]
        if options["json"]:
            self.stdout.write(json.dumps(documents))
            return
        for one in documents:
            state = f"revoked {one['revoked_at']}" if one["revoked_at"] else "valid"
            self.stdout.write(f"{one['prefix']}…  {one['name']}  {','.join(one['scopes'])}  {state}")

    def _revoke(self, options: dict[str, Any]) -> None:
        key = keys.revoke(options["name"])
        self.stdout.write(json.dumps(_document(key)) if options["json"] else f"The key {key.name!r} is revoked.")


def _document(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.pk,
        "name": key.name,
        "prefix": key.prefix,
        "scopes": key.scopes,
        "created_at": key.created_at.isoformat(),
        "revoked_at": key.revoked_at.isoformat() if key.revoked_at else None,
    }
