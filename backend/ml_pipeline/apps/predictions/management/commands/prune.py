"""`prune`: what is old in the log, and archived, is deleted; a signed tombstone stays."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from ml_pipeline.apps.predictions.integrity.seals import Seal
from ml_pipeline.apps.predictions.management.operations import LogOperation
from ml_pipeline.apps.predictions.retention import bounds, pruning
from ml_pipeline.apps.predictions.retention.pruning import Pruned


class Command(LogOperation):
    """Deletes what is in archives whose files are whole."""

    help = "Delete the log before a day, all of which must be archived; a signed tombstone stays."
    broken_off = "What is left is not pruned"

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which day."""
        parser.add_argument("--before", required=True, help="a day (UTC), YYYY-MM-DD, today at the latest")
        super().add_arguments(parser)

    def do(self, seal: Seal, actor: str, options: dict[str, Any]) -> Pruned:
        """Prunes."""
        return pruning.prune(bounds.parsed(options["before"]), seal, actor=actor)

    def tell(self, seal: Seal, done: Pruned, options: dict[str, Any]) -> None:
        """How much is gone."""
        if options["json"]:
            self.stdout.write(json.dumps(done._asdict()))
        else:
            self.stdout.write(
                f"{done.requests} requests in {done.batches} batches, and {done.feedback} feedback, are deleted."
            )
