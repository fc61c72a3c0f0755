"""`clean_up`: what killed registrations left behind is removed."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand

from ml_pipeline.apps.endpoints import registrations


class Command(BaseCommand):
    """Removes abandoned work and stored bundles that no version has."""

    help = "Remove what killed registrations left: abandoned work, and stored bundles that no version has."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """How old a bundle without a version must be."""
        hour = int(registrations.GRACE.total_seconds())
        parser.add_argument("--grace-s", type=int, default=hour, help=f"age of bundles without a version; {hour}")
        parser.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Cleans up and says what was removed."""
        cleared = registrations.clean_up(timedelta(seconds=max(0, options["grace_s"])))
        if options["json"]:
            self.stdout.write(json.dumps(cleared._asdict()))
        else:
            self.stdout.write(f"Removed {cleared.work} pieces of abandoned work and {cleared.bundles} bundles.")
