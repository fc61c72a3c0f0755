"""The guide to a model of one's own: its script trains, its commands register, and the model answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import guides
from homes import Home
from servers import Server
from sklearn.datasets import load_wine


def test_a_model_of_ones_own_is_trained_registered_and_served(
    tmp_path: Path, bundles: Path, home: Home, start: Callable[..., Server]
) -> None:
    heading = "A model of your own"
    script = guides.blocks("docs/training.md", heading, "python")[0]
    folder = guides.clone(tmp_path / "clone", bundles)
    (folder / "train_wine.py").write_text(script)
    commands = "\n".join(guides.blocks("docs/training.md", heading, "bash"))
    printed = guides.run(commands, folder, ML_PIPELINE_HOME=str(home.folder))
    assert "served by onnx" in printed

    wine = load_wine(as_frame=True)
    with start().client("predict") as client:
        row = wine.data.iloc[0].to_dict()
        reply = client.post("/api/v1/wine/predict", params={"version": "0.0.1"}, json=row)
    assert reply.status_code == 200, reply.text
    assert reply.json()["label"] == wine.target_names[wine.target[0]]
    assert reply.json()["algorithm"] == "logistic_regression"
