"""`register FOLDER`: a training bundle becomes an algorithm that can serve."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ml_pipeline.apps.accounts import access
from ml_pipeline.apps.endpoints import algorithms
from ml_pipeline.apps.ml.bundles import Bundle
from ml_pipeline.errors import MLPipelineError


class Command(BaseCommand):
    """Registers a bundle from a folder that the operator trusts: its pipeline is loaded, which runs its code."""

    help = "Register a training bundle. Only from a folder you trust: loading a joblib runs its code."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Where the bundle is and what it shall be called."""
        parser.add_argument("folder", type=Path, help="folder with the bundle's manifest.json")
        parser.add_argument("--endpoint", required=True, help="made when it does not exist")
        parser.add_argument("--version", required=True, dest="algorithm_version")
        parser.add_argument("--name", help="default: the name in the manifest")
        parser.add_argument("--owner", default="")
        parser.add_argument("--json", action="store_true", help="print JSON")

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> Any:
        """Django's parser without its own --version, which names the algorithm's here."""
        return super().create_parser(prog_name, subcommand, conflict_handler="resolve", **kwargs)

    def handle(self, *args: Any, **options: Any) -> None:
        """Registers it and says what became of it."""
        try:
            bundle = Bundle(options["folder"])
            name = options["name"] or bundle.manifest.get("name")
            if not isinstance(name, str):
                raise CommandError("The bundle's manifest has no name for the algorithm; give one by --name.")
            done = algorithms.register_folder(
                bundle,
                endpoint=options["endpoint"],
                name=name,
                version=options["algorithm_version"],
                owner=options["owner"],
                grant=access.operator(),
            )
        except MLPipelineError as error:
            raise CommandError(error.message) from None
        one = done.algorithm
        if options["json"]:
            document = {"id": one.pk, "name": one.name, "version": one.version, "digest": one.artifact_digest}
            self.stdout.write(json.dumps({**document, "runtime": one.runtime, "created": done.created}))
        else:
            verb = "Registered" if done.created else "Registered before, nothing changed:"
            why = f" ({one.runtime_reason.rstrip('.')})" if one.runtime_reason else ""
            self.stdout.write(f"{verb} {one} as algorithm {one.pk}, served by {one.runtime}{why}.")
