"""What is handed over while a commit is under way goes into the next one together, in order; no more than has room."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Sequence

import pytest

from ml_pipeline.apps.predictions import commits
from ml_pipeline.apps.predictions.commits import GroupCommit, WriteTurn
from ml_pipeline.errors import JournalUnavailable

PATIENCE_S = 30.0


class Commits:
    """Keeps what is committed; a commit waits until it is let go where `is_held`."""

    def __init__(self, *, is_held: bool = False) -> None:
        self.batches: list[list[str]] = []
        self.threads: list[threading.Thread] = []
        self.is_under_way, self._may_go = threading.Event(), threading.Event()
        if not is_held:
            self._may_go.set()

    def __call__(self, groups: Sequence[str]) -> None:
        self.threads.append(threading.current_thread())
        self.is_under_way.set()
        assert self._may_go.wait(PATIENCE_S)
        self.batches.append(list(groups))

    def reached(self) -> None:
        """A commit is under way."""
        assert self.is_under_way.wait(PATIENCE_S)

    def release(self) -> None:
        """It goes on, and so do all after it."""
        self._may_go.set()


def gathering(commit: Commits, turn: WriteTurn | None = None) -> GroupCommit[str]:
    """A group of so many letters has so many rows."""
    return GroupCommit(commit, len, turn=turn or WriteTurn(), name="test")


def under_way(commit: Commits) -> GroupCommit[str]:
    groups = gathering(commit)
    groups.submit("first")
    commit.reached()
    return groups


def test_what_comes_while_a_commit_is_under_way_is_committed_together_in_order() -> None:
    commit = Commits(is_held=True)
    groups = under_way(commit)
    later = ["a", "bb", "ccc", "d", "e"]
    for group in later:
        groups.submit(group)
    assert not commit.batches
    commit.release()
    assert groups.close(PATIENCE_S)
    assert commit.batches == [["first"], later]
    assert len(set(commit.threads)) == 1


def test_a_transaction_has_so_many_rows_unless_a_single_group_has_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commits, "MOST_ROWS", 5)
    commit = Commits(is_held=True)
    groups = under_way(commit)
    for group in ("aa", "bbb", "c", "dddddddd", "ee", "fff"):
        groups.submit(group)
    commit.release()
    assert groups.close(PATIENCE_S)
    assert commit.batches == [["first"], ["aa", "bbb"], ["c"], ["dddddddd"], ["ee", "fff"]]


def test_where_too_much_waits_it_is_refused_and_what_waits_is_committed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commits, "ROOM_ROWS", 8)
    commit = Commits(is_held=True)
    groups = under_way(commit)
    groups.submit("abcd")
    with pytest.raises(JournalUnavailable):
        groups.submit("x")
    commit.release()
    assert groups.close(PATIENCE_S)
    assert commit.batches == [["first"], ["abcd"]]


def test_there_is_room_again_once_it_is_committed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commits, "ROOM_ROWS", 0)
    commit = Commits()
    groups = gathering(commit)
    for group in ("a", "b", "c"):
        groups.submit(group)
        # All that was handed over is committed; something may come yet.
        assert groups.close(PATIENCE_S)
    assert commit.batches == [["a"], ["b"], ["c"]]


def test_many_threads_have_each_group_committed_once_in_their_order() -> None:
    commit = Commits()
    groups = gathering(commit)
    begin = threading.Barrier(4)

    def submit(name: str) -> None:
        begin.wait(PATIENCE_S)
        for number in range(500):
            groups.submit(f"{name}{number}")

    submitters = [threading.Thread(target=submit, args=(name,)) for name in "abcd"]
    for submitter in submitters:
        submitter.start()
    for submitter in submitters:
        submitter.join(PATIENCE_S)
    assert groups.close(PATIENCE_S)
    committed = [group for batch in commit.batches for group in batch]
    for name in "abcd":
        assert [one for one in committed if one[0] == name] == [f"{name}{number}" for number in range(500)]
    assert len(committed) == 2_000


def test_closing_waits_for_the_commit_that_is_under_way_and_what_waits_behind_it() -> None:
    commit = Commits(is_held=True)
    groups = under_way(commit)
    groups.submit("second")
    assert not groups.close(0.0)
    closed: list[tuple[bool, int]] = []
    closer = threading.Thread(target=lambda: closed.append((groups.close(PATIENCE_S), len(commit.batches))))
    closer.start()
    commit.release()
    closer.join(PATIENCE_S)
    assert closed == [(True, 2)]
    commit.threads[0].join(PATIENCE_S)
    assert not commit.threads[0].is_alive()


def test_what_had_nothing_to_commit_is_closed_at_once() -> None:
    assert gathering(Commits()).close(0.0)


def test_a_commit_waits_for_its_turn() -> None:
    commit, turn = Commits(), WriteTurn()
    groups = gathering(commit, turn)
    with turn:
        groups.submit("a")
        groups.submit("b")
        assert not groups.close(0.0)
        assert not commit.is_under_way.is_set()
    assert groups.close(PATIENCE_S)
    assert [group for batch in commit.batches for group in batch] == ["a", "b"]


def test_a_forked_process_begins_with_nothing() -> None:
    script = "import test_groups_are_committed_together as here; here.fork_while_committing()"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        timeout=4 * PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["child", "parent"]


def fork_while_committing() -> None:
    """Both processes print their name once what was handed over in them, and nothing else, is committed."""
    commits.ROOM_ROWS = 8
    commit, turn = Commits(is_held=True), WriteTurn()
    groups = gathering(commit, turn)
    groups.submit("first")
    commit.reached()
    groups.submit("second")

    child = os.fork()
    if child == 0:
        status = 1
        try:
            commit.release()
            # The turn is taken and the room used up in the parent alone.
            assert groups.close(0.0)
            groups.submit("of the child")
            assert groups.close(PATIENCE_S)
            assert commit.batches == [["of the child"]]
            os.write(1, b"child\n")
            status = 0
        finally:
            os._exit(status)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert not commit.batches
    commit.release()
    assert groups.close(PATIENCE_S)
    assert commit.batches == [["first"], ["second"]]
    os.write(1, b"parent\n")
