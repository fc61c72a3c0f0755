"""`clean_up`: what killed processes left behind is removed."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand

from ml_pipeline.apps.endpoints import registrations
from ml_pipeline.server import cleaning


class Command(BaseCommand):
    """Removes abandoned work, stored bundles that no version has, and files that no batch job has."""

    help = "Remove what killed processes left: abandoned work, bundles that no version has, files that no batch has."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """How old what is stored must be."""
        hour = int(registrations.GRACE.total_seconds())
        parser.add_argument("--grace-s", type=int, default=hour, help=f"age of what is stored for nobody; {hour}")
        parser.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Cleans up and says what was removed."""
        cleaned = cleaning.clean_up(timedelta(seconds=max(0, options["grace_s"])))
        if options["json"]:
            self.stdout.write(json.dumps(cleaned._asdict()))
        else:
            self.stdout.write(
                f"Removed {cleaned.work} pieces of abandoned work, {cleaned.bundles} bundles, and the files of "
                f"{cleaned.batches} batch jobs that are not there."
            )
