"""The product as the benchmark sets it up: trained, registered, promoted; on SQLite or PostgreSQL; asked over HTTP."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.data_plane import machine
from benchmarks.data_plane.asks import Ask
from benchmarks.data_plane.competitors import TABLES, SQLiteLedger
from benchmarks.data_plane.contestants import UVICORN, Contestant
from benchmarks.data_plane.postgres import Cluster

sys.path.append(str(machine.REPOSITORY / "tests"))

from homes import ENDPOINT, Home

SQLITE, POSTGRESQL = "product-sqlite", "product-postgresql"
FOREST, TREE = "random_forest", "decision_tree"
PREDICT = f"/api/v1/{ENDPOINT}/predict"

_PROMOTE = """
import django
django.setup()
from ml_pipeline.apps.endpoints import statuses
from ml_pipeline.apps.endpoints.models import MLAlgorithm
statuses.promote(MLAlgorithm.objects.get(), actor="bench", reason="benchmark")
"""

# Each under an endpoint of its own, with a bundle of its own, and in production.
_COPIES = """
import sys, django
django.setup()
from pathlib import Path
from django.utils import timezone
from ml_pipeline.apps.endpoints import endpoints, registrations, statuses
from ml_pipeline.apps.endpoints.models import MLAlgorithm
from ml_pipeline.apps.ml import bundles
first = MLAlgorithm.objects.get()
stored = registrations.store().bundle(first.artifact_digest)
files = {name: stored.read(name) for name in stored.files}
for number in range(1, int(sys.argv[2])):
    one = bundles.write_bundle(Path(sys.argv[1]), {**stored.manifest, "number": number}, files)
    registrations.store().add(one)
    row = MLAlgorithm.objects.get(pk=first.pk)
    row.pk, row._state.adding = None, True
    row.parent_endpoint = endpoints.create(f"%s-{number}", first.parent_endpoint.team, actor="bench")
    row.artifact_digest, row.created_at = one.digest, timezone.now()
    row.save()
    statuses.begin(row, actor="bench", reason="registered")
    statuses.promote(row, actor="bench")
"""


class PostgresLedger:
    """The log in a PostgreSQL database."""

    def __init__(self, url: str) -> None:
        self._url = url

    def rows(self, scope: str) -> int:
        """How many predictions it holds, of the scope `predict`, or how much feedback."""
        return self._number(f"SELECT count(*) FROM {TABLES[scope]}")  # noqa: S608

    def size_bytes(self) -> int:
        """The size of the database."""
        return self._number("SELECT pg_database_size(current_database())")

    def _number(self, query: str) -> int:
        import psycopg

        with psycopg.connect(self._url) as connection:
            found = connection.execute(query.encode()).fetchone()
        return int(found[0]) if found else 0


def trained(name: str, folder: Path) -> Path:
    """The training bundle of a reference algorithm, trained once for all runs with one training script."""
    script = machine.REPOSITORY / "research" / "train_income_classifier.py"
    manifest = folder / name / "manifest.json"
    if not manifest.exists() or manifest.stat().st_mtime < script.stat().st_mtime:
        command = [str(machine.PYTHON), str(script), "--out", str(folder), "--only", name]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder / name


def home(bundle: Path, folder: Path, database_url: str = "") -> Home:
    """A home with `bundle` in production."""
    made = Home(folder, database_url).make()
    made.register(bundle, version="1")
    made.python(_PROMOTE)
    return made


def copied(source: Home, folder: Path, database_url: str = "") -> Home:
    """The same home once more; with a copy of its database at `database_url`, or on SQLite."""
    shutil.copytree(source.folder, folder)
    return Home(folder, database_url)


def multiply(source: Home, count: int) -> None:
    """`count` live algorithms altogether, each under an endpoint of its own (see `predict_path`)."""
    source.run(sys.executable, "-c", _COPIES % ENDPOINT, str(source.folder.parent / "copy"), str(count))


def predict_path(number: int) -> str:
    """Where the algorithm of that number is asked."""
    return PREDICT if number == 0 else f"/api/v1/{ENDPOINT}-{number}/predict"


def served_model(source: Home, folder: Path) -> Path:
    """The stored bundle that the product serves, unpacked: `model.onnx` and the pipeline it was made from."""
    (stored,) = (source.folder / "artifacts" / "bundles").glob("*.zip")
    with zipfile.ZipFile(stored) as archive:
        archive.extractall(folder)
    return folder


def contestant(
    name: str,
    at: Home,
    questions: Sequence[Ask],
    cores: tuple[int, ...],
    *,
    cluster: Cluster | None = None,
    workers: int = 1,
) -> Contestant:
    """The product's ASGI door on that home."""
    more = ("--workers", str(workers)) if workers > 1 else ()
    command = (*UVICORN, "--lifespan", "on", *more, "--port", "{port}", "ml_pipeline.server.asgi:application")
    own = {
        variable: value
        for variable, value in at.environment.items()
        if variable.startswith("ML_PIPELINE_") or variable == "DJANGO_SETTINGS_MODULE"
    }
    ledger = PostgresLedger(at.database_url) if cluster else SQLiteLedger(at.folder / "db.sqlite3")
    asked = [ask.at(PREDICT) for ask in questions]
    return Contestant(name, command, asked, own, at.keys, cores, cluster, ledger)
