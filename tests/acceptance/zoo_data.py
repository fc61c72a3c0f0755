"""Data for models of every kind: people, wines, patients, sentences and measurements."""

from __future__ import annotations

import numpy as np
import pandas as pd
from homes import REPOSITORY
from people import held_out_people
from sklearn.datasets import load_diabetes, load_wine

ASKED = 60


def people() -> tuple[pd.DataFrame, pd.Series]:
    """2,000 rows of the Adult data for fitting, and their income; missing is NaN."""
    frame = pd.read_csv(REPOSITORY / "research" / "data" / "adult_train.csv.gz", nrows=2_000)
    return frame.drop(columns="income"), frame["income"]


def asked_people() -> pd.DataFrame:
    """People to ask about, a tenth of their cells missing."""
    frame = held_out_people().head(ASKED).copy()
    random = np.random.default_rng(0)
    for name in frame.select_dtypes(exclude="number"):
        frame.loc[random.random(len(frame)) < 0.1, name] = np.nan
    return frame


def as_categories(frame: pd.DataFrame, like: pd.DataFrame | None = None) -> pd.DataFrame:
    """`frame` with its texts as pandas categories: its own, or those of `like`."""
    like = frame if like is None else like
    texts = like.select_dtypes(exclude="number").columns
    return frame.assign(**{name: frame[name].astype(like[name].astype("category").dtype) for name in texts})


def wines() -> tuple[pd.DataFrame, np.ndarray]:
    """All wines, and which of three cultivars each is."""
    wine = load_wine(as_frame=True)
    return wine.data, wine.target.to_numpy()


def patients() -> tuple[pd.DataFrame, np.ndarray]:
    """All diabetes patients, and how far each one's disease went."""
    data = load_diabetes(as_frame=True)
    return data.data, data.target.to_numpy()


def sentences() -> tuple[pd.Series, np.ndarray]:
    """200 made-up reviews, and whether each is good."""
    random = np.random.default_rng(0)
    good, bad = ("fine", "great", "lovely", "works well"), ("awful", "broken", "slow", "never again")
    rest = ("the printer", "this phone", "a chair", "my order", "its colour", "delivery", "today", "I think")
    is_good = random.random(200) < 0.5
    texts = [" ".join([*random.choice(rest, 4), *random.choice(good if one else bad, 2)]) for one in is_good]
    return pd.Series(texts, name="text"), np.where(is_good, "good", "bad")


def mixed() -> tuple[pd.DataFrame, np.ndarray]:
    """300 rows of a truth value, an integer, a number and a text, and a word for each."""
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "is_member": random.random(300) < 0.5,
            "visits": random.integers(0, 20, 300),
            "spent": random.gamma(2.0, 20.0, 300).round(2),
            "city": random.choice(["Oslo", "Lima", "Kyoto"], 300),
        }
    )
    score = frame.is_member * 2 + frame.visits / 10 + frame.spent / 50 - (frame.city == "Lima")
    return frame, np.where(score > 2, "stays", "leaves")
