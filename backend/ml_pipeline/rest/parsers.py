"""Request bodies of the control plane, read as strictly as the data plane reads its own."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Mapping
from typing import IO, Any

from rest_framework.parsers import BaseParser, DataAndFiles, MultiPartParser

from ml_pipeline.errors import MalformedInput
from ml_pipeline.wire import forms, strict_json

MAX_ROWS = 10_000


class StrictJSONParser(BaseParser):
    """`application/json`, strict (see `wire.strict_json`)."""

    media_type = "application/json"

    def parse(self, stream: IO[Any], media_type: str | None = None, context: Mapping[str, Any] | None = None) -> Any:
        """The body's value. Raises MalformedInput."""
        return strict_json.loads(stream.read())


class StrictFormParser(BaseParser):
    """`application/x-www-form-urlencoded`: one value a field."""

    media_type = "application/x-www-form-urlencoded"

    def parse(self, stream: IO[Any], media_type: str | None = None, context: Mapping[str, Any] | None = None) -> Any:
        """The fields as strings. Raises MalformedInput."""
        return forms.loads(stream.read())


class UploadParser(MultiPartParser):
    """`multipart/form-data`, its names and fields in UTF-8 whatever charset its sender declares."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> DataAndFiles[Any, Any]:
        """Fields and files. Raises ParseError."""
        # A form has no charset of its own, and of those that Python knows some decode no text, or not all of it.
        return super().parse(stream, media_type, {**(parser_context or {}), "encoding": "utf-8"})


class CSVParser(BaseParser):
    """`text/csv` with a header line: a list of rows, every cell a string."""

    media_type = "text/csv"
    # What a table without lines must name all the same; of others each line is judged.
    columns = frozenset({"request_id", "feedback"})

    def parse(self, stream: IO[Any], media_type: str | None = None, context: Mapping[str, Any] | None = None) -> Any:
        """The rows as mappings of column to cell. Raises MalformedInput."""
        try:
            text = stream.read().decode("utf-8-sig")
            reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
            # One more than any view takes, so that it can refuse; a million short lines would take a gigabyte.
            rows = list(itertools.islice(reader, MAX_ROWS + 1))
            header = reader.fieldnames or ()
        except (UnicodeDecodeError, csv.Error) as error:
            raise MalformedInput(f"The body is not CSV in UTF-8: {error}.") from None
        if "\x00" in text or any(None in row or None in row.values() for row in rows):
            raise MalformedInput("The CSV has a NUL, or a line with more or fewer cells than its header.")
        if not rows and not self.columns.issubset(header):
            raise MalformedInput(f"The CSV has no lines, nor the columns {' and '.join(sorted(self.columns))}.")
        return rows
