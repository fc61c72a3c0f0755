"""Requests that Schemathesis makes of the OpenAPI document, alone and in chains, with and without a key.

No request makes the server fail, and no reply is one that the document does not have: neither its status nor its type
nor its body.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from homes import Home
from people import PERSON
from servers import Server

# Of a run that is to make all of them, and beside other tests.
ALL, FEWER = 25, 12
# Values may fit the document and name nothing that there is, which is told with 422.
CONFIGURATION = """
[checks]
positive_data_acceptance.enabled = false

# A page's form sends every filter, and an empty one filters nothing: not a time, and no error.
[[operations]]
include-path = "/api/v1/events"
checks.negative_data_rejection.enabled = false

# A number is taken for the text that it is written as.
[[operations]]
include-path-regex = "/api/v1/((endpoints|teams)(/{name})?|receivers(/{id})?)$"
checks.negative_data_rejection.enabled = false

# A bad line is named in the reply, beside what became of the good ones.
[[operations]]
include-path = "/api/v1/mlrequests/feedback"
checks.negative_data_rejection.enabled = false

# It would revoke the key that it comes with.
[[operations]]
include-path = "/api/v1/keys/{id}/revoke"
enabled = false
"""


@pytest.fixture(scope="module")
def examples(request: pytest.FixtureRequest) -> str:
    """How many requests are made of one kind, for Schemathesis."""
    return f"--max-examples={ALL if request.config.getoption('whole') else FEWER}"


@pytest.fixture(scope="module")
def server(module_home: Home) -> Iterator[Server]:
    running = Server("asgi", module_home, {}).start()
    running.predict(PERSON)
    with running.client("read") as client:
        (module_home.folder / "openapi.json").write_text(client.get("/api/schema").text)
    yield running
    running.stop()


def _run(server: Server, folder: Path, *options: str) -> str:
    """What Schemathesis reports of `server`; fails where it found something. The same requests each time."""
    document = server.home.folder / "openapi.json"
    (folder / "schemathesis.toml").write_text(CONFIGURATION)
    done = subprocess.run(
        [
            str(Path(sys.executable).parent / "schemathesis"),
            *("--config-file", str(folder / "schemathesis.toml"), "run", str(document), "--url", server.url),
            *("--seed", "1", "--generation-deterministic", "--no-color", *options),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
    # Nothing failed in a way nobody foresaw.
    assert [line for line in server.lines if line["level"] in ("error", "critical")] == []
    return done.stdout


def test_an_administrator_gets_what_is_documented(server: Server, tmp_path: Path, examples: str) -> None:
    key = f"Authorization: Bearer {server.home.keys['admin']}"
    report = _run(server, tmp_path, "-H", key, "--phases", "examples,coverage,fuzzing,stateful", examples)
    assert "Stateful" in report


def test_nobody_gets_what_is_documented(server: Server, tmp_path: Path, examples: str) -> None:
    _run(server, tmp_path, "--phases", "coverage,fuzzing", "--exclude-checks", "ignored_auth", examples)
