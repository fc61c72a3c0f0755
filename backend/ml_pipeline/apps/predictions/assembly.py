"""The data plane of this process, put together once from the settings and synchronised with the database."""

from __future__ import annotations

import functools
import logging
import threading

from django.conf import settings
from django.db import connection

from ml_pipeline.apps.ml.artifacts import ArtifactStore
from ml_pipeline.apps.ml.registry import MLRegistry
from ml_pipeline.apps.predictions.doors.exchange import Exchange
from ml_pipeline.apps.predictions.journal import Journal
from ml_pipeline.apps.predictions.routing import SnapshotKeeper
from ml_pipeline.apps.predictions.service import PredictionService
from ml_pipeline.errors import DatabaseUnavailable

logger = logging.getLogger(__name__)


@functools.cache
def exchange() -> Exchange:
    """The exchange that both doors of this process share, its registry loaded from the database.

    Where the database cannot be read the process starts all the same, says so in `/readyz`, and tries again.
    """
    keeper = SnapshotKeeper(MLRegistry(ArtifactStore(settings.ARTIFACTS_DIR)))
    # In a thread of its own: an ASGI server imports us inside its event loop, where Django forbids the database.
    first = threading.Thread(target=_synchronise, args=(keeper,), name="snapshot-first")
    first.start()
    first.join()
    return Exchange(PredictionService(keeper, Journal(), queue_rows=settings.QUEUE_ROWS))


def _synchronise(keeper: SnapshotKeeper) -> None:
    try:
        keeper.refresh()
    except DatabaseUnavailable as error:
        logger.error("%s", error.message)
    connection.close()
