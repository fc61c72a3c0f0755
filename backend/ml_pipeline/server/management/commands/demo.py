"""`demo`: from nothing to a served, logged prediction; a second start finds everything as it was left."""

from __future__ import annotations

import secrets
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from ml_pipeline.apps.accounts import access, keys
from ml_pipeline.apps.accounts.access import Grant
from ml_pipeline.apps.accounts.models import ApiKey
from ml_pipeline.apps.endpoints import algorithms, statuses
from ml_pipeline.apps.endpoints.models import MLAlgorithm, MLAlgorithmStatus, Status
from ml_pipeline.apps.ml.bundles import MANIFEST, Bundle
from ml_pipeline.errors import MLPipelineError
from ml_pipeline.server import beside, cleaning, demo_guide, listening

ENDPOINT = "income_classifier"
VERSION = "0.0.1"
# Bundle to the status that the demo gives it.
ALGORITHMS = {
    "random_forest": Status.PRODUCTION,
    "extra_trees": Status.TESTING,
    "decision_tree": Status.STAGING,
}
GRANT = Grant("demo", everywhere=access.ALL)
KEY_SCOPES = ["predict", "feedback", "read", "manage"]


class Command(BaseCommand):
    """Migrates, trains and registers what is missing, and serves."""

    help = "Train, register and serve the three income classifiers; Ctrl-C stops."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Where the research folder of the repository is."""
        parser.add_argument("--research", type=Path, default=Path("research"), help="the repository's research folder")

    def handle(self, *args: Any, **options: Any) -> None:
        """Prepares and serves until it is stopped."""
        try:
            listening.refuse_used_port(settings.HOST, settings.PORT)
        except listening.PortInUse as error:
            raise CommandError(str(error)) from None
        with listening.until_stopped():
            call_command("migrate", verbosity=0)
            cleaning.clean_up()
            self._train(options["research"])
            try:
                for name, wanted in ALGORITHMS.items():
                    self._register(options["research"] / "artifacts" / name, wanted)
            except MLPipelineError as error:
                raise CommandError(error.message) from None
            secret = self._make_secrets()
            connection.close()
            address = listening.address(settings.HOST, settings.PORT)
            guide = demo_guide.text(address, command=sys.argv[0], secret=secret)
            # Nobody's load balancer looks at a demo, and Ctrl-C should be quick.
            with beside.worker():
                listening.serve(settings.HOST, settings.PORT, lambda: self._tell(guide), drain_s=0)
        self.stdout.write("\nStopped. Everything is kept in " + str(settings.HOME))

    def _train(self, research: Path) -> None:
        missing = [name for name in ALGORITHMS if not (research / "artifacts" / name / MANIFEST).exists()]
        if not missing:
            return
        script = research / "train_income_classifier.py"
        if not script.exists():
            raise CommandError(f"There is no {script}. Run this in a checkout of the repository, or give --research.")
        self._tell("Training the income classifiers on the Adult census data (about half a minute) …")
        only = [argument for name in missing for argument in ("--only", name)]
        command = [sys.executable, str(script), "--out", str(research / "artifacts"), *only]
        if subprocess.run(command, check=False).returncode:
            raise CommandError("The training failed; its message is above.")

    def _register(self, folder: Path, wanted: str) -> None:
        present = MLAlgorithm.objects.filter(parent_endpoint__name=ENDPOINT, name=folder.name, version=VERSION).first()
        if present is None:
            done = algorithms.register_folder(
                Bundle(folder),
                endpoint=ENDPOINT,
                name=folder.name,
                version=VERSION,
                owner="demo",
                grant=GRANT,
            )
            present = done.algorithm
            self.stdout.write(f"Registered {present}, served by {present.runtime}.")
        # An earlier start may have ended in between; what people moved since is theirs.
        steps = MLAlgorithmStatus.objects.filter(parent_mlalgorithm__parent_endpoint=present.parent_endpoint_id)
        untouched = steps.filter(parent_mlalgorithm=present).count() == 1
        taken = wanted == Status.PRODUCTION and steps.filter(status=Status.PRODUCTION).exists()
        if untouched and not taken:
            statuses.move(present, wanted, actor=GRANT.actor, reason="set up by the demo")

    def _make_secrets(self) -> str | None:
        # Told as soon as they are made: they are stored nowhere.
        if not User.objects.filter(is_superuser=True).exists():
            password = secrets.token_urlsafe(18)
            User.objects.create_superuser("admin", password=password)
            self._tell(f"\nAdministrator: admin\nPassword: {password}")
        if ApiKey.objects.filter(name="demo").exists():
            return None
        secret = keys.create("demo", KEY_SCOPES, actor=GRANT.actor)[1]
        self._tell(f"API key: {secret}\nThese secrets are shown only now; keep them.")
        return secret

    def _tell(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()
