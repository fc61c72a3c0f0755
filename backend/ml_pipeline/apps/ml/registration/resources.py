"""What an algorithm takes of the process that serves it: memory to load it, to keep it and to answer, and time."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ml_pipeline.apps.ml import bundles, loader
from ml_pipeline.apps.ml.algorithm import Algorithm
from ml_pipeline.apps.ml.bundles import Bundle
from ml_pipeline.apps.ml.records import Row

_PROC = Path("/proc/self")
# A child process that holds a DummyClassifier, as one of four: 34.8 MB of proportional set size, of which 7 MB are its
# own and the rest is its part of the pages that all share with their template. Python 3.11 on Linux, x86-64.
EMPTY_CHILD_BYTES = 35_000_000
# In the serving process everyone waits for a call, and shares its memory: what takes more gets a process of its own.
MOST_ROW_S, MOST_BATCH_S = 0.010, 1.0
# A forest of 30 MB is read with 440 MB and keeps 180 MB of them, which the registry's budget counts.
MOST_PEAK_BYTES, MOST_PEAK_TIMES_KEPT = 200_000_000, 8


@dataclass(frozen=True, slots=True)
class Demands:
    """What one copy takes: `kept_bytes` once loaded, never less than its model's file, `peak_bytes` beyond what was
    there before while it is loaded or answers a batch, 0 where the system does not tell; processor time of a call.
    """

    kept_bytes: int
    peak_bytes: int
    row_s: float
    batch_s: float

    def reasons_apart(self, rows: int) -> list[str]:
        """Why it is not for the serving process, of whose batch had `rows` rows; [] for most models."""
        found = []
        if self.row_s > MOST_ROW_S:
            found.append(f"one row takes it {self.row_s * 1e3:.0f} ms")
        if self.batch_s > MOST_BATCH_S:
            found.append(f"{rows:,} rows take it {self.batch_s:.1f} s")
        if self.peak_bytes > MOST_PEAK_BYTES + MOST_PEAK_TIMES_KEPT * self.kept_bytes:
            found.append(f"it takes {self.peak_bytes / 1e6:,.0f} MB to load it or to answer {rows:,} rows")
        return found


def demanded(bundle: Bundle, trusted_keys: Sequence[str], rows: Sequence[Row], batch: Sequence[Row]) -> Demands:
    """What one more copy of the algorithm in `bundle` takes that answers `rows`, and then `batch`.

    Everything must have been imported already. Raises AlgorithmFailed.
    """
    runtime = str(bundle.manifest["runtime"])
    models = {"onnx": (bundles.ONNX_MODEL,), "sklearn": (bundles.SKOPS_MODEL, bundles.JOBLIB_MODEL)}
    files = set(models.get(runtime, bundle.files)) & set(bundle.files)
    model_bytes = sum((bundle.folder / name).stat().st_size for name in files)
    _give_back()
    loading = _Peak()
    algorithm = loader.load_native(bundle, runtime, trusted_keys)
    algorithm.compute_prediction(rows)
    loading_bytes = loading.grown_bytes()
    # What only loading took is not what the copy holds.
    _give_back()
    kept_bytes = resident_bytes() - loading.before
    columns = algorithm.preprocess(batch)
    answering, begun = _Peak(), time.process_time()
    algorithm.predict(columns)
    batch_s = time.process_time() - begun
    peak_bytes = max(loading_bytes, answering.grown_bytes())
    row_s = min(_seconds(algorithm, batch[at : at + 1]) for at in range(min(3, len(batch))))
    algorithm.runtime.close()
    return Demands(max(kept_bytes, model_bytes), peak_bytes, row_s, batch_s)


def resident_bytes() -> int:
    """Memory of this process that is in use now; 0 where the system does not tell."""
    try:
        return int((_PROC / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return 0


def _seconds(algorithm: Algorithm, rows: Sequence[Row]) -> float:
    begun = time.process_time()
    algorithm.compute_prediction(rows)
    return time.process_time() - begun


class _Peak:
    """How far this process grows from now on, at the most."""

    def __init__(self) -> None:
        self.before = resident_bytes()
        self._is_told = True
        try:
            (_PROC / "clear_refs").write_text("5")
        # Where the peak cannot be forgotten, that of the process's whole life would be taken for this one.
        except OSError:
            self._is_told = False

    def grown_bytes(self) -> int:
        """Beyond what was there at the start; 0 where the system does not tell."""
        try:
            lines = (_PROC / "status").read_text().splitlines()
            peak = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
        except (OSError, StopIteration, ValueError):
            return 0
        return max(peak - self.before, 0) if self._is_told else 0


def _give_back() -> None:
    # Freed memory that the allocator still holds would hide what is taken anew.
    gc.collect()
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)
