"""What tests of batch jobs send: files of people, and the form that brings one."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from homes import ENDPOINT
from people import PERSON, held_out_people
from servers import Server

BATCHES = "/api/v1/batches"
COLUMNS = tuple(held_out_people().columns)


def people(rows: int = 5) -> bytes:
    """A CSV of so many people."""
    return held_out_people().head(rows).to_csv(index=False).encode()


def packed(rows: int = 5) -> bytes:
    """The same, packed by gzip."""
    return gzip.compress(people(rows))


def parquet(rows: int = 5) -> bytes:
    """The same, as Parquet."""
    written = io.BytesIO()
    pa.parquet.write_table(pa.csv.read_csv(io.BytesIO(people(rows))), written)
    return written.getvalue()


def post(
    server: Server,
    content: Any,
    name: str = "people.csv",
    *,
    scope: str = "predict",
    wait: str | None = None,
    route: str = BATCHES,
    **form: str,
) -> httpx.Response:
    """The reply to a file that is sent to be scored."""
    params = {} if wait is None else {"wait": wait}
    with server.client(scope) as client:
        return client.post(route, files={"file": (name, content)}, data={"endpoint": ENDPOINT, **form}, params=params)


def traces(server: Server) -> tuple[int, list[str], list[str]]:
    """How many jobs there are, what is stored of them, and what lies in the work folder."""
    with server.client("read") as client:
        jobs = len(client.get(BATCHES, params={"limit": 1_000}).json())
    stored = server.home.folder / "batches"
    found = sorted(str(path.relative_to(stored)) for path in stored.rglob("*") if path.is_file())
    return jobs, found, sorted(path.name for path in Path(server.home.folder / "work").iterdir())


def is_well(server: Server) -> bool:
    """Whether the server answers predictions."""
    return server.predict(PERSON).status_code == 200
