"""Objects in a canonical form: a walk through what they are made of, whatever dump they came from."""

from __future__ import annotations

import copyreg
import hashlib
import struct
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from types import FunctionType
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ml_pipeline.apps.ml.identity.frames import framed
from ml_pipeline.errors import InvalidArtifact

Array: TypeAlias = npt.NDArray[Any]

# A library's version and an object's address stand in the state of some estimators; neither is content.
_NOT_CONTENT = frozenset({"_sklearn_version", "_stop_words_id"})
# A ufunc does not know its module.
_UFUNC_MODULES = ("numpy", "scipy.special")


def canonical(value: Any) -> bytes:
    """The canonical form of `value`: short, with the sha256 of its parts in place of them.

    Raises InvalidArtifact, naming the type, for what cannot be reduced to content or is nested too deeply.
    """
    try:
        return _Walk().encoded(value)
    except RecursionError:
        raise InvalidArtifact(f"This {_name(type(value))} is nested too deeply.") from None


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _float(value: float) -> bytes:
    # All NaN are one: their bits do not survive JSON, in which some dumps keep floats.
    return b"nan" if value != value else struct.pack("<d", value)  # noqa: PLR0124


_ATOMS: dict[type, Callable[[Any], bytes]] = {
    type(None): lambda _: framed("none", b""),
    type(...): lambda _: framed("ellipsis", b""),
    bool: lambda value: framed("bool", b"%d" % value),
    int: lambda value: framed("int", b"%x" % value),
    float: lambda value: framed("float", _float(value)),
    complex: lambda value: framed("complex", _float(value.real) + b"," + _float(value.imag)),
    str: lambda value: framed("str", value.encode("utf-8", "surrogatepass")),
    bytes: lambda value: framed("bytes", value),
    bytearray: lambda value: framed("bytearray", bytes(value)),
}


class _Walk:
    """One walk. Whatever it has met is kept alive, because the ids of the dead are given out again.

    What lies on no cycle is its own digest, one object or several. Cycles are found as Tarjan's algorithm does: `_open`
    has, in the order of first visits, what may yet turn out to lie on one. Met again, such an object is encoded as the
    number of open visits since its first. Where nothing leads back before a visit, all since then is closed. The digest
    of an object on a cycle depends on where the cycle was entered, so each of them is walked from itself.
    """

    def __init__(self) -> None:
        self._open: dict[int, tuple[int, Any]] = {}
        self._closed: dict[int, tuple[bytes, Any]] = {}
        self._earliest = 0
        # The closed cycles: which objects lie on one, and which cycles are being walked again from another object.
        self._cycles: dict[int, tuple[int, Any]] = {}
        self._again: set[int] = set()

    def encoded(self, value: Any) -> bytes:
        """An atom in full, anything else as its digest or as a reference back."""
        atom = _ATOMS.get(type(value))
        if atom is not None:
            return atom(value)
        key = id(value)
        if key in self._open:
            number = self._open[key][0]
            self._earliest = min(self._earliest, number)
            return framed("back", b"%d" % (len(self._open) - number))
        cycle = self._cycles[key][0] if key in self._cycles else None
        if key in self._closed and cycle not in self._again:
            return self._closed[key][0]
        if cycle is None or cycle in self._again:
            return self._visited(key, value)
        self._again.add(cycle)
        try:
            return self._visited(key, value)
        finally:
            self._again.remove(cycle)

    def _visited(self, key: int, value: Any) -> bytes:
        number = len(self._open)
        self._open[key] = (number, value)
        outer, self._earliest = self._earliest, number
        digest = framed("sha256", hashlib.sha256(self._content(value)).digest())
        if self._earliest < number:
            self._earliest = min(outer, self._earliest)
            return digest
        self._earliest = outer
        cycle, lies_on_cycle = len(self._cycles), len(self._open) > number + 1
        while len(self._open) > number:
            member, (_, kept) = self._open.popitem()
            if lies_on_cycle:
                self._cycles.setdefault(member, (cycle, kept))
        self._closed[key] = (digest, value)
        return digest

    def _content(self, value: Any) -> bytes:
        kind = type(value)
        if kind is list or kind is tuple:
            return self._parts(kind.__name__, *value)
        if kind is dict:
            return framed("dict", self._pairs(value.items(), ordered=False))
        if kind is set or kind is frozenset:
            return framed(kind.__name__, self._members(value))
        for family, parts in _families():
            if isinstance(value, family):
                return self._parts(_name(kind), *parts(value))
        if isinstance(value, np.ndarray):
            return self._array(value)
        if isinstance(value, type | FunctionType):
            return self._named(value, value.__qualname__)
        return self._reduced(value)

    def _parts(self, kind: str, *parts: Any) -> bytes:
        return framed(kind, b"".join(map(self.encoded, parts)))

    def _members(self, value: Iterable[Any]) -> bytes:
        before = len(self._open)
        members = sorted(map(self.encoded, value))
        if len(self._open) > before:
            # References back follow the order of visits, and a set has none.
            raise InvalidArtifact("A set whose members lead back to it has no canonical content.")
        return b"".join(members)

    def _pairs(self, pairs: Iterable[tuple[Any, Any]], *, ordered: bool) -> bytes:
        listed = list(pairs)
        if not ordered and all(isinstance(key, str) for key, _ in listed):
            listed.sort(key=lambda pair: str(pair[0]))
        return b"".join(self.encoded(key) + self.encoded(one) for key, one in listed)

    def _array(self, value: Array) -> bytes:
        plain = np.asarray(value)
        return self._parts(_name(type(value)), _described(plain.dtype), plain.shape) + self._elements(plain)

    def _elements(self, plain: Array) -> bytes:
        if plain.dtype.names is not None:
            # Field by field: between the fields lies whatever was in memory.
            return b"".join(self._elements(plain[name]) for name in plain.dtype.names)
        if plain.dtype.hasobject:
            return self._parts("elements", *plain.ravel().tolist())
        return framed("sha256", hashlib.sha256(plain.tobytes()).digest())

    def _named(self, value: Any, name: str) -> bytes:
        module = str(getattr(value, "__module__", None))
        found: Any = sys.modules.get(module)
        for part in name.split("."):
            found = getattr(found, part, None)
        if found is not value:
            raise InvalidArtifact(f"{module}.{name}, a {_name(type(value))}, cannot be found under its name.")
        return self._parts("named", module, name)

    def _reduced(self, value: Any) -> bytes:
        reduce: Callable[[Any], Any] | None = copyreg.dispatch_table.get(type(value))
        try:
            parts: Any = reduce(value) if reduce else value.__reduce_ex__(4)
            if isinstance(parts, str):
                return self._named(value, parts)
            padded: list[Any] = list(parts) + [None] * (6 - len(parts))
            function, arguments, state, items, pairs, setter = padded
        except (RecursionError, InvalidArtifact):
            raise
        # A type may raise anything here, and each means that there is no content to compare.
        except Exception as error:
            raise InvalidArtifact(f"A {_name(type(value))} cannot be reduced to its content: {error}") from error
        if type(state) is dict:
            state = {name: one for name, one in state.items() if name not in _NOT_CONTENT}
        content = self._parts("object", function, arguments, state, setter, list(items or ()))
        return content + framed("pairs", self._pairs(pairs or (), ordered=isinstance(value, OrderedDict)))


