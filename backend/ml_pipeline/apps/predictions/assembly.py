"""The data plane of this process, put together once from the settings and synchronised with the database."""

from __future__ import annotations

import functools
import logging
import threading

from django.conf import settings
from django.db import connection

from ml_pipeline.apps.endpoints import registrations
from ml_pipeline.apps.ml.hosting import Host
from ml_pipeline.apps.ml.isolation.limits import Limits
from ml_pipeline.apps.ml.isolation.nursery import Nursery
from ml_pipeline.apps.ml.registry import MLRegistry
from ml_pipeline.apps.predictions import checkpoints
from ml_pipeline.apps.predictions.commits import AnyTurn, WriteTurn
from ml_pipeline.apps.predictions.companions import Companion
from ml_pipeline.apps.predictions.doors.exchange import Exchange
from ml_pipeline.apps.predictions.doors.scrapes import Scrapes
from ml_pipeline.apps.predictions.doors.uploads import Spool, Uploads
from ml_pipeline.apps.predictions.integrity import seals
from ml_pipeline.apps.predictions.integrity.notary import Notary
from ml_pipeline.apps.predictions.journal import Journal
from ml_pipeline.apps.predictions.keeper import SnapshotKeeper
from ml_pipeline.apps.predictions.outcomes import Outcomes
from ml_pipeline.apps.predictions.service import PredictionService
from ml_pipeline.apps.predictions.vitals import Vitals
from ml_pipeline.errors import DatabaseUnavailable
from ml_pipeline.metrics.collectors import Gathering

# A large forest is unpickled in seconds; a minute is for a slow disk.
LOAD_DEADLINE_S = 60.0
MAX_CHILD_FILE_BYTES = 100_000_000

logger = logging.getLogger(__name__)


@functools.cache
def exchange() -> Exchange:
    """The exchange that both doors of this process share, its registry loaded from the database.

    Where the database cannot be read the process starts all the same, says so in `/readyz`, and tries again.
    """
    limits = Limits(memory_bytes=settings.CHILD_MEMORY_BYTES, cpu_s=None, file_bytes=MAX_CHILD_FILE_BYTES, nice=0)
    host = Host(
        registrations.store(),
        Nursery(limits),
        trusted_keys=registrations.trusted_keys(),
        deadline_s=settings.DEADLINE_S,
        load_deadline_s=LOAD_DEADLINE_S,
    )
    # Whoever writes to SQLite in this process takes turns with the others.
    turn = WriteTurn() if connection.vendor == "sqlite" else AnyTurn()
    registry = MLRegistry(host.load, budget_bytes=settings.MEMORY_BYTES)
    checkpointer = checkpoints.checkpointer(lambda: turn)
    beside: list[Companion] = [Notary(seals.own(), turn), *([checkpointer] if checkpointer else [])]
    keeper = SnapshotKeeper(registry, host.prepare, beside)
    # In a thread of its own: an ASGI server imports us inside its event loop, where Django forbids the database.
    first = threading.Thread(target=_synchronise, args=(keeper,), name="snapshot-first")
    first.start()
    first.join()

    def release() -> None:
        host.close()
        keeper.close()

    service = PredictionService(
        keeper,
        Journal(turn),
        Outcomes(turn),
        queue_rows=settings.QUEUE_ROWS,
        max_batch=settings.MAX_BATCH,
        max_wait_us=settings.MAX_WAIT_US,
        deadline_s=settings.DEADLINE_S,
        release=release,
    )
    beside.append(Vitals(settings.HOME, service.condition))
    # The routes of the control plane that take more than others, each from whoever has a key to use it.
    uploads = {
        "/api/v1/mlalgorithms": Uploads("manage", settings.UPLOAD_BYTES),
        "/api/v1/batches": Uploads("predict", settings.BATCH_BYTES),
        "/api/v1/batches/feedback": Uploads("feedback", settings.BATCH_BYTES),
    }
    return Exchange(service, Spool(settings.WORK_DIR), uploads, Scrapes(settings.HOME, Gathering(_disconnect)))


def _disconnect() -> None:
    # Of whichever thread calls: each has one of its own.
    connection.close()


def _synchronise(keeper: SnapshotKeeper) -> None:
    try:
        keeper.refresh()
        # The first of all: nothing serves yet, so everything is loaded before the first request.
        keeper.settle()
    except DatabaseUnavailable as error:
        logger.error("%s", error.message)
    connection.close()
