"""What counts in the content of single objects: values, types and order, not memory, sharing or addresses."""

from __future__ import annotations

import math
import struct
import threading
from collections import OrderedDict, namedtuple
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as some

from ml_pipeline.apps.ml import identity
from ml_pipeline.errors import InvalidArtifact

Point = namedtuple("Point", "x y")


class Node:
    """An object that may lead anywhere."""

    def __init__(self, **attributes: Any) -> None:
        self.__dict__.update(attributes)


def digest(value: Any) -> str:
    return identity.of_object(value)


# All different from each other.
VALUES: list[Any] = [
    None, ..., True, False, 0, 1, -1, 2**200, 0.0, -0.0, 1.0, math.nan, math.inf, 1j, complex(0.0, -0.0),
    "", "1", "a", "\ud800", b"", b"a", bytearray(b"a"), [], (), {}, set(), frozenset(), [1], (1,), {1}, frozenset({1}),
    [[1], 2], [1, [2]], [[1, 2]], ["ab"], ["a", "b"], {"a": 1}, {"a": 1.0}, {1: 2, 2: 1}, {1: "a"}, {"a": {"b": 1}},
    np.float64(1), np.float32(1), np.int64(1), np.bool_(True), np.str_("a"), np.datetime64("2020-01-01"),
    np.dtype("f8"), np.dtype("f4"), np.dtype([("a", "f8")]), np.array(1.0), np.array([1.0]), np.array([[1.0]]),
    np.array([1]), np.array([-0.0]), np.array([0.0]), np.empty(0), np.empty((0, 2)), np.array(["a"]), np.array(["ab"]),
    np.array(["a"], dtype=object), np.array([None]), np.array([[1.0, 2.0]]), np.array([[1.0], [2.0]]),
    np.array([(1, 2.0)], dtype="i8,f8"), np.ma.array([1.0, 2.0], mask=[0, 1]), np.ma.array([1.0, 2.0], mask=[0, 0]),
    np.log1p, np.expm1, scipy.special.expit, np.mean, len, math.sin, Node, Point, Point(1, 2), Point(2, 1),
    Node(), Node(a=1), OrderedDict(a=1, b=2), OrderedDict(b=2, a=1), slice(1, 2), range(3),
    scipy.sparse.csr_matrix([[1.0]]), scipy.sparse.csc_matrix([[1.0]]), scipy.sparse.csr_array([[1.0]]),
    pd.Index(["a"]), pd.Index(["b"]), pd.Index([1]), pd.Index(["a"], dtype=object), pd.NA, pd.Timestamp(0),
    pd.RangeIndex(3), pd.Series([1.0]), pd.Series(["a"], name="b"), pd.DataFrame({"a": [1], "b": ["x"]}),
    pd.Categorical(["a", "b"]), pd.Categorical(["a", "b"], ordered=True), pd.MultiIndex.from_tuples([(1, "a")]),
    pd.array([1, None], dtype="Int64"), np.random.RandomState(0), np.random.RandomState(1),
    np.random.default_rng(0), np.random.default_rng(1),
]  # fmt: skip


def test_whatever_differs_has_another_content() -> None:
    assert len({digest(value) for value in VALUES}) == len(VALUES)
    assert [digest(value) for value in VALUES] == [digest(value) for value in VALUES]


def test_how_an_array_lies_in_memory_does_not_matter() -> None:
    plain = np.arange(12.0).reshape(3, 4)
    assert digest(plain) == digest(np.asfortranarray(plain)) == digest(np.repeat(plain, 2, axis=1)[:, ::2])


def test_padding_does_not_matter() -> None:
    aligned = np.dtype([("flag", "i1"), ("number", "f8")], align=True)
    # Not copied: a copy's padding is whatever its memory held before.
    one, other = (np.frombuffer(bytearray([fill]) * (3 * aligned.itemsize), dtype=aligned) for fill in (0, 255))
    for array in (one, other):
        array["flag"], array["number"] = 1, 2.5
    assert one.tobytes() != other.tobytes()
    assert digest(one) == digest(other)
    other["number"][2] = 3
    assert digest(one) != digest(other)


def test_what_lies_under_a_mask_does_not_matter() -> None:
    one, other = (np.ma.array([1.0, hidden], mask=[0, 1]) for hidden in (5.0, 6.0))
    assert digest(one) == digest(other)
    assert digest(np.ma.array([1.0, 5.0], mask=[1, 0])) != digest(one)


def test_how_a_sparse_matrix_was_filled_does_not_matter() -> None:
    one = scipy.sparse.csr_matrix((np.array([2.0, 1.0]), np.array([1, 0]), np.array([0, 2])), shape=(1, 2))
    other = scipy.sparse.csr_matrix([[1.0, 2.0]])
    other.indices = other.indices.astype(np.int64)
    assert digest(one) == digest(other)
    assert one.indices.tolist() == [1, 0]
    assert digest(other) != digest(scipy.sparse.csr_matrix([[1.0, 3.0]]))


def test_the_seed_tells_random_numbers_apart_and_nothing_else_does() -> None:
    for make in (np.random.RandomState, np.random.default_rng):
        one, other = make(7), make(7)
        assert digest(one) == digest(other)
        one.normal()
        assert digest(one) != digest(other)


def test_all_nan_are_one() -> None:
    negative = struct.unpack("<d", struct.pack("<Q", 0xFFF8000000000123))[0]
    assert digest(negative) == digest(math.nan)


