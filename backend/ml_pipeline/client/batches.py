"""`Client.batches`: files of rows, scored in the background, as methods, each a thin call."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

from ml_pipeline.client import connection
from ml_pipeline.client.connection import Connection
from ml_pipeline.errors import Complaint, InvalidInput, NotReachable

Record: TypeAlias = dict[str, Any]
Records: TypeAlias = list[Record]
# A server answers once it has stored the file, which may be large.
UPLOAD_TIMEOUT_S = 600.0
# The time between two looks at a job, at first and at most.
LOOK_S, MOST_LOOK_S = 0.2, 2.0
UNDER_WAY = ("queued", "running")


class Batches:
    """A server's batch jobs. Records are as docs/api.md has them; what is raised is as of `Client`."""

    def __init__(self, connected: Connection) -> None:
        self._connection = connected

    def create(
        self,
        path: str | os.PathLike[str],
        *,
        endpoint: str,
        algorithm: str | None = None,
        version: str | None = None,
        status: str | None = None,
        output: str | None = None,
        encoding: str | None = None,
        probabilities: bool = False,
        log_requests: bool = True,
        wait_s: float | None = None,
    ) -> Record:
        """The job that scores the CSV or Parquet file at `path`. With `wait_s`, 0 to 60, its end is waited for.

        The file is sent as it is read, whatever its size. Raises InvalidInput where it cannot be read.
        """
        form = _form(
            endpoint=endpoint,
            algorithm=algorithm,
            version=version,
            status=status,
            output=output,
            encoding=encoding,
            probabilities=probabilities,
            log_requests=log_requests,
        )
        params = {} if wait_s is None else {"wait": f"{wait_s:g}"}
        return self._sent(connection.path("batches"), Path(path), form, params, UPLOAD_TIMEOUT_S + (wait_s or 0))

    def predict(
        self,
        path: str | os.PathLike[str],
        *,
        endpoint: str,
        algorithm: str | None = None,
        version: str | None = None,
        status: str | None = None,
        encoding: str | None = None,
        probabilities: bool = False,
        log_requests: bool = True,
    ) -> Record:
        """`rows`, each with its answer, and `rejected` ones, of a file of at most 10,000 rows and 10 MB."""
        form = _form(
            endpoint=endpoint,
            algorithm=algorithm,
            version=version,
            status=status,
            encoding=encoding,
            probabilities=probabilities,
            log_requests=log_requests,
        )
        return self._sent(connection.path("batch-predict"), Path(path), form, {}, UPLOAD_TIMEOUT_S)

    def get(self, batch_id: int) -> Record:
        """The job, and how far it is."""
        return self._record("GET", connection.path("batches", batch_id))

    def list(self, endpoint: str | None = None, limit: int | None = None, **filters: str | None) -> Records:
        """The jobs that fit `endpoint` and the list's filters (state, …), newest first, at most `limit`."""
        given = {name: value for name, value in {"endpoint": endpoint, **filters}.items() if value is not None}
        return self._connection.pages(connection.path("batches"), given, limit)

    def wait(
        self, batch_id: int, timeout_s: float | None = None, on_progress: Callable[[Record], None] | None = None
    ) -> Record:
        """The job once it is over, succeeded or not; `on_progress` is told how far it is, now and then.

        Raises NotReachable where it is not over within `timeout_s`; it goes on all the same.
        """
        until = None if timeout_s is None else time.monotonic() + timeout_s
        look_s = LOOK_S
        while True:
            job = self.get(batch_id)
            if on_progress is not None:
                on_progress(job)
            if job["state"] not in UNDER_WAY:
                return job
            if until is not None and time.monotonic() >= until:
                raise NotReachable(
                    f"The batch {batch_id} is {job['state']} after {timeout_s:g} s, {job['rows_done']:,} rows done. "
                    "Is a worker running?"
                )
            time.sleep(look_s)
            look_s = min(1.5 * look_s, MOST_LOOK_S)

    def download(self, batch_id: int, path: str | os.PathLike[str]) -> Path:
        """Where the job's result is now: `path`, which has it whole, and is not touched before that."""
        self._connection.fetch(connection.path("batches", batch_id, "result"), Path(path))
        return Path(path)

    def errors(self, batch_id: int, limit: int | None = None) -> Records:
        """The rejected rows, each with `row`, `line`, `field` and `reason`, in the file's order, at most `limit`."""
        return self._connection.pages(connection.path("batches", batch_id, "errors"), {}, limit)

    def download_errors(self, batch_id: int, path: str | os.PathLike[str]) -> Path:
        """Where all rejected rows are now, as CSV: `path`."""
        address = connection.path("batches", batch_id, "errors")
        self._connection.fetch(address, Path(path), params={"format": "csv"})
        return Path(path)

    def cancel(self, batch_id: int) -> Record:
        """The job, which goes no further; its files are removed."""
        return self._record("POST", connection.path("batches", batch_id, "cancel"))

    def _sent(self, address: str, path: Path, form: dict[str, str], params: dict[str, str], timeout_s: float) -> Record:
        try:
            file = path.open("rb")
        except OSError as error:
            got = f"{path}: {error.strerror}"
            raise InvalidInput([Complaint(None, "file", "a file that can be read", got)]) from None
        with file:
            content = {"data": form, "files": {"file": (path.name, file)}, "params": params}
            return self._record("POST", address, timeout_s=timeout_s, **content)

    def _record(self, method: str, address: str, **content: Any) -> Record:
        value: Record = self._connection.ask(method, address, **content).value
        return value


def _form(**fields: str | bool | None) -> dict[str, str]:
    given = {name: value for name, value in fields.items() if value is not None}
    return {name: value if isinstance(value, str) else str(value).lower() for name, value in given.items()}
