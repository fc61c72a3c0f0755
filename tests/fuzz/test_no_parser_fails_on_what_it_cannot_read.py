"""Whatever comes, a parser gives a value or the error that is told with a 4xx; a setting's gives ValueError."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from django.core.exceptions import ValidationError
from hypothesis import given, settings
from hypothesis import strategies as some

from ml_pipeline.apps.endpoints import endpoints, tags
from ml_pipeline.apps.endpoints.api import uploads, waiting
from ml_pipeline.apps.endpoints.models import Endpoint, MLRequest
from ml_pipeline.apps.ml.decoding import RowDecoder
from ml_pipeline.apps.ml.registration import submission, tables
from ml_pipeline.apps.ml.registration.submission import FileGiven
from ml_pipeline.apps.ml.signature import Feature, Signature
from ml_pipeline.apps.predictions.doors import heads, questions
from ml_pipeline.apps.predictions.doors.heads import Head
from ml_pipeline.errors import MLPipelineError
from ml_pipeline.rest import addresses, lists, moments
from ml_pipeline.rest.parsers import CSVParser
from ml_pipeline.server import configuration
from ml_pipeline.wire import replies

repeatable = settings(derandomize=True, deadline=None, max_examples=200)

# Numbers, times, names and addresses, and what their readers stumble over.
PIECES = some.sampled_from(
    [
        *"09aez_-+.:,%=&;/@ \t\n\x00\r",
        "\uff11",
        "٣",
        "�",
        "é",
        "1_000",
        "-5",
        "9" * 5000,
        "2026-01-31T12:00:00Z",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        "e-999",
        "nan",
        "10.0.0.1",
        "::ffff:1",
        "fe80::1%x",
        "~nobody-here",
        "status=",
        "unit=",
        "%ff",
        "%00",
        "sqlite:///",
        '"',
        "\ufeff",
        "request_id,feedback\n",
    ]
)
TEXTS = some.text() | some.lists(PIECES, max_size=6).map("".join)


def told(parser: Callable[[], Any]) -> None:
    """`parser` gives a value, or an error that maps to a 4xx."""
    try:
        parser()
    except MLPipelineError as error:
        status = replies.reply_to(error).status
    else:
        status = 400
    assert 400 <= status < 500


def query(text: str) -> Head:
    return Head("POST", "/", text, {b"x-unit": text.encode("utf-8", "replace")[:300]})


READERS: dict[str, Callable[[str], Any]] = {
    "limit": lists.KeysetPagination.limit,
    "before, a number": lambda text: lists.KeysetPagination._key(Endpoint, text),
    "before, a UUID": lambda text: lists.KeysetPagination._key(MLRequest, text),
    "at": moments.read,
    "wait": waiting.seconds,
    "metadata": lambda text: submission.checked_metadata(uploads._loaded(text.encode("utf-8", "replace").decode())),
    "an endpoint's name": lambda text: endpoints.check_name(text, "name"),
    "a tag": lambda text: tags.check({text: text}),
    "a query": lambda text: questions.asked("one", None, query(text)),
    "X-Forwarded-For": lambda text: addresses.client_address(
        SimpleNamespace(META={"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": text})
    ),
    "a peer": lambda text: addresses.client_address(SimpleNamespace(META={"REMOTE_ADDR": text})),
}


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
@repeatable
@given(TEXTS)
def test_a_text_is_read_or_refused(reader: Callable[[str], Any], text: str) -> None:
    told(lambda: reader(text))


@pytest.mark.parametrize("setting", configuration.TABLE, ids=lambda setting: setting.variable)
@repeatable
@given(TEXTS)
def test_a_setting_is_read_or_says_what_it_expects(setting: configuration.Setting, text: str) -> None:
    try:
        setting.read(text)
    except ValueError as error:
        expected = str(error)
    else:
        expected = ""
    assert "Exceeds the limit" not in expected


@pytest.mark.parametrize("model", [Endpoint, MLRequest])
@pytest.mark.parametrize(
    "text", ["1_000", "-5", "+5", " 5", "\uff11\uff12", "\u0663", "0" * 31 + "\uff11", "9" * 5_000, "5\n"]
)
def test_only_plain_digits_are_an_id(model: Any, text: str) -> None:
    with pytest.raises(MLPipelineError):
        lists.KeysetPagination._key(model, text)
    with pytest.raises(ValidationError):
        lists.RowIdFilter().field.clean("1_000")


@repeatable
@given(some.binary(max_size=60))
def test_a_head_announces_a_length_or_is_refused(value: bytes) -> None:
    told(lambda: heads.check_length(Head("POST", "/", "", {b"content-length": value})))


@repeatable
@given(some.binary() | TEXTS.map(lambda text: text.encode("utf-8", "replace")))
def test_feedback_is_csv_or_malformed(body: bytes) -> None:
    told(lambda: CSVParser().parse(io.BytesIO(body)))


ROW = b'{"age": 39, "hours": 40.5, "work": "Private", "married": true}'
FEATURES = (
    Feature("age", "integer"),
    Feature("hours", "number"),
    Feature("work", "string", nullable=True),
    Feature("married", "boolean"),
)
DECODER = RowDecoder(Signature(FEATURES, "regression"))


def mutated(content: bytes) -> some.SearchStrategy[bytes]:
    """`content` with some of its bytes changed, or cut short."""
    changes = some.lists(some.tuples(some.integers(0, len(content) - 1), some.integers(0, 255)), max_size=8)

    def apply(places: list[tuple[int, int]], end: int) -> bytes:
        result = bytearray(content)
        for place, byte in places:
            result[place] = byte
        return bytes(result[:end])

    return some.builds(apply, changes, some.just(len(content)) | some.integers(0, len(content)))


@repeatable
@given(some.binary() | mutated(ROW) | mutated(b"[" + ROW + b"," + ROW + b"]"))
def test_any_bytes_are_decoded_at_once_or_left_to_the_strict_parser(body: bytes) -> None:
    DECODER.decode(body)


CSV = b'age,work\n39,Private\n50,"Self, or\nnot"\n,\n'


def parquet(columns: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns), buffer)
    return buffer.getvalue()


PARQUET = parquet({"age": [39, 50, None], "work": ["a", None, "b"], "hours": [1.5, float("nan"), 2.0]})


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tables") / "table"


def read(file: Path, content: bytes, kind: str) -> None:
    file.write_bytes(content)
    table = tables.read(FileGiven(str(file), kind), "sample")
    for name in table.columns:
        tables.feature(name, [table])


@repeatable
@given(content=some.binary() | mutated(CSV))
def test_a_sample_is_csv_or_no_artifact(file: Path, content: bytes) -> None:
    told(lambda: read(file, content, "csv"))


@repeatable
@given(content=some.binary() | mutated(PARQUET))
def test_a_sample_is_parquet_or_no_artifact(file: Path, content: bytes) -> None:
    told(lambda: read(file, content, "parquet"))


@pytest.mark.parametrize(
    "column",
    [
        pyarrow.array([2**31 - 1], pyarrow.date32()),
        pyarrow.array([2**62], pyarrow.timestamp("us")),
        pyarrow.array([1], pyarrow.timestamp("us", tz="No/Where")),
        pyarrow.array([2**62], pyarrow.duration("s")),
    ],
    ids=lambda column: str(column.type),
)
def test_cells_that_python_cannot_hold_are_refused(file: Path, column: Any) -> None:
    told(lambda: read(file, parquet({"when": column}), "parquet"))
