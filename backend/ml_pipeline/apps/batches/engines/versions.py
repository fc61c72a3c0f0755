"""Versions: what must be the same on every machine that scores a part of a job, so that its answers are the same."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import ml_pipeline
from ml_pipeline.errors import ClusterUnavailable

PACKAGES = ("numpy", "onnxruntime", "pandas", "pyarrow", "scikit-learn")
# Of this package, what scores.
CODE = ("errors.py", "wire", "apps/ml", "apps/batches/engines")
TOKENS = "RAY_AUTH_MODE"


@cache
def found() -> dict[str, str]:
    """Name to version, on this machine; of this package a digest of its code. That Ray has tokens is one of them."""
    return {
        "ml_pipeline": _code(),
        **{name: _version(name) for name in PACKAGES},
        TOKENS: os.environ.get(TOKENS, "unset"),
    }


def check(asking: Mapping[str, str]) -> None:
    """Returns where this machine has what the one that asks has. Raises ClusterUnavailable naming what differs."""
    here = found()
    differing = [f"{name} {here.get(name)} instead of {one}" for name, one in asking.items() if here.get(name) != one]
    if differing:
        raise ClusterUnavailable(f"A node of the Ray cluster would answer differently: {', '.join(differing)}.")


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"


def _code() -> str:
    package = Path(ml_pipeline.__path__[0])
    parts = [package / name for name in CODE]
    paths = [path for part in parts for path in ([part] if part.is_file() else sorted(part.rglob("*.py")))]
    digest = hashlib.sha256()
    for path in paths:
        content = path.read_bytes()
        digest.update(f"{path.relative_to(package).as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:12]
