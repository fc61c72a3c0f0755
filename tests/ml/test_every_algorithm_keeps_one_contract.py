"""One contract for all three income classifiers, here and in a child: what a caller may rely on."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Any

import numpy as np
import pytest
from people import PERSON, as_rows, held_out_people
from small_models import TRUSTED, Kept

from ml_pipeline.apps.ml import loader
from ml_pipeline.apps.ml.algorithm import Algorithm, Prediction
from ml_pipeline.apps.ml.artifacts import ArtifactStore
from ml_pipeline.apps.ml.isolation.child import Loading
from ml_pipeline.apps.ml.isolation.nursery import Nursery
from ml_pipeline.apps.ml.isolation.runtime import IsolatedRuntime

NAMES = ("random_forest", "extra_trees", "decision_tree")
SINGLES = 48
TEXTS = [name for name, value in PERSON.items() if isinstance(value, str)]
NUMBERS = [name for name in PERSON if name not in TEXTS]


def people() -> list[dict[str, Any]]:
    """Rows of the test part, a third of them with missing values, and some that nobody has ever seen."""
    frame = held_out_people()
    whole = frame.dropna().sample(200, random_state=0)
    gaps = frame[frame.isna().any(axis=1)].sample(100, random_state=0)
    strange = [
        {**PERSON, "workclass": "astronaut", "native-country": "Mars"},
        {**PERSON, "sex": "ünknown 🦄", "occupation": "x" * 1_000},
        {**PERSON, "age": -1, "fnlwgt": 2**53, "capital-gain": -(2**53)},
        {"age": 39},
        dict.fromkeys(PERSON),
    ]
    rows = strange + as_rows(whole) + as_rows(gaps)
    np.random.default_rng(0).shuffle(rows)
    return rows


PEOPLE = people()


WAYS = ("onnx", "sklearn", "sklearn, isolated")


@pytest.fixture(scope="module", params=[(name, way) for name in NAMES for way in WAYS], ids=str)
def load(
    request: pytest.FixtureRequest, store: ArtifactStore, registered: dict[str, Kept], native_nursery: Nursery
) -> Iterator[Callable[[], Algorithm]]:
    """Loads the algorithm anew from its bundle."""
    name, way = request.param
    bundle = store.bundle(registered[name].digest)
    made: list[Algorithm] = []

    def loaded() -> Algorithm:
        if way in {"onnx", "sklearn"}:
            return loader.load_native(bundle, way, TRUSTED)
        loading = Loading(str(bundle.folder), bundle.digest, "sklearn", TRUSTED)
        runtime = IsolatedRuntime(native_nursery, loading, "sklearn", deadline_s=60, load_deadline_s=60)
        made.append(loader.family_of(bundle)(bundle.signature, runtime))
        runtime.start()
        return made[-1]

    yield loaded
    for one in made:
        one.runtime.close()


@pytest.fixture(scope="module")
def algorithm(load: Callable[[], Algorithm]) -> Algorithm:
    return load()


@pytest.fixture(scope="module")
def expected(algorithm: Algorithm) -> list[Prediction]:
    """What the algorithm says of everybody at once."""
    return answers(algorithm, PEOPLE)


def answers(algorithm: Algorithm, items: list[dict[str, Any]]) -> list[Prediction]:
    return algorithm.compute_prediction(algorithm.signature.rows(items))


def test_a_prediction_is_a_label_with_its_probabilities(algorithm: Algorithm, expected: list[Prediction]) -> None:
    assert algorithm.signature.labels == ("<=50K", ">50K")
    assert len(expected) == len(PEOPLE)
    for one in expected:
        assert one.probabilities is not None
        low, high = one.probabilities
        assert min(low, high) >= 0
        assert low + high == pytest.approx(1, abs=1e-6)
        assert one.probability == high
        assert one.label == (">50K" if high > low else "<=50K")
        assert one.value is None
    assert {one.label for one in expected} == {"<=50K", ">50K"}


def test_a_batch_equals_its_singles(algorithm: Algorithm, expected: list[Prediction]) -> None:
    assert [answers(algorithm, [item])[0] for item in PEOPLE[:SINGLES]] == expected[:SINGLES]


@pytest.mark.parametrize("size", [7, 64, 128])
def test_a_batch_equals_its_parts(algorithm: Algorithm, expected: list[Prediction], size: int) -> None:
    parts = (answers(algorithm, PEOPLE[start : start + size]) for start in range(0, len(PEOPLE), size))
    assert list(chain.from_iterable(parts)) == expected


def test_neighbours_do_not_matter(algorithm: Algorithm, expected: list[Prediction]) -> None:
    assert answers(algorithm, PEOPLE[::-1]) == expected[::-1]
    assert answers(algorithm, PEOPLE[:50] * 4) == expected[:50] * 4


def test_input_is_not_changed(algorithm: Algorithm) -> None:
    rows = algorithm.signature.rows(PEOPLE)
    before = copy.deepcopy(rows)
    columns = algorithm.preprocess(rows)
    held = {name: column.copy() for name, column in columns.items()}
    (algorithm.runtime if algorithm.runtime.is_isolated else algorithm).predict(columns)
    algorithm.compute_prediction(rows)
    assert rows == before
    for name, column in columns.items():
        np.testing.assert_array_equal(column, held[name])


def test_loaded_again_it_gives_the_same_bits(load: Callable[[], Algorithm], expected: list[Prediction]) -> None:
    again = load()
    assert answers(again, PEOPLE) == expected
    assert answers(again, PEOPLE) == expected


def test_threads_do_not_disturb_each_other(algorithm: Algorithm, expected: list[Prediction]) -> None:
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: answers(algorithm, PEOPLE), range(4)))
    assert results == [expected] * 4


def without(row: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != name}


@pytest.mark.parametrize("name", TEXTS)
def test_a_missing_or_unseen_category_is_one_thing_in_every_spelling(algorithm: Algorithm, name: str) -> None:
    people = [PERSON, *(person for person in PEOPLE[:20] if len(person) == len(PERSON))]
    spellings = [None, "", "?", "never seen", "🦄", " Private", "é"]
    results = [answers(algorithm, [{**person, name: spelling} for person in people]) for spelling in spellings]
    assert answers(algorithm, [without(person, name) for person in people]) == results[0]
    assert all(result == results[0] for result in results)


def test_a_missing_number_is_null_or_absent(algorithm: Algorithm) -> None:
    for name in NUMBERS:
        assert answers(algorithm, [{**PERSON, name: None}]) == answers(algorithm, [without(PERSON, name)])
        (form,) = algorithm.signature.rows(
            [{**{key: str(value) for key, value in PERSON.items()}, name: ""}], coerce=True
        )
        assert algorithm.compute_prediction([form]) == answers(algorithm, [{**PERSON, name: None}])


def test_an_integer_counts_the_same_in_either_spelling(algorithm: Algorithm, expected: list[Prediction]) -> None:
    floats = [
        {name: float(value) if isinstance(value, int) else value for name, value in row.items()} for row in PEOPLE
    ]
    assert answers(algorithm, floats) == expected


def test_the_order_of_names_does_not_matter(algorithm: Algorithm, expected: list[Prediction]) -> None:
    assert answers(algorithm, [dict(reversed(row.items())) for row in PEOPLE]) == expected