def test_whether_equal_parts_are_one_object_does_not_matter() -> None:
    text, pair, inner = "a b".replace(" ", "-"), (1, "x"), {"k": [1, 2]}
    array = np.arange(3.0)
    shared = [text, text, pair, pair, inner, inner, array, array]
    apart = [text, "a-b", pair, (1, "x"), inner, {"k": [1, 2]}, array, array.copy()]
    assert digest(shared) == digest(apart)
    random = np.random.RandomState(3)
    assert digest([random, np.array([random], dtype=object)]) == digest(
        [np.random.RandomState(3), np.array([np.random.RandomState(3)], dtype=object)]
    )


def test_what_is_shared_over_and_over_is_walked_once() -> None:
    value: Any = (1,)
    for _ in range(100):
        value = (value, value)
    assert digest(value) == digest(value)


def test_the_order_of_names_does_not_matter_and_that_of_other_keys_does() -> None:
    assert digest({"a": 1, "b": [2]}) == digest({"b": [2], "a": 1})
    assert digest({1: "a", 2: "b"}) != digest({2: "b", 1: "a"})
    assert digest({"x", "y", "z", ("a", 1)}) == digest({("a", 1), "z", "y", "x"})


def ring(*names: str) -> Node:
    nodes = [Node(name=name) for name in names]
    for one, following in zip(nodes, nodes[1:] + nodes[:1], strict=True):
        one.following = following
    return nodes[0]


def test_cycles_have_a_content() -> None:
    itself: list[Any] = []
    itself.append(itself)
    assert digest(itself) != digest([[]])
    assert digest(ring("a", "b", "c")) == digest(ring("a", "b", "c"))
    rings = [ring("a"), ring("a", "b"), ring("b", "a"), ring("a", "b", "c"), ring("a", "c", "b"), ring("a", "b", "b")]
    assert len({digest(one) for one in rings}) == len(rings)
    loop = ring("a", "b")
    assert digest([loop, loop.following, loop]) == digest([ring("a", "b"), ring("b", "a"), ring("a", "b")])


def test_what_lies_on_a_cycle_is_the_same_from_wherever_it_was_reached() -> None:
    def family() -> tuple[Node, Node, Node]:
        parent, child, cousin = Node(name="parent"), Node(name="child"), Node(name="cousin")
        parent.children, child.parent, child.cousins, cousin.uncle = [child], parent, (cousin, cousin), parent
        return parent, child, cousin

    together = family()
    for order in ([0, 1, 2], [2, 1, 0], [1, 0, 2, 1]):
        assert digest([together[at] for at in order]) == digest([family()[at] for at in order])


def test_where_a_cycle_leads_back_to_matters() -> None:
    def chain(back_to: int) -> list[Any]:
        lists: list[list[Any]] = [[], [], [], []]
        for one, following in pairwise(lists):
            one.append(following)
        lists[3].append(lists[back_to])
        return lists[0]

    assert len({digest(chain(back_to)) for back_to in range(4)}) == 4
    assert digest(chain(2)) == digest(chain(2))


def test_used_pandas_objects_are_as_new() -> None:
    index = pd.Index(["b", "a", "c"])
    before = digest(index)
    assert index.get_loc("a") == 1
    assert index.is_unique
    assert digest(index) == before == digest(pd.Index(["b", "a", "c"])) == digest(pd.Index(["x", "b", "a", "c"])[1:])
    dates = pd.DatetimeIndex(["2020-01-01", "2020-01-03"])
    before = digest(dates)
    assert dates.is_monotonic_increasing
    assert dates.year.tolist() == [2020, 2020]
    assert digest(dates) == before


def deep(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def local() -> Any:
    return lambda: None


class Unwilling:
    def __reduce_ex__(self, protocol: Any) -> Any:
        raise KeyError("no")


class Odd:
    def __reduce_ex__(self, protocol: Any) -> Any:
        return (1, 2, 3, 4, 5, 6, 7, 8)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (deep(100_000), "list is nested too deeply"),
        ([threading.Lock()], "_thread.lock"),
        ({"a": (part for part in "ab")}, "generator"),
        (local(), "function"),
        ([Unwilling()], "Unwilling"),
        (Odd(), "Odd"),
        (np.frompyfunc(abs, 1, 1), "ufunc"),
        (type("Nameless", (), {}), "Nameless"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_what_has_no_content_is_refused_by_its_type(value: Any, said: str) -> None:
    with pytest.raises(InvalidArtifact, match=said):
        digest(value)


def test_a_set_that_leads_back_to_itself_is_refused() -> None:
    node = Node()
    node.friends = {Node(friend=node), Node(friend=node)}
    with pytest.raises(InvalidArtifact, match="no canonical content"):
        digest(node)


SCALARS = (
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=5) | some.binary(max_size=5)
)
GRAPHS = some.recursive(
    SCALARS,
    lambda inner: (
        some.lists(inner, max_size=4)
        | some.tuples(inner, inner)
        | some.dictionaries(some.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)


def spelled(value: Any) -> str:
    """What the digest must tell apart, as text."""
    if isinstance(value, dict):
        return f"{{{sorted((key, spelled(one)) for key, one in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"{type(value).__name__}{[spelled(one) for one in value]}"
    return repr(value)


@settings(derandomize=True, deadline=None, max_examples=300)
@given(GRAPHS, GRAPHS)
def test_any_two_values_have_one_content_where_they_are_equal(one: Any, other: Any) -> None:
    assert (digest(one) == digest(other)) == (spelled(one) == spelled(other))
