"""Feedback: validated against the algorithm, appended, never overwritten; in single and in bulk."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
import registered
from registered import SIGNATURE, algorithm

from ml_pipeline.apps.accounts import access
from ml_pipeline.apps.accounts.access import Grant
from ml_pipeline.apps.endpoints import feedback
from ml_pipeline.apps.endpoints.feedback import Item
from ml_pipeline.apps.endpoints.models import Feedback, MLAlgorithm
from ml_pipeline.errors import InvalidInput, NotFound

ANN, BOB = (Grant(name, everywhere=access.ALL) for name in ("ann", "bob"))

pytestmark = pytest.mark.django_db


def request(answered_by: MLAlgorithm) -> UUID:
    return registered.requests(answered_by)[0]


@pytest.fixture
def classified() -> UUID:
    return request(algorithm("1"))


@pytest.fixture
def regressed() -> UUID:
    return request(algorithm("2", signature={**SIGNATURE, "task": "regression", "labels": []}))


def test_a_correction_is_kept_and_the_first_counts(classified: UUID) -> None:
    assert feedback.record(classified, "yes", ANN) == "accepted"
    assert feedback.record(classified, "yes", ANN) == "unchanged"
    assert feedback.record(classified, "no", BOB) == "accepted"
    assert feedback.effective([classified]) == {classified: "yes"}
    assert list(Feedback.objects.order_by("pk").values_list("value", "actor")) == [("yes", "ann"), ("no", "bob")]


@pytest.mark.parametrize("value", ["maybe", "YES", "", 1, 1.5, None, True, ["yes"], {"a": 1}])
def test_what_is_no_label_is_refused_with_the_labels(classified: UUID, value: object) -> None:
    with pytest.raises(InvalidInput, match="one of no, yes"):
        feedback.record(classified, value, ANN)
    assert not Feedback.objects.exists()


@pytest.mark.parametrize(("value", "stored"), [(3, 3.0), (2.5, 2.5), ("2.5", 2.5), ("-1e3", -1000.0)])
def test_a_regression_takes_numbers_also_from_forms(regressed: UUID, value: object, stored: float) -> None:
    feedback.record(regressed, value, ANN)
    assert feedback.effective([regressed]) == {regressed: stored}


@pytest.mark.parametrize("value", ["nan", "inf", "ten", None, True, "1e999", 10**400])
def test_a_regression_refuses_what_is_no_finite_number(regressed: UUID, value: object) -> None:
    with pytest.raises(InvalidInput, match="finite number"):
        feedback.record(regressed, value, ANN)


def test_labels_that_look_like_numbers_may_come_as_numbers() -> None:
    digits = request(algorithm("3", signature={**SIGNATURE, "labels": ["0", "1"]}))
    feedback.record(digits, 1, ANN)
    assert feedback.effective([digits]) == {digits: "1"}


@pytest.mark.parametrize(
    ("labels", "value", "stored"),
    [
        (["0", "1"], 1.0, "1"),
        (["0.0", "1.0"], 1, "1.0"),
        (["0.0", "1.0"], 0.0, "0.0"),
        (["0.5", "1.5"], 1.5, "1.5"),
        (["False", "True"], True, "True"),
        (["false", "true"], False, "false"),
        (["3", str(10**30)], 10**30, str(10**30)),
    ],
)
def test_labels_that_are_no_text_in_the_model_may_come_as_they_are(
    labels: list[str], value: object, stored: str
) -> None:
    asked = request(algorithm("3", signature={**SIGNATURE, "labels": labels}))
    feedback.record(asked, value, ANN)
    assert feedback.effective([asked]) == {asked: stored}


@pytest.mark.parametrize("value", [True, 2, 0.5, 1e300, 10**400, [1]])
def test_numbers_and_truths_that_are_no_label_are_refused(value: object) -> None:
    digits = request(algorithm("3", signature={**SIGNATURE, "labels": ["0", "1"]}))
    with pytest.raises(InvalidInput, match="one of 0, 1"):
        feedback.record(digits, value, ANN)


def test_a_bulk_keeps_the_good_and_names_the_bad(classified: UUID) -> None:
    stranger = uuid4()
    items = [Item(classified, "yes"), Item(classified, "yes"), Item(stranger, "yes"), Item(classified, "perhaps")]
    outcome = feedback.record_all(items, ANN)
    assert (outcome.accepted, outcome.unchanged, outcome.unknown) == (1, 1, [str(stranger)])
    assert [one["got"] for one in outcome.invalid] == ['"perhaps"']


def test_an_unknown_request_is_named() -> None:
    with pytest.raises(NotFound):
        feedback.record(uuid4(), "yes", ANN)
