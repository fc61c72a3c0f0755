"""The Adult data end to end: rows go through the log and the windows; what was moved is found and named, no more."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pandas as pd
import pytest
from asked import Asker
from homes import REPOSITORY
from people import as_rows
from registered import algorithm
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder
from sklearn.tree import DecisionTreeClassifier
from traffic import HOUR, NOON, Log, entry, folded, tell

from ml_pipeline.apps.events.models import Event
from ml_pipeline.apps.jobs import jobs, leases
from ml_pipeline.apps.ml import profile
from ml_pipeline.apps.ml.algorithm import Algorithm
from ml_pipeline.apps.ml.runtimes.sklearn import SklearnRuntime
from ml_pipeline.apps.ml.signature import Signature, inferred_feature
from ml_pipeline.apps.monitoring import drift_windows
from ml_pipeline.apps.monitoring.apps import DRIFT

pytestmark = pytest.mark.django_db
LABELS = ("<=50K", ">50K")
ROWS = 2_000


@pytest.fixture(scope="module")
def tree() -> tuple[Algorithm, dict[str, Any], pd.DataFrame]:
    """A tree, its profile by 5,000 people of the test part, and the others of that."""
    data = [pd.read_csv(REPOSITORY / "research" / "data" / f"adult_{part}.csv.gz") for part in ("train", "test")]
    (train, target), (test, truth) = ((frame.drop(columns="income"), frame["income"]) for frame in data)
    texts = [name for name in train if not pd.api.types.is_numeric_dtype(train[name])]
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-1)
    columns = ColumnTransformer([("texts", encoder, texts)], remainder="passthrough")
    pipeline = make_pipeline(columns, DecisionTreeClassifier(min_samples_leaf=50, random_state=0)).fit(train, target)
    order = test.sample(frac=1.0, random_state=0).index
    known, rest = order[:5_000], order[5_000:]
    rows = as_rows(test.loc[known])
    features = tuple(inferred_feature(name, [row[name] for row in rows], nullable=True) for name in test)
    signature = Signature(features, "classification", LABELS)
    answers = Algorithm(signature, SklearnRuntime(pipeline, signature))
    about = profile.profiled(
        signature, signature.columns(rows), answers.compute_prediction(rows), truth.loc[known].tolist()
    )
    return answers, about, test.loc[rest].assign(income=truth.loc[rest])


def test_what_was_moved_is_found_in_the_first_window(
    tree: tuple[Algorithm, dict[str, Any], pd.DataFrame],
) -> None:
    answers, about, people = tree
    by = algorithm("1", "income", signature=answers.signature.to_json(), reference_profile=about)
    draw, log = random.Random(1), None
    log = Log(draw)

    def older(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(age=frame["age"] + 5)

    def busier(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(**{"hours-per-week": (frame["hours-per-week"] * 1.1).round()})

    def incomplete(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(education=frame["education"].mask(pd.Series(range(len(frame)), frame.index) % 20 < 3))

    for hour, changed in enumerate((None, older, None, busier, incomplete)):
        frame = people.iloc[hour * ROWS : (hour + 1) * ROWS]
        rows = as_rows((changed(frame) if changed else frame).drop(columns="income"))
        given = zip(rows, answers.compute_prediction(rows), strict=True)
        moments = [NOON + hour * HOUR + at * timedelta(seconds=1) for at in range(len(rows))]
        entries = [entry(draw, by, at, row, one) for at, (row, one) in zip(moments, given, strict=True)]
        log.commit(entries, moments[-1])
        tell(list(zip(entries, frame["income"].tolist(), strict=True))[::2])
    folded()
    jobs.stand([DRIFT])
    lease = leases.claim([DRIFT], "tests")
    assert lease is not None
    drift_windows.work(lease)

    asker = Asker()
    tests = asker.get("endpoints/income/drift")["tests"][::-1]
    named = [
        [one["name"] for one in (*test["result"]["features"], test["result"]["score"]) if one["is_drifted"]]
        for test in tests
    ]
    assert named == [[], ["age"], [], ["hours-per-week"], ["education"]]
    assert [test["rows"] for test in tests] == [ROWS] * 5
    events = Event.objects.filter(action="drift.found").order_by("pk")
    assert [one.details["drifted"][0]["name"] for one in events] == ["age", "hours-per-week", "education"]
    # The estimate is that of the answers whose outcome is known, as well as of the others.
    (found,) = asker.get("endpoints/income/metrics", from_="2026-03-04", to="2026-03-05", slices="sex,race")[
        "algorithms"
    ]
    accuracy, estimate = found["performance"]["accuracy"], found["estimate"]["accuracy"]
    assert abs(accuracy["value"] - estimate["value"]) < 0.02
    sex, race = found["slices"]
    assert {one["value"] for one in sex["slices"]} == {"Male", "Female"}
    gap = sex["largest_gap"]
    # Fewer women earn more than 50K, so that less can go wrong.
    assert (gap["value"], gap["is_beyond_chance"]) == ("Male", True)
    assert gap["difference"]["low"] < gap["difference"]["value"] < gap["difference"]["high"] < 0
    assert race["comparisons"] == 5
    assert found["detector"]["labelled"] == 5 * ROWS // 2
