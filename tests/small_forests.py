"""Small forests of the Adult data, compiled, as bundles that are ready to serve."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
from onnx import helper
from people import as_rows, held_out_people
from sklearn.ensemble import RandomForestClassifier

from ml_pipeline.apps.ml import bundles, compile
from ml_pipeline.apps.ml.bundles import Bundle
from ml_pipeline.apps.ml.signature import Signature
from train_income_classifier import CANDIDATES, TEST, build_pipeline, infer_signature, load


def income_forest(folder: Path, **more: Any) -> Bundle:
    """The reference forest, smaller: eight trees that saw 2,000 people."""
    frame, target = load(TEST)
    pipeline = build_pipeline(CANDIDATES[0], frame, seed=0, trees=8, select="all", max_depth=8)
    pipeline.fit(frame.head(2_000), target.head(2_000))
    return compiled(folder, pipeline, infer_signature(pipeline, frame), frame, algorithm="income-random-forest", **more)


def compiled(folder: Path, pipeline: Any, signature: Signature, frame: pd.DataFrame, **more: Any) -> Bundle:
    """The bundle of `pipeline` in ONNX; its sample is the first 50 rows of `frame`."""
    sample = signature.rows(as_rows(frame.head(50)))
    files = {
        bundles.ONNX_MODEL: compile.compiled(pipeline, signature),
        bundles.SAMPLE: json.dumps(sample).encode(),
    }
    manifest = {"name": "small", "algorithm": "pipeline", "runtime": "onnx", "signature": signature.to_json(), **more}
    return bundles.write_bundle(folder, manifest, files)


def flowers(folder: Path) -> Bundle:
    """A forest of three classes of numbers alone."""
    frame = held_out_people()[["age", "fnlwgt", "hours-per-week"]].astype(float)
    target = (frame["age"] // 20).clip(1, 3).map({1.0: "young", 2.0: "middle", 3.0: "old"})
    forest = RandomForestClassifier(5, max_depth=5, random_state=0).fit(frame.head(2_000), target.head(2_000))
    return compiled(folder, forest, infer_signature(forest, frame), frame)


def stump(given: str, told: str, *, at: float) -> Any:
    """The node of a tree that says 1 of rows whose first number is `at` or less, else 2."""
    return helper.make_node(
        "TreeEnsembleRegressor",
        [given],
        [told],
        domain="ai.onnx.ml",
        n_targets=1,
        nodes_treeids=[0, 0, 0],
        nodes_nodeids=[0, 1, 2],
        nodes_featureids=[0, 0, 0],
        nodes_modes=["BRANCH_LEQ", "LEAF", "LEAF"],
        nodes_values=[at, 0.0, 0.0],
        nodes_truenodeids=[1, 0, 0],
        nodes_falsenodeids=[2, 0, 0],
        target_treeids=[0, 0],
        target_nodeids=[1, 2],
        target_ids=[0, 0],
        target_weights=[1.0, 2.0],
    )
