"""What is asked of a server, and whether its replies are right: rows of the Adult data, judged by scikit-learn."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import joblib
import pandas as pd

from benchmarks.data_plane.errors import RunFailed

DATA = Path(__file__).resolve().parents[2] / "research" / "data" / "adult_test.csv.gz"
TOLERANCE = 1e-5
# Enough for a batching server to make batches of what is checked.
AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Ask:
    """One request, and what a right reply to it holds; no label where only the status counts."""

    method: str
    path: str
    body: str
    label: str | None = None
    probability: float = 0.0

    def at(self, path: str) -> Ask:
        """The same at another path."""
        return replace(self, path=path)


def rows(model: Path, count: int) -> list[Ask]:
    """`count` different rows that no model was trained on, with the label and probability that `model.joblib` gives."""
    frame = pd.read_csv(DATA).drop(columns="income").drop_duplicates().sample(count, random_state=0)
    pipeline = joblib.load(model / "model.joblib")
    probabilities = pipeline.predict_proba(frame)[:, 1].tolist()
    labels = pipeline.predict(frame).tolist()
    cells = frame.astype(object).where(frame.notna(), None).to_dict(orient="records")
    bodies = [json.dumps(row, default=int) for row in cells]
    return [Ask("POST", "/", *known) for known in zip(bodies, labels, probabilities, strict=True)]


def check(url: str, headers: dict[str, str], asks: Sequence[Ask]) -> None:
    """Returns when the reply to each of `asks` is right, several asked at once. Raises RunFailed for a wrong one."""
    with httpx.Client(base_url=url, headers=headers, timeout=60) as client, ThreadPoolExecutor(AT_ONCE) as pool:
        for complaint in pool.map(lambda ask: _complaint(client, ask), asks):
            if complaint:
                raise RunFailed(complaint)


def _complaint(client: httpx.Client, ask: Ask) -> str | None:
    reply = client.request(ask.method, ask.path, content=ask.body)
    if reply.status_code != 200:
        return f"{ask.method} {ask.path}: {reply.status_code} {reply.text[:300]}"
    if ask.label is None:
        return None
    answer = reply.json()
    if answer["label"] == ask.label and abs(answer["probability"] - ask.probability) <= TOLERANCE:
        return None
    return f"{ask.path} answered {reply.text[:300]}; scikit-learn says {ask.label}, {ask.probability}, to {ask.body}"
