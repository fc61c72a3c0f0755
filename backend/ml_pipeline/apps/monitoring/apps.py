"""The app's registration with Django."""

from django.apps import AppConfig

# The standing jobs that fold, that test for drift what was folded, and that watch it for alerts.
FOLDING = "monitoring.folding"
DRIFT = "monitoring.drift"
ALERTS = "monitoring.alerts"


class MonitoringConfig(AppConfig):
    """Labels the app `monitoring`, and has its jobs done wherever a worker runs."""

    name = "ml_pipeline.apps.monitoring"
    label = "monitoring"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Models can be imported now."""
        from ml_pipeline.apps.jobs import handlers
        from ml_pipeline.apps.jobs.handlers import later
        from ml_pipeline.metrics import collectors

        # A process that only serves needs none of the libraries of these.
        for kind, module in ((FOLDING, "folding"), (DRIFT, "drift_windows"), (ALERTS, "alert_rounds")):
            work, has_work = (later(f"{self.name}.{module}.{function}") for function in ("work", "has_work"))
            handlers.register(kind, work, at_once=1, is_standing=True, has_work=has_work)
        collectors.register("monitoring", later(f"{self.name}.currency.metrics"))
