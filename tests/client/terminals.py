"""`ml-pipeline` run as people run it, on a server under test."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from homes import REPOSITORY
from servers import Server

COMMAND = str(Path(sys.executable).parent / "ml-pipeline")


def run(
    server: Server | str, *arguments: str, scope: str = "admin", given: str | None = None
) -> subprocess.CompletedProcess[str]:
    """What `ml-pipeline` did with `arguments`, with the key of `scope`; `server` may be an address where nobody is."""
    inherited = {name: text for name, text in os.environ.items() if not name.startswith("ML_PIPELINE_")}
    url, key = (server, "key") if isinstance(server, str) else (server.url, server.home.keys[scope])
    return subprocess.run(
        [COMMAND, *arguments],
        env={**inherited, "ML_PIPELINE_URL": url, "ML_PIPELINE_API_KEY": key},
        cwd=REPOSITORY,
        input=given,
        capture_output=True,
        text=True,
        check=False,
    )
