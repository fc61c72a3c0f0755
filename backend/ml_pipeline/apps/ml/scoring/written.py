"""Written: a chunk's rows as they came, with their answers, in CSV.

A row keeps its bytes where no cell of the chunk is a formula to a spreadsheet; else its cells are written anew. Each
line ends with LF.

A formula is text that begins with `=`, `+`, `-`, `@`, a tab, CR or LF, as OWASP's page on CSV injection has it; so are
the full-width forms of the signs, which spreadsheets of East Asia may take for the same, and signs behind blanks, which
some drop. A number in ASCII is none, with blanks before it or not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml_pipeline.apps.ml.scoring import columns
from ml_pipeline.apps.ml.scoring.records import Places
from ml_pipeline.apps.ml.scoring.tables import Chunk

_SIGNS, _WIDE = "=+-@", "\uff1d\uff0b\uff0d\uff20"
_BLANKS = " \u00a0\u3000"
_STARTS = rf"(?:[\t\r\n]|[{_BLANKS}]*[=+\-@{_WIDE}])"
# What a spreadsheet takes for a number is none of its formulas.
_NUMBER = r" *[+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][+-]?\d+)?"
_FORMULA = re.compile(rf"\A{_STARTS}")
_IS_NUMBER = re.compile(rf"\A{_NUMBER}", re.ASCII)
# The same in bytes of UTF-8.
_SIGN = b"(?:%s)" % b"|".join(re.escape(one.encode()) for one in _SIGNS + _WIDE)
_BLANK = b"(?:%s)" % b"|".join(re.escape(one.encode()) for one in _BLANKS)


def header(names: Sequence[str], delimiter: str) -> bytes:
    """The first line of the output."""
    return delimiter.join(cell(name, delimiter) for name in names).encode() + b"\n"


def cell(text: str, delimiter: str) -> str:
    """The cell that says `text`: after an apostrophe where a spreadsheet would run it, in quotes where needed."""
    if _FORMULA.match(text) and not _IS_NUMBER.fullmatch(text):
        text = f"'{text}"
    if any(one in text for one in (delimiter, '"', "\r", "\n")):
        text = '"' + text.replace('"', '""') + '"'
    return text


def rows(chunk: Chunk, places: Places, answers: Sequence[pa.Array]) -> pa.Buffer:
    """The lines of the chunk's rows at `places`, each with its cells of `answers`, which are written already."""
    delimiter = chunk.dialect.delimiter
    plain = _plain(chunk)
    if plain is None:
        read = chunk.read(chunk.dialect.header)
        at = pa.array(np.searchsorted(read.places, places))
        return anew([column.take(at) for column in read.columns.values()], answers, delimiter)
    lines = _lines(plain, chunk)
    if len(places) < len(lines):
        lines = lines.take(pa.array(places))
    cells = [one.cast(pa.binary()) for one in answers]
    written = columns.content(pc.binary_join_element_wise(lines, *cells, delimiter.encode()))
    # Each line has the break before it rather than behind.
    return pa.py_buffer(b"".join((memoryview(written)[1:], b"\n"))) if written.size else written


def anew(texts: Sequence[pa.Array], answers: Sequence[pa.Array], delimiter: str) -> pa.Buffer:
    """The lines of rows whose columns are `texts`, each with its cells of `answers`, which are written already."""
    lines = pc.binary_join_element_wise(*(_cells(one, delimiter) for one in texts), *answers, delimiter)
    return columns.content(columns.joined([lines, "\n"]))


def _plain(chunk: Chunk) -> bytes | None:
    """The chunk's content, its lines ended by LF alone; None where its cells have to be written anew."""
    content = chunk.content
    if not chunk.are_rows.all():
        return None
    if b"\r" in content:
        if b'"' in content or content.count(b"\r") != content.count(b"\r\n"):
            return None
        content = content.replace(b"\r\n", b"\n")
    return None if _may_run(content, chunk.dialect.delimiter.encode()) else content


def _may_run(content: bytes, delimiter: bytes) -> bool:
    """Whether a cell of the content may be a formula; one that is a number is none."""
    # Behind a quote even the delimiter may begin a cell.
    if delimiter == b"\t" and b'"\t' in content:
        return True
    # Bytes are looked for much faster than a pattern, and mostly they are not there.
    befores = (delimiter, b"\n", b'"') if b'"' in content else (delimiter, b"\n")
    firsts = tuple(_firsts(content, delimiter))
    is_odd = content.startswith(firsts) or any(before + first in content for before in befores for first in firsts)
    if not is_odd and b'"\n' not in content:
        return False
    edge = b"\n" + re.escape(delimiter)
    its = _BLANK + b"*" + _SIGN if delimiter == b"\t" else b"(?:\t|" + _BLANK + b"*" + _SIGN + b")"
    # A number to the end of its cell, with quotes or without.
    number = _NUMBER.encode() + b"%s(?:[" + edge + rb"]|\Z)"
    # Without quotes the delimiter ends the cell, although a number may have it for its decimal point.
    bare = number.replace(b"[.,]", b"[.]") if delimiter == b"," else number
    begun = rb"(?:\A|[" + edge + b"])"
    plain = begun + b"(?!" + bare % b"" + b")" + its
    formula = plain + b'|"(?!' + number % b'"' + b")" + its
    return re.search(begun + b'"\n', content) is not None or (is_odd and re.search(formula, content) is not None)


def _firsts(content: bytes, delimiter: bytes) -> Iterator[bytes]:
    """What a formula of the content may begin with."""
    is_ascii = content.isascii()
    signs = [one.encode() for one in (_SIGNS if is_ascii else _SIGNS + _WIDE)]
    blanks = [one.encode() for one in (_BLANKS[0] if is_ascii else _BLANKS)]
    yield from (one for one in (*signs, b"\t") if one != delimiter and one in content)
    if any(blank + sign in content for blank in blanks for sign in signs):
        yield from (blank for blank in blanks if blank in content)


def _lines(content: bytes, chunk: Chunk) -> pa.Array:
    """Each row as it came, after a line break, without the one at its end."""
    broken = b"\n" + content.removesuffix(b"\n")
    # Where only ends of lines were changed there are no quotes, and every line is a row.
    is_as_it_came = content is chunk.content
    begins = chunk.spans[0] if is_as_it_came else np.flatnonzero(np.frombuffer(broken, dtype=np.uint8) == 10)
    offsets = np.append(begins, len(broken)).astype(np.int32)
    return pa.Array.from_buffers(pa.binary(), len(begins), [None, pa.py_buffer(offsets), pa.py_buffer(broken)])


def _cells(texts: pa.Array, delimiter: str) -> pa.Array:
    """Each text as its `cell`."""
    texts = texts.fill_null("")
    odd = pc.match_substring_regex(texts, pattern=f"^{_STARTS}")
    if pc.any(odd).as_py():
        number = pc.match_substring_regex(texts, pattern=f"^{_NUMBER}$")
        texts = pc.if_else(pc.and_not(odd, number), columns.joined(["'", texts]), texts)
    quoted = pc.match_substring_regex(texts, pattern=rf'[{delimiter}"\r\n]')
    if pc.any(quoted).as_py():
        doubled = pc.replace_substring(texts, pattern='"', replacement='""')
        texts = pc.if_else(quoted, columns.joined(['"', doubled, '"']), texts)
    return texts
