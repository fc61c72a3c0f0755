"""The app's registration with Django."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.apps import AppConfig

if TYPE_CHECKING:
    from ml_pipeline.apps.endpoints.models import Endpoint, MLAlgorithmStatus
    from ml_pipeline.apps.jobs.leases import Lease

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

        hooks.of_rewards(labels.of_rewards)
        hooks.on_feedback(labels.put_aside)
        hooks.on_rollback(_roll_back)
        handlers.register(COUNTING, _count)
        handlers.register(REPLAYING, _replay)


# A process that does none of it needs none of the libraries of these.
def _roll_back(endpoint: Endpoint, actor: str, reason: str) -> MLAlgorithmStatus | None:
    from ml_pipeline.apps.abtests import ends

    return ends.roll_back(endpoint, actor, reason)


def _count(lease: Lease) -> float | None:
    from ml_pipeline.apps.abtests import counting

    return counting.work(lease)


def _replay(lease: Lease) -> float | None:
    from ml_pipeline.apps.abtests import selftests

    return selftests.work(lease)
