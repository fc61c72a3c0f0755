"""The app's registration with Django."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.apps import AppConfig

if TYPE_CHECKING:
    from ml_pipeline.apps.jobs.leases import Lease


class BatchesConfig(AppConfig):
    """Labels the app `batches`, and hooks it in where jobs are done and the log is read."""

    name = "ml_pipeline.apps.batches"
    label = "batches"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Models can be imported now."""
        from ml_pipeline.apps.batches import batches, feedback_files, removal
        from ml_pipeline.apps.endpoints import hooks
        from ml_pipeline.apps.jobs import handlers

        hooks.of_batches(batches.made_at)
        hooks.of_writers(batches.writer_made_at)
        # It has all cores, and lasts.
        handlers.register(batches.SCORING, _score, at_once=1)
        handlers.register(batches.SHORT, _score, at_once=1)
        handlers.register(feedback_files.TELLING, _tell, at_once=1)
        handlers.register(removal.REMOVING, removal.work)
        handlers.register(removal.CLEANING, removal.clean)


# A process that only serves needs none of the libraries of these.
def _score(lease: Lease) -> float | None:
    from ml_pipeline.apps.batches import work

    return work.work(lease)


def _tell(lease: Lease) -> float | None:
    from ml_pipeline.apps.batches import tellings

    return tellings.work(lease)
