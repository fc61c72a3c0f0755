"""The app's registration with Django."""

from django.apps import AppConfig


class BatchesConfig(AppConfig):
    """Labels the app `batches`, and hooks it in where jobs are done and the log is read."""

    name = "ml_pipeline.apps.batches"
    label = "batches"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Models can be imported now."""
        from ml_pipeline.apps.batches import batches, feedback_files, removal, tellings, work
        from ml_pipeline.apps.endpoints import hooks
        from ml_pipeline.apps.jobs import handlers

        hooks.of_batches(batches.made_at)
        # It has all cores, and lasts.
        handlers.register(batches.SCORING, work.work, at_once=1)
        handlers.register(feedback_files.TELLING, tellings.work, at_once=1)
        handlers.register(removal.REMOVING, removal.work)
        handlers.register(removal.CLEANING, removal.clean)
