"""Bodies of the data plane's requests: JSON, or forms as clients of the Django tutorial send them."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from ml_pipeline.apps.ml.algorithm import Algorithm
from ml_pipeline.apps.ml.decoding import Decoded
from ml_pipeline.apps.ml.records import Records
from ml_pipeline.apps.predictions.doors.heads import Head
from ml_pipeline.errors import Complaint, InvalidInput, UnsupportedMediaType
from ml_pipeline.wire import forms, strict_json

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
MAX_ROWS = 10_000


class EncodedBody(NamedTuple):
    """The bytes of a body and how its head says they are to be read."""

    content: bytes
    content_type: str
    content_encoding: str

    @classmethod
    def of(cls, head: Head, content: bytes) -> EncodedBody:
        """The body of the request with `head`."""
        return cls(content, head.header(b"content-type") or "", head.header(b"content-encoding") or "")

    def decode(self, algorithm: Algorithm) -> Decoded:
        """Its rows as `algorithm` takes them. Raises MalformedInput, UnsupportedMediaType and InvalidInput."""
        if _media_type(self.content_type, self.content_encoding) == FORM:
            return _validated([forms.loads(self.content)], algorithm, listed=False, coerce=True)
        decoded = algorithm.decoder.decode(self.content)
        if decoded is not None:
            _refuse_too_many(decoded.rows)
            return decoded
        value = strict_json.loads(self.content)
        if isinstance(value, list):
            return _validated(value, algorithm, listed=True)
        return _validated([value], algorithm, listed=False)

    def value(self) -> Any:
        """What it spells: any JSON value, or a form's fields. Raises MalformedInput and UnsupportedMediaType."""
        is_form = _media_type(self.content_type, self.content_encoding) == FORM
        return forms.loads(self.content) if is_form else strict_json.loads(self.content)


def _validated(items: Sequence[Any], algorithm: Algorithm, *, listed: bool, coerce: bool = False) -> Decoded:
    _refuse_too_many(items)
    signature = algorithm.signature
    return Decoded(Records.of(signature.rows(items, coerce=coerce), signature.names), listed)


def _refuse_too_many(rows: Sequence[Any]) -> None:
    if not 1 <= len(rows) <= MAX_ROWS:
        raise InvalidInput([Complaint(None, None, f"1 to {MAX_ROWS} rows", f"{len(rows)} rows")])


@functools.lru_cache(maxsize=256)
def _media_type(content_type: str, content_encoding: str) -> str:
    media_type, _, parameters = content_type.partition(";")
    media_type = media_type.strip().lower() or JSON
    charset = re.search(r'charset="?([\w-]+)', parameters.lower())
    encoding = content_encoding.strip().lower()
    if encoding not in ("", "identity"):
        raise UnsupportedMediaType(f"The body is {encoding[:40]}-encoded; send it as it is.")
    if media_type not in (JSON, FORM) or (charset and charset[1] not in ("utf-8", "utf8", "us-ascii")):
        raise UnsupportedMediaType(f"This route reads {JSON} and {FORM}, in UTF-8.")
    return media_type
