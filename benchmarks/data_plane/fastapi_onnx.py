"""FastAPI + ONNX Runtime, without a log: the very model file that the product serves, one row a call.

Three ways to write the same handler; the benchmark tries each first and measures the fastest.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import onnxruntime
from fastapi import FastAPI
from fastapi.responses import JSONResponse

from benchmarks.data_plane.person import Answer, Person

MODEL = Path(os.environ["BENCH_MODEL"])
LABELS = json.loads((MODEL / "manifest.json").read_text())["signature"]["labels"]

options = onnxruntime.SessionOptions()
# One core: more threads would only wait for each other.
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(MODEL / "model.onnx", options, providers=["CPUExecutionProvider"])
app = FastAPI()


def answer(person: Person) -> tuple[str, float]:
    """The label and the probability of the second label. Missing numbers are NaN, missing strings empty."""
    feeds = {}
    for name, value in person:
        if isinstance(value, str):
            feeds[name] = np.array([[value]], dtype=object)
        elif value is not None:
            feeds[name] = np.array([[value]], dtype=np.float32)
        else:
            is_text = Person.model_fields[name].annotation == (str | None)
            feeds[name] = np.array([[""]], dtype=object) if is_text else np.array([[np.nan]], dtype=np.float32)
    low, high = session.run(["probabilities"], feeds)[0][0].tolist()
    return LABELS[high > low], high


@app.post("/predict")
async def predict(person: Person) -> Answer:
    """In the event loop."""
    label, probability = answer(person)
    return Answer(label=label, probability=probability)


@app.post("/predict-plain")
async def predict_plain(person: Person) -> JSONResponse:
    """In the event loop, the response made by hand."""
    label, probability = answer(person)
    return JSONResponse({"label": label, "probability": probability})


@app.post("/predict-in-thread")
def predict_in_thread(person: Person) -> Answer:
    """In FastAPI's threads."""
    label, probability = answer(person)
    return Answer(label=label, probability=probability)
