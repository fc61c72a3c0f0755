"""A home folder for servers under test: database, artifacts, secret key, and an API key for every scope."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

REPOSITORY = Path(__file__).resolve().parent.parent
SCOPES = ("predict", "feedback", "read", "manage", "admin")
ENDPOINT = "income_classifier"

_KEYS = f"""
import django, json
django.setup()
from ml_pipeline.apps.accounts import keys
print(json.dumps({{scope: keys.create(scope + "-key", [scope], actor="tests")[1] for scope in {SCOPES!r}}}))
"""

_ENDPOINT = """
import django
django.setup()
from ml_pipeline.apps.accounts.models import Team
from ml_pipeline.apps.endpoints import endpoints
endpoints.create(*"""

_STATUSES = """
import django
django.setup()
from ml_pipeline.apps.endpoints import statuses
from ml_pipeline.apps.endpoints.models import MLAlgorithm
for name, status in (("random_forest", "production"), ("decision_tree", "staging")):
    statuses.move(MLAlgorithm.objects.get(name=name), status, actor="tests", reason="set up")
"""


@contextlib.contextmanager
def once(lock: Path) -> Iterator[None]:
    """Only one of the test processes at a time; whoever comes later finds the work done."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


class Home:
    """One folder, and the environment in which commands and servers use it."""

    # Where the test processes of a run keep a new home on SQLite, to be copied; None makes each anew.
    kept: ClassVar[Path | None] = None

    def __init__(self, folder: Path, database_url: str = "") -> None:
        self.folder = folder
        self.database_url = database_url

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a process that works on this home; nothing of ours leaks in from outside."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("ML_PIPELINE_")}
        own = {"ML_PIPELINE_HOME": str(self.folder), "DJANGO_SETTINGS_MODULE": "ml_pipeline.server.settings"}
        if self.database_url:
            own["ML_PIPELINE_DATABASE_URL"] = self.database_url
        # Servers must be able to import the test models of `strange_models`.
        return {**inherited, **own, "PYTHONPATH": str(REPOSITORY / "tests")}

    @property
    def is_complete(self) -> bool:
        return (self.folder / "keys.json").exists()

    @property
    def keys(self) -> dict[str, str]:
        """Scope to an API key that holds that scope alone."""
        keys: dict[str, str] = json.loads((self.folder / "keys.json").read_text())
        return keys

    def run(self, *command: str, check: bool = True, **kwargs: Any) -> subprocess.CompletedProcess[str]:
        """Runs `command` in this home; its output comes back as text."""
        return subprocess.run(
            command, env=self.environment, cwd=REPOSITORY, check=check, text=True, capture_output=True, **kwargs
        )

    def manage(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Runs a management command in this home."""
        return self.run(sys.executable, "backend/manage.py", *arguments, check=check)

    def python(self, code: str) -> str:
        """What the Python program `code` prints in this home, Django not set up yet."""
        return self.run(sys.executable, "-c", code).stdout

    def make(self) -> Home:
        """A secret key, an up-to-date database and a key for every scope."""
        if Home.kept is None or self.database_url:
            return self._make()
        with once(Home.kept.with_suffix(".lock")):
            if not Home(Home.kept).is_complete:
                shutil.rmtree(Home.kept, ignore_errors=True)
                Home(Home.kept)._make()
        shutil.copytree(Home.kept, self.folder, dirs_exist_ok=True)
        return self

    def _make(self) -> Home:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "secret_key").write_text("a-secret-key-for-tests-0123456789-0123456789\n")
        self.manage("migrate", "-v", "0", "--skip-checks")
        (self.folder / "keys.json").write_text(self.python(_KEYS))
        return self

    def prepare(self, bundles: Path) -> Home:
        """As `make`, with the three income classifiers in the statuses that the demo gives them."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.make()
        ready = (self.folder / "keys.json").rename(self.folder / "keys.pending")
        self.python(f"{_ENDPOINT}({ENDPOINT!r}, Team.objects.get()), actor='tests')")
        with ThreadPoolExecutor() as pool:
            names = ("random_forest", "extra_trees", "decision_tree")
            list(pool.map(lambda name: self.register(bundles / name, version="0.0.1"), names))
        self.python(_STATUSES)
        ready.rename(self.folder / "keys.json")
        return self

    def register(self, bundle: Path, *, version: str) -> None:
        """Registers `bundle` under the income classifier."""
        self.manage("register", str(bundle), "--endpoint", ENDPOINT, "--version", version)

    def moved(self, folder: Path, database_url: str) -> Home:
        """A copy at `folder` whose rows are in the empty database at `database_url`."""
        rows = folder.with_suffix(".json")
        self.manage("dumpdata", "--output", str(rows), "endpoints", "accounts", "events")
        home = Home(shutil.copytree(self.folder, folder), database_url)
        home.manage("migrate", "-v", "0", "--skip-checks")
        home.manage("loaddata", "-v", "0", str(rows))
        return home

    def copy(self, folder: Path) -> Home:
        """A home with the same content at `folder`."""
        shutil.copytree(self.folder, folder)
        return Home(folder, self.database_url)
