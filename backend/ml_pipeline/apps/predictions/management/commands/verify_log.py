"""`verify_log`: the log of predictions is checked, row by row, against its chains and their signed heads."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ml_pipeline.apps.predictions.integrity import seals
from ml_pipeline.apps.predictions.integrity.faults import MOST_NAMED
from ml_pipeline.apps.predictions.integrity.verification import Verification


class Command(BaseCommand):
    """Reads the whole log, changes nothing, and says what is wrong with it."""

    help = "Check that no row of the log was edited, removed or added; exit with 1 when one was."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which keys may have signed."""
        parser.add_argument(
            "--trusted-key", action="append", default=[], help="a public key that the server had before; repeatable"
        )
        parser.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Checks and tells. Raises CommandError when something is wrong."""
        found = Verification(seals.own(options["trusted_key"]))
        found.run()
        if options["json"]:
            self.stdout.write(json.dumps(found.document()))
        else:
            self._tell(found)
        if found.faults.count:
            raise CommandError(f"The log does not hold: {found.faults.count} faults.")

    def _tell(self, found: Verification) -> None:
        self.stdout.write(
            f"{found.requests} requests in {found.batches} batches of {found.writers} writers are as they were logged."
        )
        if found.latest:
            self.stdout.write(
                f"Heads are signed up to {found.latest['day']} (sha256 {found.latest['sha256']}); "
                f"{found.unsigned} batches are newer."
            )
        else:
            self.stdout.write("No heads are signed yet.")
        self.stdout.write(f"Signed with the key {found.seal.public_key}")
        for fault in found.faults.named:
            self.stdout.write(f"{fault.kind}: {fault.sentence}")
        if found.faults.count > MOST_NAMED:
            self.stdout.write(f"… and {found.faults.count - len(found.faults.named)} more")
