"""A MariaDB under test: Debian's server in a folder and on a port of its own, durable as one in production."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

from servers import free_port

START_TIMEOUT_S = 60
# Where distributions put servers, which is not in everybody's PATH.
_PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))


class MariaDB:
    """One server process with an administrator `root` that has no password. Nothing of the machine's own is read."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="mlp-my-"))
        self.port = free_port()
        # A server that starts removes what it finds of temporary tables, those of others that are at work too.
        (self.folder / "tmp").mkdir()
        self._environment = {**os.environ, "PATH": _PATH, "TMPDIR": str(self.folder / "tmp")}
        self._process: subprocess.Popen[bytes] | None = None

    @staticmethod
    def is_installed() -> bool:
        return shutil.which("mariadbd", path=_PATH) is not None

    def make(self) -> MariaDB:
        """Its system tables, then as `start`."""
        command = ["mariadb-install-db", "--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"]
        self._run([*command, f"--user={getpass.getuser()}", f"--datadir={self.folder / 'data'}"])
        return self.start()

    def start(self) -> MariaDB:
        """Returns once it takes connections."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    str(shutil.which("mariadbd", path=_PATH)),
                    *("--no-defaults", f"--user={getpass.getuser()}", f"--datadir={self.folder / 'data'}"),
                    *("--bind-address=127.0.0.1", f"--port={self.port}", f"--socket={self.folder / 'socket'}"),
                    *(f"--pid-file={self.folder / 'pid'}", "--innodb-flush-log-at-trx-commit=1"),
                    # The largest prediction, a row of 10 MB, has many quotes to escape.
                    "--max-allowed-packet=64M",
                ],
                env=self._environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        until = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < until and self._process.poll() is None:
            if (self.folder / "socket").exists():
                return self
            time.sleep(0.05)
        self.stop()
        raise AssertionError("mariadbd did not start:\n" + (self.folder / "log").read_text())

    def stop(self) -> None:
        """Stops it in order; its data stays."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(60)

    def remove(self) -> None:
        """Stops it, and nothing of it is left."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def execute(self, statement: str, database: str = "") -> list[tuple[Any, ...]]:
        """The rows that `statement` returns, as root sees them."""
        # Only tests that need services have it installed.
        import MySQLdb

        with MySQLdb.connect(
            unix_socket=str(self.folder / "socket"), user="root", database=database, autocommit=True
        ) as connection:
            cursor = connection.cursor()
            cursor.execute(statement)
            return list(cursor.fetchall())

    def create_database(self, options: str = "") -> str:
        """The URL of a new, empty database."""
        name = f"test_{uuid4().hex}"
        self.execute(f"CREATE DATABASE {name} {options}")
        return f"mysql://root@127.0.0.1:{self.port}/{name}"

    def cut_idle(self, database: str) -> None:
        """Every connection to `database` that waits for its client is closed."""
        import MySQLdb

        listed = "SELECT id FROM information_schema.processlist WHERE command = 'Sleep' AND db = '{}'"
        for (one,) in self.execute(listed.format(database)):
            # It may have gone by itself.
            with contextlib.suppress(MySQLdb.OperationalError):
                self.execute(f"KILL SOFT CONNECTION {one}")

    def _run(self, command: list[str]) -> None:
        done = subprocess.run(command, capture_output=True, text=True, env=self._environment, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
