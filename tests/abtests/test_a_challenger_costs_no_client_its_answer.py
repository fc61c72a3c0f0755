"""A challenger that raises, answers NaN, dies or takes too long: the champion answers, and the fault is the arm's."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import trials
from homes import Home
from log_chains import checked
from servers import Server, wait_until
from strange_models import Calm, write_strange_bundle

from ml_pipeline.apps.abtests.assignment import Assignment

STRANGE = "/api/v1/strange/predict"
ARMS = (("strange", "calm"), ("strange", "wild"))
EVEN = Assignment(trials.SALT, [1, 1])
ON_CHAMPION, ON_CHALLENGER = (
    next(unit for unit in map(str, itertools.count()) if EVEN.arm(unit)[0] == arm) for arm in (0, 1)
)
DEADLINE_S = 3.0


@pytest.fixture(scope="module")
def strange_home(prepared_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    folder = tmp_path_factory.mktemp("strange")
    home = prepared_home.copy(folder / "home")
    for version, classifier in (("calm", Calm()), ("wild", None)):
        bundle = write_strange_bundle(folder / version, classifier)
        home.manage("register", str(bundle), "--endpoint", "strange", "--version", version)
    trials.begun(home, ARMS, endpoint="strange")
    return home


@pytest.fixture(scope="module", params=["asgi", "wsgi"])
def server(request: pytest.FixtureRequest, strange_home: Home) -> Iterator[Server]:
    running = Server(request.param, strange_home, {"ML_PIPELINE_DEADLINE_MS": str(round(1000 * DEADLINE_S))}).start()
    trials.await_served(running)
    yield running
    running.stop()


def ask(server: Server, body: Any, unit: str | None) -> Any:
    with server.client("predict") as client:
        reply = client.post(STRANGE, json=body, params={"unit": unit} if unit else {})
    assert reply.status_code == 200, reply.text
    return reply.json()


class Since:
    """What was logged and counted since it was made."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._begin = len(trials.logged(home)), len(trials.counted(home))

    @property
    def logged(self) -> list[dict[str, Any]]:
        return trials.logged(self._home)[self._begin[0] :]

    @property
    def counted(self) -> list[tuple[str, int, int]]:
        found = trials.counted(self._home)[self._begin[1] :]
        return [(one["digest"], one["arm"], one["failed"]) for one in found]


def test_both_arms_answer_for_themselves(server: Server) -> None:
    since = Since(server.home)
    assert ask(server, {"order": "fine"}, ON_CHAMPION)["label"] == "no"
    assert ask(server, {"order": "fine"}, ON_CHALLENGER)["label"] == "yes"
    assert since.counted == [(EVEN.arm(ON_CHAMPION)[1], 0, 0), (EVEN.arm(ON_CHALLENGER)[1], 1, 0)]


@pytest.mark.parametrize("fault", ["raise", "nan"])
def test_the_champion_answers_in_its_place(server: Server, fault: str) -> None:
    since = Since(server.home)
    answer = ask(server, {"order": fault}, ON_CHALLENGER)
    assert (answer["label"], answer["version"], answer["arm"]) == ("no", "calm", 1)
    failed, stood_in = sorted(since.logged, key=lambda row: row["outcome"])
    assert (failed["version"], failed["arm"], failed["outcome"]) == ("wild", 1, "internal")
    assert (stood_in["version"], stood_in["arm"], stood_in["outcome"]) == ("calm", 1, "ok")
    assert stood_in["id"] == answer["request_id"] != failed["id"]
    assert since.counted == [(EVEN.arm(ON_CHALLENGER)[1], 1, 1)]


def test_one_that_takes_too_long_leaves_the_champion_half_of_the_deadline(server: Server, tmp_path: Path) -> None:
    since, begun = Since(server.home), time.monotonic()
    gate = tmp_path / "gate"
    answer = ask(server, {"order": f"wait {gate}"}, ON_CHALLENGER)
    assert (answer["version"], answer["arm"]) == ("calm", 1)
    assert DEADLINE_S / 2 <= time.monotonic() - begun < DEADLINE_S
    # Those of the champion wait for nothing.
    assert ask(server, {"order": "fine"}, ON_CHAMPION)["label"] == "no"
    assert [failed for *_, failed in since.counted] == [1, 0]
    # What became of the attempt is logged when it has ended.
    gate.touch()
    wait_until(lambda: any(row["outcome"] == "deadline_exceeded" for row in since.logged), 10)
    wait_until(lambda: ask(server, {"order": "fine"}, ON_CHALLENGER)["version"] == "wild", 20)


