"""Operations: what the commands that change the log, or write from it, have in common."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any, ClassVar

from django.core.management.base import BaseCommand, CommandError

from ml_pipeline.apps.accounts import access
from ml_pipeline.apps.predictions.integrity import seals
from ml_pipeline.apps.predictions.integrity.seals import Seal
from ml_pipeline.errors import MLPipelineError


def add_common_arguments(parser: ArgumentParser) -> None:
    """Which keys may have signed, and whether JSON is printed."""
    parser.add_argument(
        "--trusted-key", action="append", default=[], help="a public key that the server had before; repeatable"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


class LogOperation(BaseCommand):
    """A command that does a deed. `broken_off` is what to say where a disk fails."""

    broken_off: ClassVar[str]

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which keys may have signed, and whether JSON is printed."""
        add_common_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Does it and tells. Raises CommandError when it could not be done, or not to its end."""
        seal = seals.own(options["trusted_key"])
        try:
            done = self.do(seal, access.operator().actor, options)
        except MLPipelineError as error:
            raise CommandError(error.message) from None
        except OSError as error:
            raise CommandError(f"{self.broken_off}: {error}") from None
        # Where that fails it is done all the same.
        self.tell(seal, done, options)

    def do(self, seal: Seal, actor: str, options: dict[str, Any]) -> Any:
        """What came of the deed, which `seal` signs. Raises MLPipelineError and OSError."""
        raise NotImplementedError

    def tell(self, seal: Seal, done: Any, options: dict[str, Any]) -> None:
        """What came of it is printed. Raises CommandError where that is not all."""
        raise NotImplementedError
