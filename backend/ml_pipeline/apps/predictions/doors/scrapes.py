"""Scrapes: the metrics of all processes of this home, as `GET /metrics` tells them to whoever has a key."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import NamedTuple

from ml_pipeline.apps.accounts.access import Grant
from ml_pipeline.apps.predictions.doors.heads import Head
from ml_pipeline.apps.predictions.service import PredictionService
from ml_pipeline.errors import Overloaded
from ml_pipeline.metrics import exposition
from ml_pipeline.metrics.collectors import Gathering
from ml_pipeline.metrics.exposition import Text
from ml_pipeline.metrics.recorder import recorder

logger = logging.getLogger(__name__)

PATH = "/metrics"
MAX_BODY_BYTES = 1_000


class Scrape(NamedTuple):
    """A request for the metrics that may be answered."""

    head: Head
    grant: Grant
    limit_bytes: int = MAX_BODY_BYTES


class Scrapes:
    """Answers them, of this `home`; what is in the database is what `gathering` finds."""

    def __init__(self, home: Path, gathering: Gathering) -> None:
        self._home, self._gathering = home, gathering

    def text(self, scrape: Scrape, service: PredictionService) -> Text:
        """All metrics that whoever asks may see. Takes milliseconds, and where the database is silent two seconds.

        Raises Overloaded where what was counted cannot be read.
        """
        accept, looked_up = scrape.head.header(b"accept") or "", self._gathering.found()
        try:
            return exposition.text(recorder, self._home, looked_up, accept, service.shows(scrape.grant))
        except OSError as error:
            logger.error("the metrics cannot be read: %s", error)
            raise Overloaded("The metrics cannot be read now; try again shortly.") from error