def test_one_whose_process_dies_is_stood_in_for_until_it_is_back(server: Server) -> None:
    since = Since(server.home)
    answer = ask(server, {"order": "die"}, ON_CHALLENGER)
    assert (answer["version"], answer["arm"]) == ("calm", 1)
    wait_until(lambda: ask(server, {"order": "fine"}, ON_CHALLENGER)["version"] == "wild", 20)
    assert since.counted[0] == (EVEN.arm(ON_CHALLENGER)[1], 1, 1)


def test_the_rows_of_a_list_at_which_it_fails_are_the_champions(server: Server) -> None:
    since = Since(server.home)
    answers = ask(server, [{"order": "raise"}] * 30, None)
    assert {(answer["label"], answer["version"]) for answer in answers} == {("no", "calm")}
    assert {answer["arm"] for answer in answers} == {0, 1}
    expected = [EVEN.arm(answer["request_id"]) for answer in answers]
    assert [answer["arm"] for answer in answers] == [arm for arm, _ in expected]
    assert sorted(since.counted) == sorted((digest, arm, arm) for arm, digest in expected)
    failures = [row for row in since.logged if row["outcome"] == "internal"]
    assert len(failures) == sum(arm for arm, _ in expected)
    assert all((row["version"], row["arm"]) == ("wild", 1) for row in failures)
    assert all(batch.holds for batch in checked(server.home))


def test_what_only_waits_for_a_busy_challenger_is_the_champions_and_does_not_count(
    server: Server, tmp_path: Path
) -> None:
    since, gate = Since(server.home), tmp_path / "gate"
    answers: list[dict[str, Any]] = []

    def is_outside() -> bool:
        answers.append(ask(server, {"order": "fine"}, ON_CHALLENGER))
        return "arm" not in answers[-1]

    with ThreadPoolExecutor(1) as pool:
        waits = pool.submit(ask, server, {"order": f"wait {gate}"}, ON_CHALLENGER)
        try:
            wait_until(is_outside, 20)
        finally:
            gate.touch()
        waits.result()
    assert (answers[-1]["version"], "abtest" in answers[-1]) == ("calm", False)
    (row,) = (row for row in since.logged if row["id"] == answers[-1]["request_id"])
    assert (row["test"], row["arm"], row["outcome"]) == (1, None, "ok")
    # One for each of the others.
    assert len(since.counted) == len(answers)
    wait_until(lambda: ask(server, {"order": "fine"}, ON_CHALLENGER)["version"] == "wild", 20)


def test_a_champion_that_fails_is_an_error_for_its_own_units(
    prepared_home: Home, tmp_path: Path, start: Callable[..., Server]
) -> None:
    home = prepared_home.copy(tmp_path / "other")
    for version, classifier in (("calm", Calm()), ("wild", None)):
        bundle = write_strange_bundle(tmp_path / version, classifier)
        home.manage("register", str(bundle), "--endpoint", "strange", "--version", version)
    trials.begun(home, (ARMS[1], ARMS[0]), endpoint="strange")
    server = start("asgi", at=home)
    with server.client("predict") as client:
        failed = client.post(STRANGE, json={"order": "raise"}, params={"unit": ON_CHAMPION})
        listed = client.post(STRANGE, json=[{"order": "raise"}] * 20)
    assert (failed.status_code, listed.status_code) == (500, 500)
    assert set(failed.json()["error"]["details"]) == {"request_id"}
    assert ask(server, {"order": "raise"}, ON_CHALLENGER)["version"] == "calm"
    rows = trials.logged(home)
    # Nobody was told what the other arm made of its rows of the list: all of them failed, whatever their arm.
    assert {(row["version"], row["arm"]) for row in rows if row["outcome"] == "internal"} == {("wild", 0), ("wild", 1)}
    assert [row["outcome"] for row in rows].count("ok") == 1
    counts = trials.counted(home)
    assert {(one["arm"], one["failed"]) for one in counts} == {(0, 1), (1, 1), (1, 0)}
    assert len(counts) == len(rows) == 22
    # Each with its own unit, in the order of the list.
    digests = [EVEN.arm(row["id"]) for row in rows if row["unit"] is None]
    assert sorted((one["arm"], one["digest"]) for one in counts[1:21]) == sorted(digests)


def test_rows_of_two_arms_that_the_champion_answers_are_no_two_turns(
    strange_home: Home, tmp_path: Path, start: Callable[..., Server]
) -> None:
    home = strange_home.copy(tmp_path / "withdrawn")
    trials.withdraw(home, 1, 1)
    server = start("wsgi", at=home)
    trials.await_served(server)
    answers = ask(server, [{"order": "fine"}] * 12, None)
    assert {answer["version"] for answer in answers} == {"calm"}
    assert {answer.get("arm") for answer in answers} == {0, None}
