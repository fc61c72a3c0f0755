"""Scripts of this folder in processes of their own, in a home of each database in turn."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from homes import REPOSITORY, Home

HERE = Path(__file__).parent
DATABASES = ["sqlite", "postgresql", pytest.param("mysql", marks=pytest.mark.services)]
_URLS = {"postgresql": "postgres_url", "mysql": "mysql_url"}


def new_home(request: pytest.FixtureRequest, folder: Path) -> Home:
    """A new home on the database, of DATABASES, that is the fixture's parameter."""
    url = _URLS.get(request.param)
    return Home(folder / "home", request.getfixturevalue(url) if url else "").make()


class Scripts:
    """Those that were begun in a home, to be stopped in the end."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self._environment = {**home.environment, "PYTHONPATH": f"{REPOSITORY / 'tests'}:{HERE}"}
        self._begun: list[subprocess.Popen[Any]] = []

    def begin(self, script: str, *arguments: object) -> subprocess.Popen[Any]:
        """The process; what it prints can be read."""
        command = [sys.executable, str(HERE / script), *map(str, arguments)]
        process = subprocess.Popen(command, env=self._environment, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
        self._begun.append(process)
        return process

    def stop(self) -> None:
        """All have ended, also those that sleep."""
        for process in self._begun:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
