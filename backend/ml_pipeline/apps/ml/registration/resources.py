"""What the examining process itself uses, and what one more copy of an algorithm costs."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ml_pipeline.apps.ml import bundles, loader
from ml_pipeline.apps.ml.bundles import Bundle
from ml_pipeline.apps.ml.signature import Row

_STATM = Path("/proc/self/statm")
# A child process that holds a DummyClassifier, as one of four: 34.8 MB of proportional set size, of which 7 MB are its
# own and the rest is its part of the pages that all share with their template. Python 3.11 on Linux, x86-64.
EMPTY_CHILD_BYTES = 35_000_000


def resident_bytes() -> int:
    """Memory of this process that is in use now; 0 where the system does not tell."""
    try:
        return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return 0


def loaded_bytes(bundle: Bundle, trusted_keys: Sequence[str], rows: Sequence[Row]) -> int:
    """What one more copy of the algorithm in `bundle` costs that has answered `rows`: never less than its model's file.

    Everything must have been imported already. With the process, where it is served in one of its own.
    """
    runtime = str(bundle.manifest["runtime"])
    models = {"onnx": (bundles.ONNX_MODEL,), "sklearn": (bundles.SKOPS_MODEL, bundles.JOBLIB_MODEL)}
    kept = set(models.get(runtime, bundle.files)) & set(bundle.files)
    least_bytes = sum((bundle.folder / name).stat().st_size for name in kept)
    _give_back()
    before = resident_bytes()
    algorithm = loader.load_native(bundle, runtime, trusted_keys)
    algorithm.compute_prediction(rows)
    # What only loading took is not what the copy holds.
    _give_back()
    grown_bytes = max(resident_bytes() - before, least_bytes)
    algorithm.runtime.close()
    return grown_bytes + (EMPTY_CHILD_BYTES if bundle.manifest["is_isolated"] else 0)


def _give_back() -> None:
    # Freed memory that the allocator still holds would hide what is taken anew.
    gc.collect()
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)
