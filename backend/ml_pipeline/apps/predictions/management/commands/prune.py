"""`prune`: what is old in the log, and archived, is deleted; a signed tombstone stays."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ml_pipeline.apps.accounts import access
from ml_pipeline.apps.predictions.integrity import seals
from ml_pipeline.apps.predictions.retention import bounds, pruning
from ml_pipeline.errors import MLPipelineError


class Command(BaseCommand):
    """Deletes what is in archives whose files are whole."""

    help = "Delete the log before a day, all of which must be archived; a signed tombstone stays."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which day, and which keys may have signed."""
        parser.add_argument("--before", required=True, help="a day (UTC), YYYY-MM-DD, today at the latest")
        parser.add_argument(
            "--trusted-key", action="append", default=[], help="a public key that the server had before; repeatable"
        )
        parser.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Prunes and tells. Raises CommandError when something is not archived."""
        seal = seals.own(options["trusted_key"])
        try:
            gone = pruning.prune(bounds.parsed(options["before"]), seal, actor=access.operator().actor)
        except MLPipelineError as error:
            raise CommandError(error.message) from None
        except OSError as error:
            raise CommandError(f"What is left is not pruned: {error}") from None
        if options["json"]:
            self.stdout.write(json.dumps(gone._asdict()))
        else:
            self.stdout.write(
                f"{gone.requests} requests in {gone.batches} batches, and {gone.feedback} feedback, are deleted."
            )
