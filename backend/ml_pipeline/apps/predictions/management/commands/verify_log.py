"""`verify_log`: the log of predictions is checked, row by row, against its chains, signed heads, and deeds."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ml_pipeline.apps.predictions.integrity import deeds, seals
from ml_pipeline.apps.predictions.integrity.faults import MOST_NAMED
from ml_pipeline.apps.predictions.integrity.ledger import Ledger
from ml_pipeline.apps.predictions.integrity.seals import Seal
from ml_pipeline.apps.predictions.integrity.verification import MOST_LOOKS, Verification
from ml_pipeline.apps.predictions.management.operations import add_common_arguments
from ml_pipeline.apps.predictions.retention.inspection import Inspection


class Command(BaseCommand):
    """Reads the whole log, changes nothing, and says what is wrong with it."""

    help = "Check that no row of the log was edited, removed or added; exit with 1 when one was."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Whether archives are read, and which keys may have signed."""
        parser.add_argument("--archives", action="store_true", help="read the archives too")
        add_common_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Checks and tells. Raises CommandError when something is wrong."""
        found, archives = _looked(seals.own(options["trusted_key"]), options["archives"])
        if options["json"]:
            more = {"archives": archives.document()} if archives else {}
            self.stdout.write(json.dumps({**found.document(), **more}))
        else:
            self._tell(found, archives)
        if found.faults.count:
            raise CommandError(f"The log does not hold: {found.faults.count} faults.")

    def _tell(self, found: Verification, archives: Inspection | None) -> None:
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
        self._tell_deeds(found.ledger)
        if archives:
            self._tell_archives(archives)
        self.stdout.write(f"Signed with the key {found.seal.public_key}")
        for fault in found.faults.named:
            self.stdout.write(f"{fault.kind}: {fault.sentence}")
        if found.faults.count > MOST_NAMED:
            self.stdout.write(f"… and {found.faults.count - len(found.faults.named)} more")

    def _tell_deeds(self, book: Ledger) -> None:
        if not book.latest.number:
            return
        self.stdout.write(
            f"{book.latest.number} deeds (the last with sha256 {book.latest.sha256}): "
            f"{book.pruned_rows} requests are pruned, {book.erased_requests} are erased."
        )
        for number in book.unfinished:
            self.stdout.write(f"The prune of deed {number} is not finished; `ml-pipeline prune` finishes it.")

    def _tell_archives(self, archives: Inspection) -> None:
        self.stdout.write(
            f"{archives.archives} archives have {archives.requests} requests and {archives.feedback} feedback."
        )
        for folder in archives.unerased:
            self.stdout.write(
                f"Something that was erased since is still in {folder}; `ml-pipeline erase-unit` empties it."
            )
        for folder in archives.strays:
            self.stdout.write(f"No deed names {folder}: what is in it does not count.")


def _looked(seal: Seal, at_archives: bool) -> tuple[Verification, Inspection | None]:
    for _ in range(MOST_LOOKS):
        found = Verification(seal)
        found.run()
        if not at_archives:
            return found, None
        archives = Inspection(found.ledger, found.signed, found.faults)
        archives.run()
        # An archive may have been made anew meanwhile.
        if not found.faults.count or deeds.latest() == found.ledger.latest:
            break
    return found, archives
