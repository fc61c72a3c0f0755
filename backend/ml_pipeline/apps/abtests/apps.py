"""The app's registration with Django."""

from django.apps import AppConfig


class ABTestsConfig(AppConfig):
    """Labels the app `abtests`, and hooks it in where feedback comes, endpoints are rolled back and jobs are done."""

    name = "ml_pipeline.apps.abtests"
    label = "abtests"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Models can be imported now."""
        from ml_pipeline.apps.abtests import counting, ends, labels, selftests, tests
        from ml_pipeline.apps.endpoints import hooks
        from ml_pipeline.apps.jobs import handlers

        hooks.of_rewards(labels.of_rewards)
        hooks.on_feedback(labels.put_aside)
        hooks.on_rollback(ends.roll_back)
        handlers.register(tests.COUNTING, counting.work)
        handlers.register(selftests.REPLAYING, selftests.work)
