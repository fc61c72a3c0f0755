"""The guide to what serves: every example is pasted, uploaded to a real server, and served as the guide says."""

from __future__ import annotations

import json
import os
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import guides
import pytest
from homes import Home
from servers import Server

PAGE = "docs/models.md"
SECTIONS = {
    "Scikit-learn": {"diabetes": "onnx", "wine": "onnx", "reviews": "sklearn"},
    "Boosting": {"hist": "onnx", "lightgbm": "onnx", "xgboost": "sklearn"},
    "ONNX": {"scores": "onnx"},
    "A class of your own": {"heat": "python"},
    "A signed joblib": {"signed": "onnx"},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with every Python example in a file of the name that it begins with."""
    (tmp_path / ".venv").symlink_to(sys.prefix)
    for heading in SECTIONS:
        for block in guides.blocks(PAGE, heading, "python"):
            name = re.match(r"# (\w+\.py)\n", block)
            assert name, f"{heading}: an example without a file name"
            (tmp_path / name[1]).write_text(block)
    about = tmp_path / "heat-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: heat\nVersion: 1.0\n")
    project = tomllib.loads(guides.blocks(PAGE, "A class of your own", "toml")[0])["project"]
    lines = [
        f"[{group}]\n{name} = {what}\n"
        for group, named in project["entry-points"].items()
        for name, what in named.items()
    ]
    (about / "entry_points.txt").write_text("".join(lines))
    return tmp_path


def test_every_example_is_served_as_the_guide_says(folder: Path) -> None:
    make_key, *_ = guides.blocks(PAGE, "A signed joblib", "bash")
    guides.run(make_key, folder)
    home = Home(folder / "home").make()
    trusted = (folder / "signing.pub").read_text().strip()
    search = os.pathsep.join([str(folder), home.environment["PYTHONPATH"]])
    server = Server("asgi", home, {"PYTHONPATH": search, "ML_PIPELINE_TRUSTED_KEYS": trusted}).start()
    try:
        printed = {heading: pasted(heading, folder, server) for heading in SECTIONS}
    finally:
        server.stop()

    for heading, runtimes in SECTIONS.items():
        assert {one["name"]: one["runtime"] for one in printed[heading] if "runtime" in one} == runtimes, heading
    assert [one["label"] for one in printed["Scikit-learn"][-1]] == ["good", "bad"]
    _, missing, unseen = printed["Boosting"][-1]
    assert unseen["probability"] == missing["probability"]
    assert printed["ONNX"][-1]["label"] == "wide"
    assert printed["A class of your own"][-1]["label"] == "hot"


def pasted(heading: str, folder: Path, server: Server) -> list[Any]:
    """The JSON that the commands of a section print, line by line."""
    commands = [block for block in guides.blocks(PAGE, heading, "bash") if "genpkey" not in block]
    script = "\n".join([*guides.blocks(PAGE, "The commands", "bash"), *commands])
    printed = guides.run(script, folder, URL=f"{server.url}/api/v1", KEY=server.home.keys["admin"])
    return [json.loads(line) for line in printed.splitlines() if line.startswith(("{", "["))]
