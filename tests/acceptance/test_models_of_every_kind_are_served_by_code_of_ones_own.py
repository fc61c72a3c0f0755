"""Code of one's own: a class by entry point with a rule in Python, and a step in a joblib that a trusted key signed."""

from __future__ import annotations

import base64
import io
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import skops.io
import zoo
from homes import REPOSITORY
from own_steps import Rounded
from servers import Server
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from zoo import Kind

HEAT = '''
"""Warns of heat."""

import json

import numpy as np

from ml_pipeline.apps.ml.algorithm import Algorithm


class HeatRule(Algorithm):
    """A rule with its limits in a file."""

    description = "Warns of heat by a rule."

    def predict(self, columns):
        limits = json.loads(self.runtime.files["limits.json"])
        felt = columns["celsius"] + limits["per_humidity"] * np.nan_to_num(columns["humidity"])
        hot = np.where(columns["place"] == "indoors", felt > limits["indoors"], felt > limits["outdoors"])
        return np.stack([1.0 - hot, hot], axis=1).astype(float)
'''
HEAT_SIGNATURE = {
    "features": [
        {"name": "celsius", "type": "number"},
        {"name": "humidity", "type": "number", "nullable": True},
        {"name": "place", "type": "string"},
    ],
    "task": "classification",
    "labels": ["fine", "hot"],
}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an installed package of a class of one's own."""
    folder = tmp_path_factory.mktemp("installed")
    (folder / "heat.py").write_text(HEAT)
    about = folder / "heat-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: heat\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[ml_pipeline.algorithms]\nheat-rule = heat:HeatRule\n")
    return folder


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two Ed25519 keys of openssl's: `trusted.pem` and `stranger.pem`."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("trusted", "stranger"):
        openssl("genpkey", "-algorithm", "ed25519", "-out", str(folder / f"{name}.pem"))
    return folder


def openssl(*arguments: str) -> bytes:
    return subprocess.run(["openssl", *arguments], check=True, capture_output=True).stdout


def public(key: Path) -> str:
    return base64.b64encode(openssl("pkey", "-in", str(key), "-pubout", "-outform", "DER")[-32:]).decode()


def signed(key: Path, content: bytes, folder: Path) -> bytes:
    (folder / "manifest.json").write_bytes(content)
    return openssl("pkeyutl", "-sign", "-inkey", str(key), "-rawin", "-in", str(folder / "manifest.json"))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("own") / "home"


@pytest.fixture(scope="module")
def search(installed: Path) -> str:
    tests = REPOSITORY / "tests"
    return os.pathsep.join([str(installed), str(tests), str(tests / "acceptance")])


@pytest.fixture(scope="module")
def server(home: Path, search: str, keys: Path) -> Iterator[Server]:
    trusted = public(keys / "trusted.pem")
    with zoo.serving(home, "asgi", PYTHONPATH=search, ML_PIPELINE_TRUSTED_KEYS=trusted) as running:
        yield running


@pytest.fixture
def noticed(tmp_path: Path) -> Path:
    """The file that appears when the pipeline is deserialised."""
    return tmp_path / "noticed"


@pytest.fixture
def frame() -> pd.DataFrame:
    numbers = np.random.default_rng(0).normal(0, 3, size=(100, 2))
    return pd.DataFrame(numbers, columns=["x", "y"])


@pytest.fixture
def pipeline(frame: pd.DataFrame, noticed: Path) -> Any:
    words = np.where(frame.x + frame.y > 0, "plus", "minus")
    return make_pipeline(Rounded(str(noticed)), LogisticRegression()).fit(frame, words)


@pytest.fixture
def files(pipeline: Any, frame: pd.DataFrame) -> dict[str, bytes]:
    """The files of a bundle with a joblib."""
    model = io.BytesIO()
    joblib.dump(pipeline, model)
    return {"model.joblib": model.getvalue(), "sample.csv": frame.to_csv(index=False).encode()}


def kind_of(pipeline: Any, frame: pd.DataFrame, name: str, artifact: bytes) -> Kind:
    return Kind(name, artifact, "zip", frame, (list(pipeline.predict(frame)), pipeline.predict_proba(frame)))


def assert_refused(server: Server, kind: Kind, noticed: Path, *said: str) -> None:
    reply = zoo.upload(server, kind)
    assert reply.status_code == 422, reply.text
    for words in said:
        assert words in reply.json()["error"]["message"]
    assert not noticed.exists()


