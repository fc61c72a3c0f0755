"""The app's registration with Django."""

from django.apps import AppConfig

# The kinds of the jobs that count a test, its subject, and that replay one.
COUNTING = "abtest"
REPLAYING = "selftest"


class ABTestsConfig(AppConfig):
    """Labels the app `abtests`, and hooks it in where feedback comes, endpoints are rolled back and jobs are done."""

    name = "ml_pipeline.apps.abtests"
    label = "abtests"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Models can be imported now."""
        from ml_pipeline.apps.abtests import labels
        from ml_pipeline.apps.endpoints import hooks
        from ml_pipeline.apps.jobs import handlers
        from ml_pipeline.apps.jobs.handlers import later

        hooks.of_rewards(labels.of_rewards)
        hooks.on_feedback(labels.put_aside)
        # A process that does none of it needs none of the libraries of these.
        hooks.on_rollback(later(f"{self.name}.ends.roll_back"))
        handlers.register(COUNTING, later(f"{self.name}.counting.work"))
        handlers.register(REPLAYING, later(f"{self.name}.selftests.work"), is_large=True)
