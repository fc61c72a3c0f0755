"""The parts of a loaded object: whatever it holds, however deep."""

from __future__ import annotations

import functools
import types
from collections.abc import Iterator
from typing import Any

# What holds nothing of the object's own: a function or module is its library's.
_PLAIN = str | bytes | int | float | complex | type | types.FunctionType | types.ModuleType | None


def within(whole: Any) -> Iterator[Any]:
    """`whole` and every object in it, each once: see `of`."""
    seen: dict[int, Any] = {}
    waiting = [whole]
    while waiting:
        one = waiting.pop()
        if isinstance(one, _PLAIN) or id(one) in seen:
            continue
        seen[id(one)] = one
        yield one
        waiting += [part for _, part in of(one)]


def of(one: Any) -> list[tuple[str, Any]]:
    """What `one` itself holds: its attributes by name, and under "" members, cells of objects, and what it will call.

    Those are a partial's function and arguments, the object of a bound method, and what makes a missing member.
    """
    found: list[tuple[str, Any]] = list(getattr(one, "__dict__", {}).items())
    members: list[Any] = []
    if isinstance(one, dict):
        members = [*one.keys(), *one.values(), getattr(one, "default_factory", None)]
    elif isinstance(one, list | tuple | set | frozenset):
        members = list(one)
    elif isinstance(one, functools.partial):
        members = [one.func, one.args, one.keywords]
    elif isinstance(one, types.MethodType | types.BuiltinMethodType):
        members = [one.__self__]
    elif getattr(getattr(one, "dtype", None), "hasobject", False) and hasattr(one, "flat"):
        members = list(one.flat)
    return [*found, *(("", member) for member in members)]
