"""`keys create|list|revoke`: API keys, managed by whoever runs the server."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from ml_pipeline.apps.accounts import access, keys, teams
from ml_pipeline.apps.accounts.models import DEFAULT_TEAM, ApiKey
from ml_pipeline.errors import MLPipelineError


class Command(BaseCommand):
    """Creates, lists and revokes API keys."""

    help = "Create, list and revoke API keys."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The sub-commands."""
        actions = parser.add_subparsers(dest="action", required=True)
        create = actions.add_parser("create", help="make a key and print it, once")
        create.add_argument("name")
        scopes = ", ".join(access.SCOPES)
        create.add_argument("--scope", action="append", default=[], help=f"one of {scopes}; repeatable")
        where = create.add_mutually_exclusive_group()
        where.add_argument("--team", default=DEFAULT_TEAM, help="the team in which it holds its scopes")
        where.add_argument("--all-teams", action="store_true", help="it holds them in all teams")
        create.add_argument("--owner", default="", help="who answers for it")
        create.add_argument("--days", type=int, help="after how many days it expires")
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
        operator = access.operator()
        days = options["days"]
        if days is not None and not 1 <= days <= 36_500:
            raise CommandError("--days: expected an integer from 1 to 36500.")
        key, secret = keys.create(
            options["name"],
            options["scope"],
            actor=operator.actor,
            team=None if options["all_teams"] else teams.named(options["team"], operator),
            owner=options["owner"],
            expires_at=None if days is None else timezone.now() + timedelta(days=days),
        )
        if options["json"]:
            self.stdout.write(json.dumps({**_document(key), "key": secret}))
        else:
            where = "all teams" if key.team is None else f"the team {key.team.name}"
            self.stdout.write(
                f"API key: {secret}\nScopes: {', '.join(key.scopes)}, in {where}. The key is shown only now; keep it."
            )

    def _list(self, options: dict[str, Any]) -> None:
        documents = [_document(key) for key in ApiKey.objects.select_related("team").order_by("pk")]
        if options["json"]:
            self.stdout.write(json.dumps(documents))
            return
        for one in documents:
            expiry = f"valid until {one['expires_at']}" if one["expires_at"] else "valid"
            state = f"revoked {one['revoked_at']}" if one["revoked_at"] else expiry
            team = one["team"] or "all teams"
            self.stdout.write(f"{one['prefix']}…  {one['name']}  {team}  {','.join(one['scopes'])}  {state}")

    def _revoke(self, options: dict[str, Any]) -> None:
        operator = access.operator()
        key = keys.revoke(keys.named(options["name"], operator), actor=operator.actor)
        self.stdout.write(json.dumps(_document(key)) if options["json"] else f"The key {key.name!r} is revoked.")


def _document(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.pk,
        "name": key.name,
        "prefix": key.prefix,
        "scopes": key.scopes,
        "team": key.team.name if key.team else None,
        "endpoints": key.endpoint_ids,
        "owner": key.owner,
        "created_at": key.created_at.isoformat(),
        "expires_at": _time(key.expires_at),
        "last_used_at": _time(key.last_used_at),
        "revoked_at": _time(key.revoked_at),
    }


def _time(moment: Any) -> str | None:
    return moment.isoformat() if moment else None
