"""Models that do what no model should, as each row's `order` says; the children under test must bear it."""

from __future__ import annotations

import ctypes
import io
import json
import os
import pickle
import resource
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import joblib
import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin

from ml_pipeline.apps.ml import bundles, origins
from ml_pipeline.apps.ml.bundles import Bundle
from ml_pipeline.apps.ml.isolation.child import Loading
from ml_pipeline.apps.ml.isolation.limits import Limits
from ml_pipeline.apps.ml.origins import ServerKey
from ml_pipeline.apps.ml.signature import Feature, Signature

ORIGIN = ServerKey("a secret of these tests", origins.ORIGIN)
FEATURES = (Feature("order", "string"), Feature("number", "number", nullable=True))
SIGNATURE = Signature(FEATURES, "classification", ("a", "b"))
PATIENCE_S = 60.0
LIMITS = Limits(memory_bytes=500_000_000, cpu_s=None, file_bytes=1_000_000, nice=1)
# Where a child finds this module and those of all tests.
IMPORTABLE = os.pathsep.join(str(Path(__file__).resolve().parents[up]) for up in (0, 2))
PREFIX = struct.Struct("!4sIQ")


class Hostile(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Follows the order of its first row; the output is (number, what came of the order) for each row."""

    classes_ = np.array(["a", "b"])

    def predict_proba(self, frame: pd.DataFrame) -> Any:
        order, _, what = str(frame["order"].iloc[0]).partition(" ")
        came = ORDERS[order](what)
        return np.array([[number, came] for number in frame["number"].astype(float)])


class HostileWhenLoaded(Hostile):
    """Follows its order while it is deserialised."""

    def __init__(self, order: str = "fine") -> None:
        self.order = order

    def __setstate__(self, state: dict[str, Any]) -> None:
        order, _, what = str(state["order"]).partition(" ")
        ORDERS[order](what)
        self.__dict__.update(state)


def loop(path: str) -> NoReturn:
    if path:
        Path(path).touch()
    while True:
        pass


def kill(_: str) -> NoReturn:
    """Kills the template, and this child with it."""
    os.kill(os.getppid(), signal.SIGKILL)
    loop("")


def wait(path: str) -> float:
    """Waits for a file at `path`; another beside it says that it does."""
    Path(f"{path}.begun").touch()
    until = time.monotonic() + PATIENCE_S
    while not Path(path).exists() and time.monotonic() < until:
        time.sleep(0.01)
    return 1.0


def hog(_: str) -> NoReturn:
    hoard = []
    while True:
        hoard.append(np.ones(1_000_000))


def complain(_: str) -> NoReturn:
    raise ValueError("hunter2\nERROR a forged line" + "x" * 1000)


def overwrite(path: str) -> float:
    Path(path).write_bytes(bytes(5_000_000))
    return 1.0


def chatter(_: str) -> float:
    print("chatter to stdout", flush=True)
    print("chatter to stderr", file=sys.stderr, flush=True)
    return 1.0


def descriptors(_: str) -> float:
    # One of them is the listing's own.
    return len(list(Path("/proc/self/fd").iterdir())) - 1


def offspring(_: str) -> float:
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]).pid


def utter(what: str) -> float:
    """Sends the owner what is no answer, behind the back of the code that would."""
    message = UTTERANCES[what]
    # All of the listing is read before the links are: its own descriptor is closed by then.
    links = list(Path("/proc/self/fd").iterdir())
    (owner,) = [int(one.name) for one in links if _is_socket(one)]
    os.write(owner, message)
    if what == "half a frame":
        os._exit(0)
    return 1.0


def _is_socket(link: Path) -> bool:
    return link.is_symlink() and str(link.readlink()).startswith("socket:")


def framed(header: bytes, body: bytes = b"", *, body_bytes: int | None = None) -> bytes:
    return PREFIX.pack(b"MLP1", len(header), len(body) if body_bytes is None else body_bytes) + header + body


def answer(**output: Any) -> bytes:
    """An answer to a runtime's first call."""
    return framed(json.dumps({"call": 1, "output": output}).encode(), bytes(16))


UTTERANCES = {
    "noise": bytes(range(256)) * 10,
    "a pickle": pickle.dumps({"an": "object"}),
    "half a frame": framed(b'{"call": 1}')[:20],
    "a huge header": PREFIX.pack(b"MLP1", 2**32 - 1, 0) + b"{",
    "a huge body": framed(b"{}", body_bytes=2**62),
    "no JSON": framed(b"\xff\xfe{"),
    "deep JSON": framed(b"[" * 60_000),
    "no object": framed(b"[1, 2]"),
    "a long number": framed(b'{"call": ' + b"1" * 50_000 + b"}"),
    "another call": framed(b'{"call": 77, "output": {"dtype": "<f8", "shape": [1]}}', bytes(8)),
    "no output": framed(b'{"call": 1}'),
    "no shape": answer(dtype="<f8"),
    "a wrong shape": answer(dtype="<f8", shape=[3]),
    "a negative shape": answer(dtype="<f8", shape=[-1, -2]),
    "an endless shape": answer(dtype="<f8", shape=[2] * 1000),
    "objects": answer(dtype="|O", shape=[2]),
    "no type": answer(dtype={"a": 1}, shape=[2]),
}

ORDERS: dict[str, Callable[[str], float]] = {
    "abort": lambda _: os.abort(),
    "chatter": chatter,
    "complain": complain,
    "core": lambda _: float(resource.getrlimit(resource.RLIMIT_CORE)[0]),
    "descriptors": descriptors,
    "exit": lambda code: sys.exit(int(code)),
    "fine": lambda _: 0.5,
    "hog": hog,
    "kill": kill,
    "loop": loop,
    "nan": lambda _: float("nan"),
    "nice": lambda _: float(os.getpriority(os.PRIO_PROCESS, 0)),
    "offspring": offspring,
    "overwrite": overwrite,
    "pid": lambda _: float(os.getpid()),
    "privileges": lambda _: float(Path("/proc/self/status").read_text().split("NoNewPrivs:")[1].split()[0]),
    "segfault": lambda _: float(len(ctypes.string_at(0))),
    "session": lambda _: float(os.getsid(0)),
    "utter": utter,
    "wait": wait,
}


def columns(order: str, *numbers: float) -> dict[str, Any]:
    """One row for each of `numbers`, or one row with 0.25; all with the same order."""
    cells = numbers or (0.25,)
    return {"order": np.array([order] * len(cells), dtype=object), "number": np.array(cells, dtype=np.float64)}


def bundle_of(folder: Path, model: Any, signature: Signature = SIGNATURE) -> Bundle:
    """The bundle of `model` as a joblib that ORIGIN vouches for."""
    content = io.BytesIO()
    joblib.dump(model, content)
    manifest = {"name": "hostile", "algorithm": "pipeline", "signature": signature.to_json(), "runtime": "sklearn"}
    bundle = bundles.write_bundle(folder, manifest, {bundles.JOBLIB_MODEL: content.getvalue()})
    (folder / bundles.MANIFEST_SIGNATURE).write_bytes(ORIGIN.sign(bundle.document))
    return bundle


def loading_of(bundle: Bundle) -> Loading:
    """What a child is told to load it."""
    return Loading(str(bundle.folder), bundle.digest, "sklearn", [ORIGIN.public_key])