def _families() -> Iterator[tuple[type | tuple[type, ...], Callable[[Any], tuple[Any, ...]]]]:
    """The types that pickle would tell too much of, each with the parts that are content."""
    yield np.ma.MaskedArray, _masked
    yield np.generic, lambda value: (np.asarray(value),)
    yield np.dtype, lambda value: (_described(value),)
    yield np.ufunc, _ufunc
    # What is behind RandomState and Generator. The state alone: a dump may bring it back with a seed drawn by chance.
    yield np.random.BitGenerator, lambda value: (value.state,)
    # What was never imported has no instances; these take long to import.
    if (sparse := sys.modules.get("scipy.sparse")) is not None:
        yield (sparse.sparray, sparse.spmatrix), _sparse
    if (extensions := sys.modules.get("pandas.api.extensions")) is not None:
        yield extensions.ExtensionArray, lambda value: (value.dtype, np.asarray(value, dtype=object))
    if (arrow := sys.modules.get("pyarrow")) is not None:
        yield (arrow.Array, arrow.ChunkedArray), lambda value: (str(value.type), value.to_pylist())


def _described(dtype: np.dtype[Any]) -> Any:
    """The dtype as strings and tuples, without padding and offsets."""
    if dtype.subdtype is not None:
        return _described(dtype.subdtype[0]), dtype.subdtype[1]
    if dtype.names is not None:
        return tuple((name, _described(dtype[name])) for name in dtype.names)
    # The string alone does not tell apart what other libraries add.
    return dtype.str, dtype.name


def _masked(value: Any) -> tuple[Any, ...]:
    if value.dtype.names is not None:
        return tuple((name, value[name]) for name in value.dtype.names)
    mask = np.ma.getmaskarray(value)
    content = np.array(value.data)
    # Under the mask often lies memory that nobody wrote.
    content[mask] = np.zeros(1, content.dtype)[0]
    return content, mask, value.fill_value


def _ufunc(value: np.ufunc) -> tuple[Any, ...]:
    name = value.__name__
    for module in _UFUNC_MODULES:
        if getattr(sys.modules.get(module), name, None) is value:
            return module, name
    raise InvalidArtifact(f"The {_name(type(value))} {name} is in none of {', '.join(_UFUNC_MODULES)}.")


def _sparse(value: Any) -> tuple[Any, ...]:
    entries = value.tocoo(copy=True)
    entries.sum_duplicates()
    order = np.lexsort(entries.coords[::-1])
    # Dumps differ in the width of indices.
    places = [axis[order].astype(np.int64) for axis in entries.coords]
    return entries.shape, entries.data[order], *places
