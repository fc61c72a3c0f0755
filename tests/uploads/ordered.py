"""An installed algorithm class that does what the first row of its sample orders, and an upload that names it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import wine
from homes import REPOSITORY
from hostile_archives import bundle, packed

_CLASS = """
import os, socket, subprocess, sys, time
from pathlib import Path

import numpy as np
from ml_pipeline.apps.ml.algorithm import Algorithm


class Ordered(Algorithm):
    def predict(self, columns):
        order, _, what = str(columns["order"][0]).partition(" ")
        getattr(self, order)(what)
        return np.zeros(len(columns["order"]))

    def fine(self, _):
        pass

    def wait(self, what):
        turn, _, path = what.partition(" ")
        begun = Path(path)
        turns = int(begun.read_text()) + 1 if begun.exists() else 1
        begun.write_text(str(turns))
        while turns >= int(turn):
            time.sleep(60)

    def spin(self, _):
        while True:
            pass

    def allocate(self, size):
        np.ones(int(size), dtype="u1")

    def write(self, path):
        with open(path, "wb") as handle:
            for _ in range(10_000):
                handle.write(bytes(1_000_000))

    def connect(self, port):
        socket.create_connection(("127.0.0.1", int(port)), 5)

    def spawn(self, path):
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        Path(path).write_text(str(child.pid))
        raise ValueError("leaves a process behind")

    def shout(self, what):
        os.write(2, what.encode() * 1_000)
        raise ValueError("was loud")

    def crash(self, _):
        os.abort()
"""

_SIGNATURE = {
    "features": [{"name": "order", "type": "string", "nullable": False, "categories": []}],
    "task": "regression",
    "labels": [],
}


def installed(folder: Path) -> dict[str, str]:
    """The environment in which the class is installed, at `folder`."""
    about = folder / "ordered_models-1.dist-info"
    about.mkdir(parents=True)
    (folder / "ordered_models.py").write_text(_CLASS)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: ordered-models\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[ml_pipeline.algorithms]\nordered = ordered_models:Ordered\n")
    return {"PYTHONPATH": os.pathsep.join((str(folder), str(REPOSITORY / "tests")))}


def files(order: str) -> dict[str, Any]:
    """The files of an upload whose algorithm follows `order` as soon as it answers."""
    members = bundle({"notes.txt": b"no model"}, algorithm="ordered", signature=_SIGNATURE)
    return wine.files(packed(members), "model.zip", f"order\n{json.dumps(order)}\n".encode())