def test_a_class_with_a_rule_and_a_file_of_its_own_answers(server: Server) -> None:
    artifact = zoo.zipped(
        {"algorithm": "heat-rule", "signature": HEAT_SIGNATURE},
        {"limits.json": b'{"per_humidity": 0.1, "indoors": 28, "outdoors": 35}'},
    )
    asked = pd.DataFrame(
        {
            "celsius": [20.0, 27.0, 27.0, 33.0, 36.0],
            "humidity": [10.0, 30.0, 30.0, None, None],
            "place": ["indoors", "indoors", "outdoors", "outdoors", "outdoors"],
        }
    )
    hot = np.array([0.0, 1.0, 0.0, 0.0, 1.0])
    truth = [("fine", "hot")[int(one)] for one in hot], np.stack([1 - hot, hot], axis=1)
    kind = Kind("heat", artifact, "zip", asked, truth)
    reply = zoo.upload(server, kind)
    assert reply.status_code == 201, reply.text
    record = reply.json()
    assert (record["runtime"], record["runtime_reason"]) == ("python", "its class predicts in Python")
    assert record["description"] == "Warns of heat by a rule."
    assert "per_humidity" in record["code"]
    zoo.assert_serves(server, kind)


def test_a_step_of_ones_own_in_a_skops_file_is_named_with_the_ways_out(
    server: Server, pipeline: Any, frame: pd.DataFrame, noticed: Path
) -> None:
    kind = Kind("step", skops.io.dumps(pipeline), "skops", frame, None, sample=frame)
    assert_refused(server, kind, noticed, "own_steps.Rounded", "ONNX", "entry point", "sign it with a trusted key")


def test_a_joblib_that_a_trusted_key_signed_is_served_until_the_key_is_removed(
    server: Server,
    home: Path,
    search: str,
    keys: Path,
    pipeline: Any,
    frame: pd.DataFrame,
    files: dict[str, bytes],
    noticed: Path,
    tmp_path: Path,
) -> None:
    signature = signed(keys / "trusted.pem", zoo.document({}, files), tmp_path)
    kind = kind_of(pipeline, frame, "signed", zoo.zipped({}, files, **{"manifest.sig": signature}))
    reply = zoo.upload(server, kind)
    assert reply.status_code == 201, reply.text
    assert reply.json()["runtime"] == "sklearn"
    assert reply.json()["runtime_reason"].startswith("ONNX is not possible")
    zoo.assert_serves(server, kind)
    assert noticed.exists()

    noticed.unlink()
    with zoo.serving(home, "asgi", PYTHONPATH=search) as without, without.client("predict") as client:
        asked = zoo.QUESTION | {"algorithm": kind.name}
        refused = client.post(f"/api/v1/{zoo.ENDPOINT}/predict", params=asked, json={"x": 1.0, "y": 2.0})
    assert refused.status_code == 503, refused.text
    assert not noticed.exists()


def test_a_joblib_that_a_stranger_signed_is_refused_unread(
    server: Server,
    keys: Path,
    pipeline: Any,
    frame: pd.DataFrame,
    files: dict[str, bytes],
    noticed: Path,
    tmp_path: Path,
) -> None:
    signature = signed(keys / "stranger.pem", zoo.document({}, files), tmp_path)
    kind = kind_of(pipeline, frame, "stranger", zoo.zipped({}, files, **{"manifest.sig": signature}))
    assert_refused(server, kind, noticed, "nobody vouches for this one", "the operator trusts")


def test_a_signed_manifest_that_was_altered_is_refused_unread(
    server: Server,
    keys: Path,
    pipeline: Any,
    frame: pd.DataFrame,
    files: dict[str, bytes],
    noticed: Path,
    tmp_path: Path,
) -> None:
    signature = signed(keys / "trusted.pem", zoo.document({}, files), tmp_path)
    altered = zoo.zipped({"description": "better"}, files, **{"manifest.sig": signature})
    assert_refused(server, kind_of(pipeline, frame, "manifest", altered), noticed, "nobody vouches for this one")


def test_a_model_other_than_the_signed_one_is_refused_unread(
    server: Server,
    keys: Path,
    pipeline: Any,
    frame: pd.DataFrame,
    files: dict[str, bytes],
    noticed: Path,
    tmp_path: Path,
) -> None:
    signature = signed(keys / "trusted.pem", zoo.document({}, files), tmp_path)
    longer = files["model.joblib"] + b" "
    altered = zoo.zipped({}, files, **{"manifest.sig": signature, "model.joblib": longer})
    assert_refused(server, kind_of(pipeline, frame, "model", altered), noticed, "its sha256 differs")
    swapped = zoo.zipped({}, files | {"model.joblib": longer}, **{"manifest.sig": signature})
    assert_refused(server, kind_of(pipeline, frame, "swapped", swapped), noticed, "nobody vouches for this one")
