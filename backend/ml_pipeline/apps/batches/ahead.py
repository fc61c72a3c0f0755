"""Ahead: what is iterated in a thread of its own while another works on what came before."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from typing import Generic, TypeVar

T = TypeVar("T")


class Ahead(Generic[T]):
    """What the generator that `begin` makes gives, and raises, at most `room` ahead. A context manager.

    The generator is made, iterated and closed in one thread, which ends with the block.
    """

    def __init__(self, begin: Callable[[], Generator[T]], room: int) -> None:
        self._begin, self._room = begin, room
        self._found: deque[T] = deque()
        self._changed = threading.Condition()
        self._is_over = self._is_left = False
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="ahead", daemon=True)

    def __enter__(self) -> Iterator[T]:
        self._thread.start()
        return self._all()

    def __exit__(self, *failure: object) -> None:
        with self._changed:
            self._is_left = True
            self._found.clear()
            self._changed.notify_all()
        self._thread.join()

    def _all(self) -> Iterator[T]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._found or self._is_over)
                if not self._found:
                    break
                found = [self._found.popleft()]
                self._changed.notify_all()
            # Kept here no longer than by whoever takes it.
            yield found.pop()
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            with closing(self._begin()) as made:
                for one in made:
                    if not self._is_taken(one):
                        break
                    del one
        # Raised where it is iterated.
        except BaseException as failure:  # noqa: BLE001
            self._failure = failure
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    def _is_taken(self, one: T) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: len(self._found) < self._room or self._is_left)
            if not self._is_left:
                self._found.append(one)
                self._changed.notify_all()
            return not self._is_left
