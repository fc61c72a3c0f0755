"""Trains the three income classifiers on the Adult census data and writes a bundle for each.

    python research/train_income_classifier.py [--out research/artifacts] [--seed 0] [--only random_forest]

Each bundle holds `model.joblib` (a scikit-learn pipeline), `sample.csv`, `reference.csv` and `manifest.json`, and can
be registered with `backend/manage.py register`. Notebooks use the functions below.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import platform
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.impute import SimpleImputer
from sklearn.metrics import (
    accuracy_score,
    brier_score_loss,
    f1_score,
    log_loss,
    precision_score,
    recall_score,
    roc_auc_score,
)
from sklearn.model_selection import ParameterGrid, StratifiedKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder
from sklearn.tree import DecisionTreeClassifier

from ml_pipeline.apps.ml import bundles
from ml_pipeline.apps.ml.signature import Signature, inferred_feature

RESEARCH = Path(__file__).resolve().parent
TRAIN, TEST = RESEARCH / "data" / "adult_train.csv.gz", RESEARCH / "data" / "adult_test.csv.gz"
TARGET, POSITIVE = "income", ">50K"
FOLDS = 3
# The search ranks settings with a quarter of the trees: a cheaper stand-in for the forest it is for.
SEARCH_TREES, TREES = 32, 128
# Leaf votes in steps of 2**-16 add up exactly over 128 trees, even in float32 (24 bits); see `make_votes_exact`.
VOTE_STEPS = 2**16
SAMPLE_ROWS, REFERENCE_ROWS = 64, 5_000


@dataclass(frozen=True)
class Candidate:
    """One kind of classifier with the settings that its search tries; `select`: how many features it may keep."""

    name: str
    entry_point: str
    estimator: Callable[..., Any]
    grid: dict[str, list[Any]]


CANDIDATES = (
    Candidate(
        "random_forest",
        "income-random-forest",
        RandomForestClassifier,
        {"max_depth": [12, 16], "min_samples_leaf": [3], "select": [10, "all"]},
    ),
    Candidate(
        "extra_trees",
        "income-extra-trees",
        ExtraTreesClassifier,
        {
            "max_depth": [16, 20],
            "min_samples_leaf": [3],
            "max_features": [0.6],
            "select": [10, "all"],
        },
    ),
    Candidate(
        "decision_tree",
        "income-decision-tree",
        DecisionTreeClassifier,
        {"max_depth": [7, 8, 9, 10], "min_samples_leaf": [10, 30], "select": [10, "all"]},
    ),
)


def load(path: Path) -> tuple[pd.DataFrame, pd.Series]:
    """The features and the target of one part of the data; empty fields are missing."""
    frame = pd.read_csv(path)
    return frame.drop(columns=TARGET), frame[TARGET]


def build_pipeline(
    candidate: Candidate, frame: pd.DataFrame, *, seed: int, trees: int, select: int | str, **settings: Any
) -> Pipeline:
    """An unfitted pipeline: impute numbers, encode categories, keep the `select` most telling features, classify.

    `trees` is the size of a forest; a single tree has no use for it.

    Missing and unseen categories are encoded alike, as -1: a tree can split them off, and they never fail.
    """
    classifier = candidate.estimator(random_state=seed, **settings)
    if "n_estimators" in classifier.get_params():
        classifier.set_params(n_estimators=trees)
    numbers = [name for name in frame if pd.api.types.is_numeric_dtype(frame[name])]
    categories = [name for name in frame if name not in numbers]
    encoder = OrdinalEncoder(
        categories=[sorted(frame[name].dropna().unique()) for name in categories],
        handle_unknown="use_encoded_value",
        unknown_value=-1,
    )
    columns = ColumnTransformer(
        [("numbers", SimpleImputer(strategy="median"), numbers), ("categories", encoder, categories)]
    )
    return Pipeline(
        [
            ("columns", columns),
            ("select", SelectKBest(f_classif, k=select)),
            ("classifier", classifier),
        ]
    )


def fit(pipeline: Pipeline, frame: pd.DataFrame, target: pd.Series) -> Pipeline:
    """`pipeline`, fitted on all cores, with exact votes."""
    classifier = pipeline.named_steps["classifier"]
    if hasattr(classifier, "n_jobs"):
        classifier.n_jobs = -1
    pipeline.fit(frame, target)
    if hasattr(classifier, "n_jobs"):
        classifier.n_jobs = None
    make_votes_exact(classifier)
    return pipeline


def make_votes_exact(classifier: Any) -> None:
    """Rounds every leaf's votes of a fitted tree or forest of two classes to steps of 2**-16.

    A mean over a power of two of trees, at most 2**7, is then exact in float64 and in float32 (16 + 7 bits of 24), in
    whatever order it is added up. So a tie is a tie everywhere, and a compiled model gives the very same numbers.
    """
    for tree in getattr(classifier, "estimators_", [classifier]):
        votes = tree.tree_.value
        votes[:, 0, 0] = np.round(votes[:, 0, 0] * VOTE_STEPS) / VOTE_STEPS
        votes[:, 0, 1] = 1.0 - votes[:, 0, 0]


def search(
    candidate: Candidate, frame: pd.DataFrame, target: pd.Series, *, seed: int, advance: Callable[[], None]
) -> tuple[dict[str, Any], float]:
    """The settings with the best cross-validated accuracy, and that accuracy; `advance` is called after each fit."""
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    splits = list(folds.split(frame, target))
    best: tuple[dict[str, Any], float] = ({}, -1.0)
    for settings in ParameterGrid(candidate.grid):
        scores = []
        for train, test in splits:
            pipeline = build_pipeline(candidate, frame, seed=seed, trees=SEARCH_TREES, **settings)
            fit(pipeline, frame.iloc[train], target.iloc[train])
            scores.append(float((pipeline.predict(frame.iloc[test]) == target.iloc[test]).mean()))
            advance()
        if np.mean(scores) > best[1]:
            best = (settings, float(np.mean(scores)))
    return best


def evaluate(pipeline: Pipeline, frame: pd.DataFrame, target: pd.Series) -> dict[str, float]:
    """Metrics of `pipeline` on rows that it has not seen; the positive class is `>50K`."""
    truth = (target == POSITIVE).to_numpy()
    probability = pipeline.predict_proba(frame)[:, list(pipeline.classes_).index(POSITIVE)]
    answer = pipeline.predict(frame) == POSITIVE
    return {
        "accuracy": float(accuracy_score(truth, answer)),
        "error": float(1 - accuracy_score(truth, answer)),
        "precision": float(precision_score(truth, answer)),
        "recall": float(recall_score(truth, answer)),
        "f1": float(f1_score(truth, answer)),
        "roc_auc": float(roc_auc_score(truth, probability)),
        "log_loss": float(log_loss(truth, probability)),
        "brier": float(brier_score_loss(truth, probability)),
        "rows": len(frame),
    }


def infer_signature(pipeline: Pipeline, frame: pd.DataFrame) -> Signature:
    """The features of `frame`, all nullable since the pipeline imputes or encodes what is missing, and the classes."""
    cells = frame.astype(object).where(frame.notna(), None)
    return Signature(
        features=tuple(inferred_feature(str(name), cells[name].tolist(), nullable=True) for name in frame),
        task="classification",
        labels=tuple(str(label) for label in pipeline.classes_),
    )


def write_bundle(
    out: Path,
    candidate: Candidate,
    pipeline: Pipeline,
    about: dict[str, Any],
    test: tuple[pd.DataFrame, pd.Series],
    *,
    signature: Signature,
    seed: int,
) -> bundles.Bundle:
    """The bundle of a fitted pipeline at `out/<name>`: model, sample, reference rows with their labels, manifest."""
    frame, target = test
    model = io.BytesIO()
    joblib.dump(pipeline, model, compress=3)
    reference = frame.assign(**{TARGET: target}).sample(REFERENCE_ROWS, random_state=seed)
    manifest = {
        "name": candidate.name,
        "algorithm": candidate.entry_point,
        "signature": signature.to_json(),
        "label_column": TARGET,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "git_commit": git_commit(),
        "data": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (TRAIN, TEST)},
        "libraries": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("scikit-learn", "numpy", "pandas", "joblib")},
        },
        "seed": seed,
        **about,
    }
    files = {
        bundles.JOBLIB_MODEL: model.getvalue(),
        bundles.SAMPLE_CSV: reference.drop(columns=TARGET).head(SAMPLE_ROWS).to_csv(index=False).encode(),
        bundles.REFERENCE_CSV: reference.to_csv(index=False).encode(),
    }
    return bundles.write_bundle(out / candidate.name, manifest, files)


def git_commit() -> str | None:
    """The commit that is checked out here, or None where there is no git or no repository."""
    try:
        answer = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=RESEARCH, capture_output=True, text=True, check=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()


def train(
    out: Path, *, seed: int, candidates: tuple[Candidate, ...] = CANDIDATES, console: Console | None = None
) -> None:
    """A bundle for each of `candidates` under `out`, with a progress bar and one line of results each."""
    console = console or Console()
    frame, target = load(TRAIN)
    test = load(TEST)
    columns = (TextColumn("{task.description:<14}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        for candidate in candidates:
            task = progress.add_task(candidate.name, total=len(ParameterGrid(candidate.grid)) * FOLDS + 1)
            settings, score = search(candidate, frame, target, seed=seed, advance=partial(progress.advance, task))
            pipeline = fit(build_pipeline(candidate, frame, seed=seed, trees=TREES, **settings), frame, target)
            metrics = evaluate(pipeline, *test)
            size = {"trees": TREES} if hasattr(pipeline.named_steps["classifier"], "estimators_") else {}
            about = {"metrics": metrics, "settings": settings | size, "cross_validated_accuracy": score}
            signature = infer_signature(pipeline, frame)
            bundle = write_bundle(out, candidate, pipeline, about, test, signature=signature, seed=seed)
            progress.advance(task)
            progress.console.print(
                f"{candidate.name}: error {metrics['error']:.2%} on {metrics['rows']:,} test rows, "
                f"ROC AUC {metrics['roc_auc']:.3f}, {settings} -> {bundle.folder.name}/"
            )


def main() -> int:
    """The command line: 0 when every bundle is written."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=RESEARCH / "artifacts", help="folder for the bundles")
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same predictions")
    names = [candidate.name for candidate in CANDIDATES]
    parser.add_argument("--only", choices=names, action="append", help="train only this one; may be repeated")
    arguments = parser.parse_args()
    chosen = tuple(one for one in CANDIDATES if not arguments.only or one.name in arguments.only)
    train(arguments.out, seed=arguments.seed, candidates=chosen)
    return 0


if __name__ == "__main__":
    sys.exit(main())
