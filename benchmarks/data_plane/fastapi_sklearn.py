"""FastAPI + scikit-learn, without a log: the pipeline as it was trained, one row a call.

Two ways to write the same handler; the benchmark tries each first and measures the faster one.
"""

from __future__ import annotations

import os
from pathlib import Path

import joblib
import pandas as pd
from fastapi import FastAPI

from benchmarks.data_plane.person import Answer, Person

# Made by the benchmark itself a moment ago.
pipeline = joblib.load(Path(os.environ["BENCH_MODEL"]) / "model.joblib")
app = FastAPI()


def answer(person: Person) -> Answer:
    """The label and the probability of the second label."""
    frame = pd.DataFrame([person.model_dump(by_alias=True)])
    low, high = pipeline.predict_proba(frame)[0].tolist()
    return Answer(label=pipeline.classes_[int(high > low)], probability=high)


@app.post("/predict")
async def predict(person: Person) -> Answer:
    """In the event loop."""
    return answer(person)


@app.post("/predict-in-thread")
def predict_in_thread(person: Person) -> Answer:
    """In FastAPI's threads."""
    return answer(person)
