"""`archive`: what is old in the log is written to Parquet, feedback with it. Nothing is deleted."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from ml_pipeline.apps.accounts import access
from ml_pipeline.apps.predictions.integrity import seals
from ml_pipeline.apps.predictions.retention import archives, bounds
from ml_pipeline.errors import MLPipelineError


class Command(BaseCommand):
    """Writes an archive of what is in none yet, and a deed that names it."""

    help = "Write the log before a day to Parquet; what is archived already is not written again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which day, where to, and which keys may have signed."""
        parser.add_argument("--before", required=True, help="a day (UTC), YYYY-MM-DD, today at the latest")
        parser.add_argument("--to", type=Path, default=settings.ARCHIVE_DIR, help="where the archive's folder is made")
        parser.add_argument(
            "--trusted-key", action="append", default=[], help="a public key that the server had before; repeatable"
        )
        parser.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Archives and tells. Raises CommandError when nothing could be archived."""
        seal = seals.own(options["trusted_key"])
        try:
            before = bounds.parsed(options["before"])
            made = archives.write(before, options["to"], seal, actor=access.operator().actor)
        except MLPipelineError as error:
            raise CommandError(error.message) from None
        except OSError as error:
            raise CommandError(f"Nothing is archived: {error}") from None
        if options["json"]:
            document = {**made._asdict(), "folder": str(made.folder)} if made else None
            self.stdout.write(json.dumps({"archive": document}))
        elif made is None:
            self.stdout.write(f"Everything before {before} is archived.")
        else:
            counts = f"{made.requests} requests in {made.batches} batches, and {made.feedback} feedback"
            self.stdout.write(f"{counts}, are in {made.folder}.")
