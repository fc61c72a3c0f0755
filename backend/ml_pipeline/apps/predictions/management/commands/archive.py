"""`archive`: what is old in the log is written to Parquet, feedback with it. Nothing is deleted."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings

from ml_pipeline.apps.predictions.integrity.seals import Seal
from ml_pipeline.apps.predictions.management.operations import LogOperation
from ml_pipeline.apps.predictions.retention import archives, bounds
from ml_pipeline.apps.predictions.retention.archives import Made


class Command(LogOperation):
    """Writes an archive of what is in none yet, and a deed that names it."""

    help = "Write the log before a day to Parquet; what is archived already is not written again."
    broken_off = "Nothing is archived"

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which day, and where to."""
        parser.add_argument("--before", required=True, help="a day (UTC), YYYY-MM-DD, today at the latest")
        parser.add_argument("--to", type=Path, default=settings.ARCHIVE_DIR, help="where the archive's folder is made")
        super().add_arguments(parser)

    def do(self, seal: Seal, actor: str, options: dict[str, Any]) -> Made | None:
        """Archives."""
        return archives.write(bounds.parsed(options["before"]), options["to"], seal, actor=actor)

    def tell(self, seal: Seal, done: Made | None, options: dict[str, Any]) -> None:
        """What is archived, and where."""
        if options["json"]:
            document = {**done._asdict(), "folder": str(done.folder)} if done else None
            self.stdout.write(json.dumps({"archive": document}))
        elif done is None:
            self.stdout.write(f"Everything before {options['before']} is archived.")
        else:
            counts = f"{done.requests} requests in {done.batches} batches, and {done.feedback} feedback"
            self.stdout.write(f"{counts}, are in {done.folder}.")
