"""`teams create|list|add|remove`: teams and the people in them, managed by whoever runs the server."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ml_pipeline.apps.accounts import access, teams
from ml_pipeline.apps.accounts.access import Role
from ml_pipeline.apps.accounts.models import Team
from ml_pipeline.errors import MLPipelineError


class Command(BaseCommand):
    """Creates and lists teams, and puts people in them."""

    help = "Create and list teams, and put people in them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The sub-commands."""
        actions = parser.add_subparsers(dest="action", required=True)
        create = actions.add_parser("create", help="make a team")
        create.add_argument("--description", default="")
        limit = actions.add_parser("limit", help="say how much a team may ask for; what is not said has no limit")
        limit.add_argument("--requests-per-s", type=int)
        limit.add_argument("--rows-per-day", type=int)
        add = actions.add_parser("add", help="put a person in a team, in a role")
        remove = actions.add_parser("remove", help="take a person out of a team")
        for action in (create, limit, add, remove):
            action.add_argument("team")
        for action in (add, remove):
            action.add_argument("username")
        add.add_argument("--role", choices=Role.values, required=True)
        listing = actions.add_parser("list", help="list the teams and who is in them")
        listing.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Runs one sub-command."""
        try:
            getattr(self, f"_{options['action']}")(options)
        except MLPipelineError as error:
            raise CommandError(error.message) from None

    def _create(self, options: dict[str, Any]) -> None:
        about = {"description": options["description"]}
        team = teams.create(options["team"], about, actor=access.operator().actor)
        self.stdout.write(f"The team {team.name!r} is made.")

    def _limit(self, options: dict[str, Any]) -> None:
        operator = access.operator()
        quotas = {name: options[name] for name in teams.QUOTAS}
        if any(number is not None and not 1 <= number <= 10**9 for number in quotas.values()):
            raise CommandError("A quota is an integer from 1 to 1,000,000,000.")
        team = teams.change(teams.named(options["team"], operator), quotas, actor=operator.actor)
        told = [f"{number:,} {name.replace('_', ' ')}" for name, number in quotas.items() if number is not None]
        self.stdout.write(f"The team {team.name!r} may ask for {' and '.join(told) or 'as much as it likes'}.")

    def _add(self, options: dict[str, Any]) -> None:
        operator, username = access.operator(), options["username"]
        team = teams.named(options["team"], operator)
        teams.put_member(team, username, options["role"], actor=operator.actor)
        self.stdout.write(f"{username!r} is {options['role']} in the team {team.name!r}.")

    def _remove(self, options: dict[str, Any]) -> None:
        operator, username = access.operator(), options["username"]
        team = teams.named(options["team"], operator)
        teams.remove_member(team, username, actor=operator.actor)
        self.stdout.write(f"{username!r} is not in the team {team.name!r} any more.")

    def _list(self, options: dict[str, Any]) -> None:
        found = {team.name: _members(team) for team in Team.objects.order_by("name")}
        if options["json"]:
            self.stdout.write(json.dumps(found))
            return
        for name, members in found.items():
            people = ", ".join(f"{username} ({role})" for username, role in members.items()) or "nobody"
            self.stdout.write(f"{name}: {people}")


def _members(team: Team) -> dict[str, str]:
    rows = team.memberships.order_by("user__username").values_list("user__username", "role")
    return dict(rows)
