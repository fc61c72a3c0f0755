"""`erase_unit`: a unit, and all that names it, is emptied in the log and its archives; a signed tombstone stays."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from ml_pipeline.apps.accounts import access
from ml_pipeline.apps.predictions.integrity import ledger, seals
from ml_pipeline.apps.predictions.retention import erasure, folders
from ml_pipeline.errors import MLPipelineError


class Command(BaseCommand):
    """Empties rows; none is deleted."""

    help = "Empty all that the log and its archives have about a unit; the rows stay."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which unit, where, and which keys may have signed."""
        parser.add_argument("unit")
        parser.add_argument("--endpoint", help="only under this endpoint")
        parser.add_argument(
            "--trusted-key", action="append", default=[], help="a public key that the server had before; repeatable"
        )
        parser.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Erases and tells. Raises CommandError when the log does not hold, or an archive could not be reached."""
        seal = seals.own(options["trusted_key"])
        try:
            erased = erasure.erase(options["unit"], options["endpoint"], seal, actor=access.operator().actor)
        except MLPipelineError as error:
            raise CommandError(error.message) from None
        except OSError as error:
            raise CommandError(f"Not all is erased: {error}") from None
        strays = folders.strays(ledger.read(seal), settings.ARCHIVE_DIR)
        if options["json"]:
            self.stdout.write(json.dumps({**erased._asdict(), "unrecorded": strays}))
        else:
            self.stdout.write(f"{erased.requests} requests are emptied, and {erased.archives} archives made anew.")
            for folder in strays:
                self.stdout.write(f"No deed names {folder}, which is left as it is.")
        if erased.unreached:
            places = ", ".join(erased.unreached)
            raise CommandError(f"It may still be in archives whose files are missing or others: {places}.")
