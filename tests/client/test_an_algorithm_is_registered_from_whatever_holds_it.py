"""`Client.register`: objects, files and bundles; the same again; other content; what cannot be sent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pandas as pd
import pytest
import signs
from homes import Home
from servers import Server, wait_until
from signs import FRAME, LABELS, ROW
from sklearn.linear_model import LogisticRegression
from strangers import stranger

from ml_pipeline.client import Client
from ml_pipeline.errors import InvalidArtifact, InvalidInput, Refused


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return signs.written(tmp_path_factory.mktemp("signs"))


@pytest.fixture(scope="module")
def one(module_home: Home) -> Iterator[Client]:
    """A client behind one door alone: each registration takes seconds, and how it is sent depends on no door."""
    server = Server("asgi", module_home, {}).start()
    with Client(server.url, module_home.keys["admin"]) as client:
        yield client
    server.stop()


@pytest.fixture
def endpoint() -> str:
    """A name of the test's own: the server is the module's."""
    return f"e{uuid4().hex}"


def answer(client: Client, endpoint: str, version: str = "1") -> Any:
    reply = None

    def asked() -> bool:
        nonlocal reply
        try:
            reply = client.predict(endpoint, ROW, version=version)
        except Refused:
            return False
        return True

    wait_until(asked)
    return reply


def test_a_fitted_pipeline_and_its_frame_are_enough(client: Client, endpoint: str) -> None:
    model = signs.pipeline()
    record = client.register(
        endpoint,
        "signs",
        "1",
        model,
        reference=FRAME.assign(sign=LABELS),
        label_column="sign",
        description="the sign of a sum",
        owner="ann",
        metrics={"accuracy": np.float32(0.5), "rows": np.int64(40)},
        tags={"team": "numbers"},
        labels=["less", "more"],
    )
    assert record["created"] is True
    assert (record["endpoint"], record["name"], record["version"]) == (endpoint, "signs", "1")
    assert (record["description"], record["owner"], record["tags"]) == ("the sign of a sum", "ann", {"team": "numbers"})
    assert record["metrics"]["accuracy"] == 0.5
    assert record["signature"]["labels"] == ["less", "more"]
    assert client.algorithms(endpoint, status="testing")[0]["id"] == record["id"]
    reply = answer(client, endpoint)
    assert reply["label"] == "more"
    assert reply["probability"] == pytest.approx(model.predict_proba(pd.DataFrame([ROW]))[0, 1], abs=1e-5)


def test_a_file_and_its_bytes_are_the_same_and_other_content_is_refused(
    one: Client, files: dict[str, Path], endpoint: str
) -> None:
    first = one.register(endpoint, "signs", "1", files["m.skops"], sample=files["rows.csv"])
    again = one.register(endpoint, "signs", "1", ("any.SKOPS", files["m.skops"].read_bytes()), sample=FRAME)
    assert (first["created"], again["created"], first["id"]) == (True, False, again["id"])
    other = LogisticRegression().fit(FRAME, LABELS)
    with pytest.raises(Refused, match="other content") as caught:
        one.register(endpoint, "signs", "1", other, sample=FRAME)
    assert (caught.value.status, caught.value.code) == (409, "conflict")


def test_an_onnx_model_and_its_file_are_the_same(one: Client, files: dict[str, Path], endpoint: str) -> None:
    about: dict[str, Any] = {"sample": FRAME, "labels": ["minus", "plus"], "output": {"name": "probabilities"}}
    assert one.register(endpoint, "signs", "1", signs.graph(), **about)["created"]
    assert not one.register(endpoint, "signs", "1", str(files["m.onnx"]), **about)["created"]
    assert answer(one, endpoint)["label"] == "plus"


def test_the_folder_of_a_bundle_and_its_zip_are_the_same(one: Client, files: dict[str, Path], endpoint: str) -> None:
    (files["bundle"] / ".hidden").write_text("a desktop's file")
    assert one.register(endpoint, "signs", "1", files["bundle"])["created"]
    assert not one.register(endpoint, "signs", "1", files["m.zip"])["created"]
    assert answer(one, endpoint)["label"] == "plus"


def test_a_folder_gives_the_same_bytes_every_time(files: dict[str, Path]) -> None:
    bodies = []
    for _ in range(2):
        with stranger(200, b"{}", Content_Type="application/json") as server, Client(server.url) as client:
            client.register("e", "n", "1", files["bundle"])
            boundary = server.asked[0][2]["Content-Type"].partition("boundary=")[2].encode()
            bodies.append(server.bodies[0].replace(boundary, b""))
        for path in files["bundle"].iterdir():
            path.touch()
    assert bodies[0] == bodies[1]
    assert b"manifest.json" in bodies[0]


def test_what_the_server_refuses_is_told(one: Client, endpoint: str) -> None:
    for more in ({"sample": FRAME[["x"]]}, {"sample": FRAME, "metadata": {"colour": "red"}}):
        with pytest.raises(Refused) as caught:
            one.register(endpoint, "signs", "1", signs.pipeline(), **more)
        assert caught.value.code == "invalid_artifact"
    with pytest.raises(Refused) as caught:
        one.register("No Name", "signs", "1", signs.pipeline(), sample=FRAME)
    assert caught.value.code == "invalid_input"
    assert one.algorithms(endpoint) == []


class Stubborn(LogisticRegression):
    """A model that cannot be taken apart."""

    def __getstate__(self) -> Any:
        raise RuntimeError("no")


def test_what_cannot_be_sent_is_named_and_nothing_is_sent(tmp_path: Path, files: dict[str, Path]) -> None:
    (tmp_path / "m.joblib").write_bytes(b"a program")
    bad: list[tuple[Any, str]] = [
        (tmp_path / "m.joblib", r"none of \.onnx, \.skops, \.zip"),
        (tmp_path / "absent.onnx", "cannot be read"),
        (tmp_path, "no manifest.json"),
        (("m.pkl", b""), "none of"),
        (7, "int is none of these"),
        (Stubborn(), "cannot be dumped by skops: RuntimeError: no"),
    ]
    with stranger(200, b"{}", Content_Type="application/json") as server, Client(server.url) as client:
        for artifact, told in bad:
            with pytest.raises(InvalidArtifact, match=told):
                client.register("e", "n", "1", artifact)
        with pytest.raises(InvalidArtifact, match=r"none of \.csv, \.parquet"):
            client.register("e", "n", "1", files["m.onnx"], sample=files["m.onnx"])
        with pytest.raises(InvalidInput, match="a DataFrame"):
            client.register("e", "n", "1", files["m.onnx"], sample=[ROW])
        with pytest.raises(InvalidInput, match="metadata"):
            client.register("e", "n", "1", files["m.onnx"], metrics={"accuracy": float("nan")})
        assert server.asked == []
