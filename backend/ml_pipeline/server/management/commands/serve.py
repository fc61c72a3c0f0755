"""`serve`: the server, on a database that is migrated."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from ml_pipeline.server import beside, cleaning, listening


class Command(BaseCommand):
    """Serves predictions and the control plane on HOST and PORT."""

    help = "Serve on HOST and PORT until Ctrl-C."

    def handle(self, *args: Any, **options: Any) -> None:
        """Runs until it is stopped."""
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            raise CommandError("The database is not up to date. Run `ml-pipeline migrate` first.")
        cleaning.clean_up()
        connection.close()
        try:
            listening.refuse_used_port(settings.HOST, settings.PORT)
        except listening.PortInUse as error:
            raise CommandError(str(error)) from None
        with listening.until_stopped(), beside.worker():
            listening.serve(settings.HOST, settings.PORT, self._ready)

    def _ready(self) -> None:
        self.stdout.write(f"Serving on {listening.address(settings.HOST, settings.PORT)}. Ctrl-C stops.")
        self.stdout.flush()
