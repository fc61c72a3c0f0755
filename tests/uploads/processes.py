"""Processes as the system tells of them, for tests that must leave none."""

from __future__ import annotations

from pathlib import Path

REGISTRATION = b"ml_pipeline.apps.ml.registration.child"


def with_in(marks: tuple[bytes, ...]) -> list[int]:
    """The ids of the processes whose command line has all of `marks`."""
    found = []
    for path in Path("/proc").iterdir():
        if not path.name.isdigit():
            continue
        try:
            command = (path / "cmdline").read_bytes()
        except OSError:
            continue
        if all(mark in command for mark in marks):
            found.append(int(path.name))
    return found


def registrations(home: Path) -> list[int]:
    """The ids of the processes that examine an upload to the home at `home`."""
    return with_in((REGISTRATION, str(home).encode()))


def children_of(pid: int) -> list[int]:
    """The ids of the processes that `pid` started, and those that they started."""
    parents: dict[int, int] = {}
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            try:
                parents[int(path.name)] = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found[1:]


def is_alive(pid: int) -> bool:
    """Whether `pid` runs; one that has ended and waits for its parent does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
