"""`erase_unit`: a unit, and all that names it, is emptied in the log and its archives; a signed tombstone stays."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError

from ml_pipeline.apps.predictions.integrity import ledger
from ml_pipeline.apps.predictions.integrity.seals import Seal
from ml_pipeline.apps.predictions.management.operations import LogOperation
from ml_pipeline.apps.predictions.retention import erasure, folders
from ml_pipeline.apps.predictions.retention.erasure import Erased


class Command(LogOperation):
    """Empties rows; none is deleted."""

    help = "Empty all that the log and its archives have about a unit; the rows stay."
    broken_off = "Not all is erased"

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which unit, and where."""
        parser.add_argument("unit")
        parser.add_argument("--endpoint", help="only under this endpoint")
        super().add_arguments(parser)

    def do(self, seal: Seal, actor: str, options: dict[str, Any]) -> Erased:
        """Erases."""
        return erasure.erase(options["unit"], options["endpoint"], seal, actor=actor)

    def tell(self, seal: Seal, done: Erased, options: dict[str, Any]) -> None:
        """How much is emptied. Raises CommandError when an archive could not be reached."""
        strays = folders.strays(ledger.read(seal), settings.ARCHIVE_DIR)
        if options["json"]:
            self.stdout.write(json.dumps({**done._asdict(), "unrecorded": strays}))
        else:
            self.stdout.write(f"{done.requests} requests are emptied, and {done.archives} archives made anew.")
            for folder in strays:
                self.stdout.write(f"No deed names {folder}, which is left as it is.")
        if done.unreached:
            places = ", ".join(done.unreached)
            raise CommandError(f"It may still be in archives whose files are missing or others: {places}.")
