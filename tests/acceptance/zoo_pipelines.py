"""Pipelines of every kind that scikit-learn has, fitted: each as it is uploaded, and what it answers by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, make_column_selector, make_column_transformer
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    StackingClassifier,
)
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.gaussian_process.kernels import RBF, ConstantKernel
from sklearn.linear_model import LogisticRegression, Ridge, TweedieRegressor
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV, TunedThresholdClassifierCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, PolynomialFeatures, SplineTransformer, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from zoo import Kind, of_pipeline
from zoo_data import ASKED, as_categories, asked_people, mixed, patients, people, sentences, wines


def regressions() -> list[Kind]:
    frame, target = patients()
    asked = frame.tail(ASKED)
    models = {
        "ridge": make_pipeline(StandardScaler(), Ridge()),
        "gradient_boosting_regressor": GradientBoostingRegressor(n_estimators=10, random_state=0),
        "hist_regressor": HistGradientBoostingRegressor(max_iter=10, random_state=0),
        "polynomial": make_pipeline(PolynomialFeatures(2), Ridge()),
    }
    return [of_pipeline(name, model.fit(frame, target), asked) for name, model in models.items()]


def classifiers() -> list[Kind]:
    frame, target = wines()
    asked = frame.iloc[:: len(frame) // ASKED]
    words = np.array(["barolo", "grignolino", "barbera"])[target]
    models: dict[str, Any] = {
        "logistic": make_pipeline(StandardScaler(), LogisticRegression()),
        "neighbours": make_pipeline(StandardScaler(), KNeighborsClassifier()),
        "bayes": GaussianNB(),
        "perceptron": make_pipeline(StandardScaler(), MLPClassifier((8,), max_iter=300, random_state=0)),
        "svc": make_pipeline(StandardScaler(), CalibratedClassifierCV(SVC(), ensemble=False)),
        "calibrated": make_pipeline(StandardScaler(), CalibratedClassifierCV(LogisticRegression(), cv=3)),
        "stacking": StackingClassifier(
            [("tree", DecisionTreeClassifier(max_depth=3, random_state=0)), ("neighbours", KNeighborsClassifier())],
            make_pipeline(StandardScaler(), LogisticRegression()),
            cv=3,
        ),
        "components": make_pipeline(StandardScaler(), PCA(5), PolynomialFeatures(2), LogisticRegression(C=0.1)),
        "scaled_forest": make_pipeline(StandardScaler(), RandomForestClassifier(20, random_state=0)),
    }
    kinds = [of_pipeline(name, model.fit(frame, words), asked) for name, model in models.items()]
    svc = make_pipeline(StandardScaler(), SVC(probability=True, random_state=0)).fit(frame, words)
    kinds.append(of_pipeline("svc_probability", svc, asked))
    steps = lambda: make_pipeline(StandardScaler(), LogisticRegression())  # noqa: E731
    kinds += [
        of_pipeline("integer_labels", steps().fit(frame, target), asked),
        of_pipeline("float_labels", steps().fit(frame, target.astype(float)), asked),
        of_pipeline("renamed_labels", steps().fit(frame, target), asked, labels=["barolo", "grignolino", "barbera"]),
        of_pipeline("truth_labels", steps().fit(frame, target == 0), asked),
        of_pipeline("no_names", steps().fit(frame.to_numpy(), words), asked, asked.to_numpy()),
        of_pipeline("bare_no_names", GaussianNB().fit(frame.to_numpy(), words), asked, asked.to_numpy()),
    ]
    return kinds


def named_apart() -> list[Kind]:
    """Classifiers that do not call the most probable class: close decisions, some of which fall on either side."""
    frame, target = wines()
    frame = frame[["alcohol", "hue"]]
    words = np.array(["barolo", "grignolino", "barbera"])[target]
    is_barolo = np.where(target == 0, "yes", "no")
    # Of the rows that are asked none shows that the two may differ.
    agreed = make_pipeline(StandardScaler(), SVC(probability=True, random_state=0)).fit(frame, is_barolo)
    asked = frame[agreed.predict(frame) == agreed.classes_[agreed.predict_proba(frame).argmax(axis=1)]]
    several = make_pipeline(StandardScaler(), SVC(probability=True, random_state=0)).fit(frame, words)
    threshold = FixedThresholdClassifier(LogisticRegression(), threshold=0.2, pos_label="yes").fit(frame, is_barolo)
    tuned = TunedThresholdClassifierCV(LogisticRegression(), random_state=0).fit(frame, is_barolo)
    kinds = [
        of_pipeline("svc_agreed", agreed, asked, runtime="sklearn"),
        of_pipeline("svc_several", several, frame, runtime="sklearn"),
        of_pipeline("fixed_threshold", threshold, frame, runtime="sklearn"),
        of_pipeline("tuned_threshold", tuned, frame, runtime="sklearn"),
    ]
    for kind, model in zip(kinds[1:3], (several, threshold), strict=True):
        # Or the kind proves nothing.
        assert list(kind.truth[0]) != list(model.classes_[kind.truth[1].argmax(axis=1)])
    return kinds


def searched() -> list[Kind]:
    """What a search, a selector, kernels and splines leave in a fitted pipeline; and steps of several jobs."""
    frame, words = mixed()
    asked = frame.tail(ASKED)
    selected = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_include=object)),
        (StandardScaler(), make_column_selector(dtype_include=np.number)),
    )
    reviews, moods = sentences()
    texts = reviews.to_frame().assign(title=reviews.str[:12])
    jobs = ColumnTransformer([("text", TfidfVectorizer(), "text"), ("title", TfidfVectorizer(), "title")], n_jobs=-1)
    forest = RandomForestClassifier(10, n_jobs=-1, random_state=0)
    grid = {"logisticregression__C": [0.1, 1.0]}
    search = GridSearchCV(make_pipeline(StandardScaler(), LogisticRegression()), grid, cv=3, scoring="roc_auc")
    numbers = frame[["visits", "spent"]].astype(float)
    gaussian = make_pipeline(StandardScaler(), GaussianProcessClassifier(ConstantKernel() * RBF(), random_state=0))
    models: dict[str, tuple[Any, Any, Any]] = {
        "column_selector": (make_pipeline(selected, LogisticRegression()), frame, words),
        "several_jobs": (make_pipeline(jobs, forest), texts, moods),
        "grid_search": (search, numbers, words == "stays"),
        "gaussian_process": (gaussian, numbers, words),
        "splines": (make_pipeline(SplineTransformer(), LogisticRegression()), numbers, words),
        "tweedie": (
            make_pipeline(StandardScaler(), TweedieRegressor(power=1.5)),
            numbers[["visits"]],
            numbers["spent"],
        ),
    }
    return [
        of_pipeline(name, model.fit(rows, truth), rows.loc[asked.index] if rows is not texts else rows.tail(ASKED))
        for name, (model, rows, truth) in models.items()
    ]


def tables() -> list[Kind]:
    frame, words = mixed()
    asked = frame.tail(ASKED)
    every = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["city", "is_member"]), (StandardScaler(), ["visits", "spent"])
    )
    texts = frame[["city"]].assign(member=frame.is_member.map({True: "yes", False: "no"}))
    one_hot = make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression())
    return [
        of_pipeline("mixed_one_hot", make_pipeline(every, LogisticRegression()).fit(frame, words), asked),
        of_pipeline("texts_only", one_hot.fit(texts, words), texts.tail(ASKED)),
    ]


def texts() -> list[Kind]:
    series, words = sentences()
    frame = series.to_frame()
    asked = frame.tail(ASKED)
    column = asked["text"]
    ngrams = CountVectorizer(analyzer="char_wb", ngram_range=(2, 3))
    by_column = ColumnTransformer([("words", TfidfVectorizer(), "text")])
    longer = frame.assign(length=frame.text.str.len())
    both = ColumnTransformer([("words", TfidfVectorizer(), "text"), ("length", StandardScaler(), ["length"])])
    kinds = [
        ("text_series", make_pipeline(TfidfVectorizer(), LogisticRegression()), series, column, asked),
        ("text_characters", make_pipeline(ngrams, LogisticRegression()), series, column, asked),
        ("text_cased", make_pipeline(TfidfVectorizer(lowercase=False), LogisticRegression()), series, column, asked),
        ("text_column", make_pipeline(by_column, LogisticRegression()), frame, asked, asked),
        ("text_and_number", make_pipeline(both, LogisticRegression()), longer, longer.tail(ASKED), longer.tail(ASKED)),
    ]
    return [of_pipeline(name, model.fit(fitted, words), rows, given) for name, model, fitted, given, rows in kinds]


def boosting() -> list[Kind]:
    from lightgbm import LGBMClassifier, LGBMRegressor
    from xgboost import XGBClassifier, XGBRegressor

    frame, income = people()
    asked = asked_people()
    rich = (income == ">50K").astype(int)
    texts = list(frame.select_dtypes(exclude="number"))
    fitted, given = as_categories(frame), as_categories(asked, frame)
    makers: dict[str, Any] = {
        "hist": lambda **more: HistGradientBoostingClassifier(max_iter=10, random_state=0),
        "lightgbm": lambda **more: LGBMClassifier(n_estimators=10, num_leaves=15, verbose=-1, n_jobs=1),
        "xgboost": lambda **more: XGBClassifier(n_estimators=10, max_depth=4, n_jobs=1, **more),
    }
    kinds = []
    for name, make in makers.items():
        encoder = make_column_transformer(
            (OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2), texts),
            remainder="passthrough",
        )
        piped = Pipeline([("encode", encoder), ("model", make())]).fit(frame, rich)
        kinds.append(of_pipeline(f"{name}_piped", piped, asked))
        kinds.append(of_pipeline(f"{name}_categories", make(enable_categorical=True).fit(fitted, rich), asked, given))
        if name == "lightgbm":
            kinds.append(of_pipeline(f"{name}_words", make().fit(fitted, income), asked, given))
    ages, others = frame["age"], frame.select_dtypes("number").drop(columns="age")
    asked_numbers = asked[list(others)]
    for name, model in {
        "lightgbm_regressor": LGBMRegressor(n_estimators=10, verbose=-1, n_jobs=1),
        "xgboost_regressor": XGBRegressor(n_estimators=10, max_depth=4, n_jobs=1),
    }.items():
        kinds.append(of_pipeline(name, model.fit(others, ages), asked_numbers))
    return kinds
