"""Jobs under kill -9, under workers that sleep past their lease, under several at once: each effect is there once."""

from __future__ import annotations

import random
import signal
import time
from concurrent.futures import ThreadPoolExecutor

from servers import wait_until
from workers import Counting

SUBJECTS = tuple(f"subject {number}" for number in range(3))
ALL = [(subject, number) for subject in SUBJECTS for number in range(1, 51)]


def counted(counting: Counting) -> list[tuple[str, int]]:
    return [(subject, number) for subject, number, _ in counting.steps()]


def test_several_workers_do_each_step_once(counting: Counting) -> None:
    counting.ask(*(("count", subject) for subject in SUBJECTS))
    for _ in range(3):
        counting.work()
    wait_until(lambda: counting.is_done(*SUBJECTS), 120)
    assert counted(counting) == ALL


def test_workers_that_are_killed_leave_nothing_undone_and_nothing_twice(counting: Counting) -> None:
    counting.ask(*(("count", subject) for subject in SUBJECTS))
    draw = random.Random(7)
    for _ in range(6):
        wanted = min(len(counting.steps()) + draw.randint(5, 25), len(ALL) - 10)
        worker = counting.work(lease_s=0.5)
        wait_until(lambda wanted=wanted: len(counting.steps()) >= wanted, 60)  # type: ignore[misc]
        worker.kill()
        worker.wait()
    counting.work()
    wait_until(lambda: counting.is_done(*SUBJECTS), 120)
    assert counted(counting) == ALL


def test_a_worker_that_slept_past_its_lease_changes_nothing(counting: Counting) -> None:
    counting.ask(("wait", "one"))
    sleeper = counting.work(lease_s=1)
    wait_until(lambda: counting.begun() == {sleeper.pid}, 60)
    sleeper.send_signal(signal.SIGSTOP)
    other = counting.work()
    wait_until(lambda: counting.begun() == {sleeper.pid, other.pid}, 60)
    # Both may go on now.
    (counting.folder / "go").touch()
    sleeper.send_signal(signal.SIGCONT)
    wait_until(lambda: counting.is_done("one"), 60)
    sleeper.terminate()
    assert sleeper.wait(30) == 0
    assert counting.steps() == [("one", 1, other.pid)]
    assert counting.job("one").token == 2


def test_a_worker_that_lives_keeps_its_job_however_long_it_takes(counting: Counting) -> None:
    # Long enough for a busy machine to renew it in time.
    lease_s = 8.0
    counting.ask(("wait", "one"))
    first = counting.work(lease_s=lease_s)
    wait_until(lambda: counting.begun() == {first.pid}, 60)
    begun = time.monotonic()
    counting.work(lease_s=lease_s)
    counting.ask(*(("count", subject) for subject in SUBJECTS))
    wait_until(lambda: counting.is_done(*SUBJECTS), 120)
    wait_until(lambda: time.monotonic() > begun + 2 * lease_s, 60)
    assert counting.begun() == {first.pid}
    (counting.folder / "go").touch()
    wait_until(lambda: counting.is_done("one"), 60)
    assert [pid for subject, _, pid in counting.steps() if subject == "one"] == [first.pid]
    assert counting.job("one").token == 1


def test_what_is_asked_for_while_it_runs_runs_again(counting: Counting) -> None:
    counting.ask(("wait", "one"))
    worker = counting.work()
    wait_until(lambda: counting.begun() == {worker.pid}, 60)
    counting.ask(("wait", "one"))
    (counting.folder / "go").touch()
    wait_until(lambda: counting.is_done("one"), 60)
    assert [number for _, number, _ in counting.steps()] == [1, 2]


def test_a_job_that_fails_is_tried_again_and_harms_no_other(counting: Counting) -> None:
    counting.ask(("fail", "bad"), ("refuse", "worse"), ("count", "good"))
    counting.work()
    wait_until(lambda: counting.is_done("good"), 60)
    wait_until(lambda: min(counting.job(name).failures for name in ("bad", "worse")) >= 2, 60)
    assert counting.job("bad").error == "ValueError: this one ? fails ?"
    assert counting.job("worse").error.startswith("IntegrityError: ")


def test_what_many_ask_for_at_once_is_one_job(counting: Counting) -> None:
    asked = [(kind, "one") for kind in ("count", "count")]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: counting.ask(*asked), range(4)))
    counting.work()
    wait_until(lambda: counting.is_done("one"), 60)
    assert counting.query("SELECT COUNT(*) FROM jobs_job WHERE kind = 'count'") == [(1,)]


def test_a_job_that_takes_its_worker_with_it_is_given_up(counting: Counting) -> None:
    counting.ask(("end", "one"))
    ended = -1
    while counting.job("one").state != "failed":
        worker, ended = counting.work(lease_s=0.2), ended + 1
        wait_until(lambda worker=worker: worker.poll() is not None or counting.job("one").state == "failed", 60)  # type: ignore[misc]
    assert ended == 10
