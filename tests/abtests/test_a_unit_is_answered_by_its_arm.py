"""While a test runs each unit is answered by its arm, which follows from nothing but the test's salt and the unit."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable

import pytest
import trials
from homes import ENDPOINT, Home
from log_chains import checked
from people import PERSON
from servers import Server

from ml_pipeline.apps.abtests.assignment import Assignment

PREDICT = f"/api/v1/{ENDPOINT}/predict"
EVEN = Assignment(trials.SALT, [1, 1])


@pytest.fixture(scope="module")
def test_id(module_home: Home) -> int:
    return trials.begun(module_home)


@pytest.fixture(scope="module")
def tested(door: Server, test_id: int) -> Server:
    trials.await_served(door)
    return door


def test_100_000_units_are_shared_out_by_the_weights() -> None:
    weights = (6, 3, 1)
    assignment = Assignment(trials.SALT, weights)
    counts = Counter(assignment.arm(f"customer-{unit}")[0] for unit in range(100_000))
    for arm, weight in enumerate(weights):
        share = weight / 10
        assert abs(counts[arm] - 100_000 * share) < 4 * math.sqrt(100_000 * share * (1 - share))


def test_each_unit_is_answered_by_its_arm_and_says_so(tested: Server, test_id: int) -> None:
    with tested.client("predict") as client:
        for number in range(60):
            unit = f"unit {number}"
            answer = client.post(PREDICT, json=PERSON, params={"unit": unit}).json()
            arm = EVEN.arm(unit)[0]
            assert (answer["abtest"], answer["arm"]) == (test_id, arm)
            assert (answer["algorithm"], answer["version"]) == trials.FOREST_AND_TREE[arm]
            again = client.post(PREDICT, json=PERSON, params={"status": "ab_testing"}, headers={"X-Unit": unit})
            assert again.json()["arm"] == arm


def test_without_a_unit_the_arm_follows_from_the_request_id(tested: Server) -> None:
    with tested.client("predict") as client:
        answers = [client.post(PREDICT, json=PERSON).json() for _ in range(40)]
    assert [answer["arm"] for answer in answers] == [EVEN.arm(answer["request_id"])[0] for answer in answers]
    assert {answer["arm"] for answer in answers} == {0, 1}


def test_thousands_of_rows_over_http_are_shared_out_evenly(tested: Server) -> None:
    counts: Counter[int] = Counter()
    with tested.client("predict") as client:
        for _ in range(4):
            answers = client.post(PREDICT, json=[PERSON] * 1_000).json()
            counts.update(answer["arm"] for answer in answers)
            for answer in answers:
                assert answer["arm"] == EVEN.arm(answer["request_id"])[0]
                assert answer["algorithm"] == trials.FOREST_AND_TREE[answer["arm"]][0]
    assert abs(counts[0] - 2_000) < 4 * math.sqrt(4_000 / 4)


def test_the_rows_of_a_list_with_a_unit_stay_together(tested: Server) -> None:
    answers = tested.predict([PERSON] * 20, unit="a household").json()
    assert {answer["arm"] for answer in answers} == {EVEN.arm("a household")[0]}


def test_a_list_is_answered_in_its_order(tested: Server) -> None:
    rows = [{**PERSON, "age": 17 + number} for number in range(64)]
    answers = tested.predict(rows).json()
    assert {answer["arm"] for answer in answers} == {0, 1}
    apart = [
        tested.predict(rows, status=status, **narrowed).json()
        for status, narrowed in (("production", {}), ("ab_testing", {"algorithm": "decision_tree"}))
    ]
    for answer, *of_arms in zip(answers, *apart, strict=True):
        assert answer["probability"] == of_arms[answer["arm"]]["probability"]


def test_a_list_is_counted_in_its_order(tested: Server) -> None:
    already = len(trials.counted(tested.home))
    answers = tested.predict([PERSON] * 64).json()
    counted = [(one["digest"], one["arm"]) for one in trials.counted(tested.home)[already:]]
    assert counted == [(EVEN.arm(answer["request_id"])[1], answer["arm"]) for answer in answers]


@pytest.mark.parametrize(
    ("selection", "name"),
    [
        ({"status": "production"}, "random_forest"),
        ({"algorithm": "random_forest"}, "random_forest"),
        ({"algorithm": "decision_tree"}, "decision_tree"),
        ({"algorithm": "decision_tree", "status": "ab_testing"}, "decision_tree"),
        ({"algorithm": "extra_trees", "version": "0.0.1"}, "extra_trees"),
    ],
)
def test_whoever_selects_is_no_part_of_the_test(tested: Server, selection: dict[str, str], name: str) -> None:
    answer = tested.predict(PERSON, unit="chosen by hand", **selection)
    assert answer.json()["algorithm"] == name
    assert {"abtest", "arm"}.isdisjoint(answer.json())


def test_a_row_that_is_not_valid_is_refused_whatever_its_arm(tested: Server) -> None:
    for unit in ("one", "two", "three", "four"):
        refused = tested.predict({**PERSON, "age": "old"}, unit=unit)
        assert refused.status_code == 422
        assert refused.json()["error"]["details"][0]["field"] == "age"


def test_what_was_told_is_logged_and_counted_in_the_same_commit(tested: Server, test_id: int) -> None:
    before, already = len(trials.logged(tested.home)), len(trials.counted(tested.home))
    by_unit = tested.predict(PERSON, unit="in the log").json()
    listed = tested.predict([PERSON] * 8).json()
    tested.predict(PERSON, status="production")
    rows = {row["id"]: row for row in trials.logged(tested.home)[before:]}
    assert len(rows) == 10
    for answer in (by_unit, *listed):
        row = rows.pop(answer["request_id"])
        assert (row["test"], row["arm"], row["name"]) == (test_id, answer["arm"], answer["algorithm"])
    (uncounted,) = rows.values()
    assert (uncounted["test"], uncounted["arm"]) == (None, None)
    counts = trials.counted(tested.home)[already:]
    units = ["in the log", *(answer["request_id"] for answer in listed)]
    assert {one["digest"]: one["arm"] for one in counts} == {EVEN.arm(unit)[1]: EVEN.arm(unit)[0] for unit in units}
    assert [one["failed"] for one in counts] == [0] * 9
    assert all(batch.holds for batch in checked(tested.home))


def test_no_unit_changes_its_arm_across_two_processes_and_a_restart(home: Home, start: Callable[..., Server]) -> None:
    trials.begun(home, weights=(3, 1))

    def arms(server: Server) -> list[int]:
        with server.client("predict") as client:
            asked = (client.post(PREDICT, json=PERSON, params={"unit": f"u{number}"}) for number in range(200))
            return [answer.json()["arm"] for answer in asked]

    first, second = start("asgi"), start("wsgi")
    assert arms(first) == arms(second)
    first.stop()
    assert arms(start("asgi")) == arms(second) == [Assignment(trials.SALT, [3, 1]).arm(f"u{n}")[0] for n in range(200)]


def test_units_of_a_withdrawn_arm_are_the_champions_and_count_no_more(home: Home, start: Callable[..., Server]) -> None:
    arms = (*trials.FOREST_AND_TREE, ("extra_trees", "0.0.1"))
    test_id = trials.begun(home, arms, (1, 1, 1))
    server = start("asgi")
    trials.withdraw(home, test_id, 1)
    trials.await_served(server)
    assignment = Assignment(trials.SALT, [1, 1, 1])
    for number in range(30):
        answer = server.predict(PERSON, unit=f"u{number}").json()
        arm = assignment.arm(f"u{number}")[0]
        assert answer.get("arm") == (None if arm == 1 else arm)
        assert answer["algorithm"] == ("random_forest", "random_forest", "extra_trees")[arm]
    assert {row["arm"] for row in trials.logged(home)} == {0, None, 2}
    assert {one["arm"] for one in trials.counted(home)} == {0, 2}


def test_a_test_that_ends_leaves_its_champion_in_production(home: Home, start: Callable[..., Server]) -> None:
    test_id = trials.begun(home)
    server = start("asgi")
    assert "arm" in server.predict(PERSON).json()
    trials.end(home, test_id)
    trials.await_served(server)
    answers = server.predict([PERSON] * 10).json()
    assert {answer["algorithm"] for answer in answers} == {"random_forest"}
    assert all("arm" not in answer for answer in answers)
    assert server.predict(PERSON, status="ab_testing").status_code == 404
