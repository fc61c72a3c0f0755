"""A lone group is committed by whoever hands it over, where that is quick; whatever must be waited for has a thread."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from ml_pipeline.apps.predictions.commits import QUICK_ROWS, QUICK_S, GroupCommit, WriteTurn
from ml_pipeline.errors import JournalUnavailable

PATIENCE_S = 30.0


class Disk:
    """Keeps what is committed, and by which thread; `wait_s` is what a commit waits for it."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.threads: list[str] = []
        self.wait_s, self.idle_s = 0.0, 0.0
        # Where it is not, a commit at once does nothing.
        self.is_free = True
        self.is_under_way, self.may_go = threading.Event(), threading.Event()
        self.may_go.set()

    def commit(self, groups: Sequence[str]) -> None:
        """Commits."""
        self.is_under_way.set()
        assert self.may_go.wait(PATIENCE_S)
        self.idle_s += self.wait_s
        self.batches.append(list(groups))
        self.threads.append(threading.current_thread().name)

    def commit_at_once(self, group: str) -> bool:
        """Commits, unless something must be waited for."""
        if not self.is_free:
            return False
        self.commit([group])
        return True


def gathering(disk: Disk, turn: WriteTurn | None = None) -> GroupCommit[str]:
    return GroupCommit(
        disk.commit,
        len,
        turn=turn or WriteTurn(),
        name="journal",
        commit_at_once=disk.commit_at_once,
        idle=lambda: disk.idle_s,
    )


def settled(groups: GroupCommit[str]) -> None:
    """All that was handed over is committed; something may come yet."""
    assert groups.close(PATIENCE_S)


HERE = threading.current_thread().name


def test_a_lone_group_is_committed_by_whoever_hands_it_over() -> None:
    disk = Disk()
    groups = gathering(disk)
    for group in "abc":
        groups.submit(group)
    assert disk.batches == [["a"], ["b"], ["c"]]
    assert disk.threads == [HERE] * 3
    assert groups.close(0.0)


def test_what_comes_meanwhile_from_others_is_committed_by_the_thread_together() -> None:
    disk = Disk()
    groups = gathering(disk)
    disk.may_go.clear()
    first = threading.Thread(target=groups.submit, args=("first",), name="first")
    first.start()
    assert disk.is_under_way.wait(PATIENCE_S)
    groups.submit("a")
    groups.submit("b")
    assert not disk.batches
    assert not groups.close(0.0)
    disk.may_go.set()
    settled(groups)
    first.join(PATIENCE_S)
    assert disk.batches == [["first"], ["a", "b"]]
    assert disk.threads == ["first", "journal"]


def test_while_the_thread_commits_nobody_else_does() -> None:
    disk = Disk()
    groups = gathering(disk)
    disk.is_free = False
    disk.may_go.clear()
    groups.submit("a")
    assert disk.is_under_way.wait(PATIENCE_S)
    disk.is_free = True
    groups.submit("b")
    assert not disk.batches
    disk.may_go.set()
    settled(groups)
    assert disk.batches == [["a"], ["b"]]
    assert disk.threads == ["journal", "journal"]


def test_what_would_have_to_be_waited_for_is_committed_by_the_thread_and_once() -> None:
    disk = Disk()
    groups = gathering(disk)
    disk.is_free = False
    groups.submit("a")
    settled(groups)
    assert disk.batches == [["a"]]
    assert disk.threads == ["journal"]


def test_whoever_does_not_get_his_turn_leaves_it_to_the_thread() -> None:
    disk, turn = Disk(), WriteTurn()
    groups = gathering(disk, turn)
    with turn:
        groups.submit("a")
        assert not disk.batches
    settled(groups)
    assert disk.threads == ["journal"]
    # And it is given back each time.
    assert turn.begin_at_once()


def test_a_disk_that_was_slow_is_left_to_the_thread_for_a_while_and_then_tried_again() -> None:
    disk = Disk()
    groups = gathering(disk)
    disk.wait_s = 4 * QUICK_S
    groups.submit("slow")
    disk.wait_s = 0.0
    for number in range(60):
        groups.submit(str(number))
        settled(groups)
    assert disk.threads[0] == HERE
    tried_again = disk.threads.index(HERE, 1)
    assert 5 < tried_again < 20
    assert set(disk.threads[1:tried_again]) == {"journal"}
    assert set(disk.threads[tried_again:]) == {HERE}


def test_what_fails_in_a_way_nobody_foresaw_is_committed_by_the_thread() -> None:
    disk = Disk()

    def broken(group: str) -> bool:
        raise RuntimeError(group)

    groups = GroupCommit(disk.commit, len, turn=WriteTurn(), name="journal", commit_at_once=broken)
    with pytest.raises(RuntimeError):
        groups.submit("a")
    settled(groups)
    assert disk.batches == [["a"]]
    assert disk.threads == ["journal"]


def test_what_has_many_rows_is_committed_by_the_thread() -> None:
    disk = Disk()
    groups = gathering(disk)
    groups.submit("x" * (QUICK_ROWS + 1))
    settled(groups)
    assert disk.threads == ["journal"]


def test_without_a_thread_to_be_had_a_group_is_refused_and_later_taken_again(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk()
    disk.is_free = False
    groups = GroupCommit(disk.commit, len, turn=WriteTurn(), name="journal")

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as short:
        short.setattr(threading.Thread, "start", refuse)
        with pytest.raises(JournalUnavailable):
            groups.submit("a")
    groups.submit("b")
    settled(groups)
    assert disk.batches == [["b"]]
