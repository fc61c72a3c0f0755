"""What is framed comes out as it went in; whatever else comes over the wire is a broken frame and nothing worse."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hostile_models import UTTERANCES
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from ml_pipeline.apps.ml.isolation import frames
from ml_pipeline.apps.ml.isolation.frames import BrokenFrame, Frame

FLOATS = st.floats(allow_nan=True, allow_infinity=True)
# Lone surrogates, NUL and all: what the strict parser refuses is not this layer's business.
TEXTS = st.text(st.characters())


@st.composite
def tables(draw: st.DrawFn) -> dict[str, Any]:
    rows = draw(st.integers(0, 6))
    names = draw(st.lists(TEXTS, unique=True, max_size=6))
    table: dict[str, Any] = {}
    for name in names:
        kind = draw(st.sampled_from(["<f8", "<f4", "<i8", "|b1", "text"]))
        if kind == "text":
            table[name] = np.array(draw(st.lists(TEXTS, min_size=rows, max_size=rows)), dtype=object)
        else:
            table[name] = draw(arrays.arrays(kind, rows))
    return table


def through(sent: bytes, **limits: int) -> Frame:
    """What comes out at the other end of a socket pair that is closed after `sent`."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        writer = threading.Thread(target=lambda: (theirs.sendall(sent), theirs.shutdown(socket.SHUT_WR)))
        writer.start()
        try:
            return frames.received(ours, time.monotonic() + 60, **limits)
        finally:
            ours.shutdown(socket.SHUT_RD)
            writer.join()


@given(tables(), st.integers(0, 2**40))
def test_columns_come_out_as_they_went_in(table: dict[str, Any], call: int) -> None:
    frame = through(frames.of_columns(call, table))
    assert frame.header["call"] == call
    columns = frames.columns_of(frame)
    assert list(columns) == list(table)
    for name, column in table.items():
        assert columns[name].dtype == column.dtype
        np.testing.assert_array_equal(columns[name], column)


def test_columns_may_be_changed_by_the_model_as_in_process() -> None:
    columns = frames.columns_of(through(frames.of_columns(1, {"x": np.zeros(3)})))
    columns["x"][0] = 1.0
    assert columns["x"].tolist() == [1.0, 0.0, 0.0]


@given(arrays.arrays(st.sampled_from(["<f8", "<f4"]), arrays.array_shapes(min_dims=0, max_dims=3, min_side=0)))
def test_an_output_comes_out_as_it_went_in(output: Any) -> None:
    came = frames.output_of(through(frames.of_output(7, output, 1000)))
    assert came.dtype == output.dtype
    np.testing.assert_array_equal(came, output)


@pytest.mark.parametrize("output", [np.arange(3), np.array([True, False]), np.float16([0.5, 2]), [1, 2.5], 3])
def test_other_numbers_become_floats(output: Any) -> None:
    came = frames.output_of(through(frames.of_output(7, output, 1000)))
    assert came.dtype == np.float64
    np.testing.assert_array_equal(came, np.asarray(output, dtype=np.float64))


def test_an_output_may_lie_in_memory_as_it_likes() -> None:
    output = np.asfortranarray(np.arange(12.0).reshape(3, 4))[:, ::2]
    np.testing.assert_array_equal(frames.output_of(through(frames.of_output(1, output, 3))), output)


@pytest.mark.parametrize("output", [["yes"], [None], [object()], np.array(["2026-01-01"], dtype="M8[D]")])
def test_what_are_no_numbers_is_refused_before_it_is_sent(output: Any) -> None:
    with pytest.raises(TypeError, match="not of numbers"):
        frames.of_output(1, output, 1)


def test_an_output_beyond_all_measure_is_refused_before_it_is_sent() -> None:
    with pytest.raises(ValueError, match="too large"):
        frames.of_output(1, np.zeros((1, frames.MAX_OUTPUTS_A_ROW + 1)), 1)


@given(st.binary(max_size=200) | st.binary(max_size=100).map(lambda noise: frames.encoded({"call": 1}) + noise))
def test_any_bytes_are_a_frame_or_broken(noise: bytes) -> None:
    try:
        frame = through(noise, header_bytes=frames.MAX_HEADER_BYTES, body_bytes=1000)
    except (BrokenFrame, EOFError):
        return
    assert isinstance(frame.header, dict)


@given(st.recursive(st.none() | st.booleans() | st.integers() | FLOATS | TEXTS, st.lists, max_leaves=5), st.binary())
def test_any_header_gives_an_output_or_a_broken_frame(value: Any, body: bytes) -> None:
    described = [{"dtype": value, "shape": [1]}, {"dtype": "<f8", "shape": value}, {"dtype": "<f4", "shape": [value]}]
    for output in (value, *described):
        try:
            came = frames.output_of(Frame({"output": output}, bytearray(body)))
        except BrokenFrame:
            continue
        assert came.nbytes <= len(body)


@pytest.fixture(params=UTTERANCES.values(), ids=UTTERANCES)
def utterance(request: pytest.FixtureRequest) -> Iterator[bytes]:
    return request.param


def test_what_a_hostile_child_says_is_no_answer(utterance: bytes) -> None:
    try:
        frame = through(utterance, header_bytes=frames.MAX_HEADER_BYTES, body_bytes=1000)
    except (BrokenFrame, EOFError):
        return
    if frame.header["call"] == 1:
        with pytest.raises(BrokenFrame):
            frames.output_of(frame)


def test_sizes_are_judged_before_anything_is_read() -> None:
    with pytest.raises(BrokenFrame, match="too large"):
        through(frames.encoded({"call": 1}, bytes(2000)), header_bytes=100, body_bytes=1000)
    with pytest.raises(BrokenFrame, match="too large"):
        through(frames.encoded({"call": "x" * 200}), header_bytes=100, body_bytes=1000)


def test_a_silent_peer_is_given_up_in_time() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(TimeoutError):
        frames.received(ours, time.monotonic() + 0.05)


@given(TEXTS, TEXTS)
def test_what_a_child_says_of_an_error_fits_a_line(kind: str, message: str) -> None:
    frame = through(frames.encoded({"call": 1, "error": {"type": kind, "message": message}}))
    for text in frames.error_of(frame) or pytest.fail("it tells of an error"):
        assert text.isprintable()
        assert len(text) <= frames.MAX_TEXT


@pytest.mark.parametrize("error", [None, 7, "text", ["list"]])
def test_only_an_object_tells_of_an_error(error: Any) -> None:
    assert frames.error_of(Frame({"error": error}, bytearray())) is None
    assert frames.error_of(Frame({"error": {"type": 3}}, bytearray())) == ("?", "?")
