"""The app's registration with Django."""

from django.apps import AppConfig


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
        from ml_pipeline.apps.jobs.handlers import later

        hooks.of_batches(batches.made_at)
        hooks.of_writers(batches.writer_made_at)
        # A process that only serves needs none of the libraries of these. Scoring has all cores, and lasts.
        score = later(f"{self.name}.work.work")
        handlers.register(batches.SCORING, score, at_once=1, is_large=True)
        handlers.register(batches.SHORT, score, at_once=1, is_large=True)
        telling = later(f"{self.name}.tellings.work")
        handlers.register(feedback_files.TELLING, telling, at_once=1, is_large=True)
        handlers.register(removal.REMOVING, removal.work)
        handlers.register(removal.CLEANING, removal.clean)
