"""Runs what the documentation tells people to paste, in a folder that looks like a fresh clone."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
from homes import REPOSITORY
from servers import free_port

READY_TIMEOUT_S = 600


def blocks(page: str, heading: str, language: str) -> list[str]:
    """The code blocks in `language` under `heading` of the Markdown file `page`."""
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    _, found, rest = text.partition(f"\n## {heading}\n")
    assert found, f"{page} has no heading {heading!r}"
    section = re.split(r"^## ", rest, maxsplit=1, flags=re.MULTILINE)[0]
    return re.findall(rf"^```{language}\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


def clone(folder: Path, bundles: Path) -> Path:
    """A folder with what a fresh clone has after `make demo` has trained, the trained bundles being `bundles`."""
    artifacts = folder / "research" / "artifacts"
    artifacts.mkdir(parents=True)
    (folder / ".venv").symlink_to(sys.prefix)
    for name in ("backend", "research/train_income_classifier.py", "research/data"):
        (folder / name).symlink_to(REPOSITORY / name)
    for bundle in bundles.iterdir():
        (artifacts / bundle.name).symlink_to(bundle)
    return folder


def environment(**own: str) -> dict[str, str]:
    """The environment of somebody who has set nothing of ours but `own`."""
    ours = {"HOST", "PORT", "DJANGO_SETTINGS_MODULE"}
    inherited = {name: text for name, text in os.environ.items() if not name.startswith("ML_PIPELINE_")}
    return {name: text for name, text in inherited.items() if name not in ours} | own


def run(script: str, folder: Path, **own: str) -> str:
    """What `script` prints in one bash that stops at the first failure."""
    path = folder / "pasted.sh"
    path.write_text(script, encoding="utf-8")
    done = subprocess.run(
        ["bash", "-euo", "pipefail", path.name],
        check=False,
        cwd=folder,
        env=environment(**own),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, f"{script}\n--- printed:\n{done.stdout}\n--- and:\n{done.stderr}"
    return done.stdout


@contextlib.contextmanager
def demo(folder: Path) -> Iterator[int]:
    """The port of a demo that runs in `folder` and is ready; it must end well when it is told to stop."""
    port = free_port()
    log = folder / "demo.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [".venv/bin/ml-pipeline", "demo"], cwd=folder, env=environment(PORT=str(port)), stdout=output, stderr=output
        )
    try:
        assert _ready(process, port), log.read_text()
        yield port
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        code = process.wait(60)
    assert code == 0, log.read_text()


def _ready(process: subprocess.Popen[bytes], port: int) -> bool:
    until = time.monotonic() + READY_TIMEOUT_S
    while process.poll() is None and time.monotonic() < until:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=5).status_code == 200:
                return True
        time.sleep(0.05)
    return False
