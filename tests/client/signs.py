"""One small model in everything that can hold it, and its rows; registering any of them takes some seconds."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import skops.io
from skl2onnx import to_onnx
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ml_pipeline.apps.ml import bundles

FRAME = pd.DataFrame(np.random.default_rng(0).normal(size=(40, 2)), columns=["x", "y"])
LABELS = np.where(FRAME.x + FRAME.y > 0, "plus", "minus")
ROW = {"x": 2.0, "y": 1.0}


def pipeline() -> Any:
    """Tells the sign of a sum."""
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(FRAME, LABELS)


def graph() -> onnx.ModelProto:
    """The pipeline as an ONNX model."""
    return to_onnx(pipeline(), FRAME.to_numpy(np.float32)[:1], options={"zipmap": False})


def written(folder: Path) -> dict[str, Path]:
    """Name to path of: m.skops, m.onnx, the folder of a bundle, that bundle's m.zip; rows.csv and reference.parquet."""
    skops.io.dump(pipeline(), folder / "m.skops")
    (folder / "m.onnx").write_bytes(graph().SerializeToString())
    FRAME.to_csv(folder / "rows.csv", index=False)
    FRAME.assign(sign=LABELS).to_parquet(folder / "reference.parquet")
    files = {bundles.SKOPS_MODEL: "m.skops", bundles.SAMPLE_CSV: "rows.csv"}
    content = {name: (folder / source).read_bytes() for name, source in files.items()}
    bundles.write_bundle(folder / "bundle", {"name": "small", "algorithm": "pipeline"}, content)
    with zipfile.ZipFile(folder / "m.zip", "w") as archive:
        for path in (folder / "bundle").iterdir():
            archive.write(path, path.name)
    return {path.name: path for path in folder.iterdir()}
