"""Makes the tutorial's tables, with one algorithm in production; run as a program of its own."""

from __future__ import annotations

import django
from django.core.management import call_command

if __name__ == "__main__":
    django.setup()
    from benchmarks.data_plane.tutorial import models

    call_command("migrate", run_syncdb=True, verbosity=0)
    endpoint = models.Endpoint.objects.create(name="income_classifier")
    algorithm = models.MLAlgorithm.objects.create(name="random forest", version="0.0.1", parent_endpoint=endpoint)
    models.MLAlgorithmStatus.objects.create(status="production", active=True, parent_mlalgorithm=algorithm)
