"""Parquet files of a few bytes, made by hand, that say what no writer would: a page of billions, rows that are not."""

from __future__ import annotations

# Kinds of fields in Thrift's compact protocol.
_I32, _I64, _TEXT, _LIST, _STRUCT = 5, 6, 8, 9, 12
# Of Parquet.
INT64, BYTE_ARRAY = 2, 6
PLAIN, DELTA_BINARY, DELTA_LENGTHS, DELTA_TEXTS, DICTIONARY = 0, 5, 6, 7, 8
UNCOMPRESSED, ZSTD = 0, 6
MARK = b"PAR1"


def number(value: int) -> bytes:
    """Seven bits a byte, the least first."""
    found = b""
    while value > 127:
        found += bytes([value & 127 | 128])
        value >>= 7
    return found + bytes([value])


def signed(value: int) -> bytes:
    """A number that may be negative, small ones short."""
    return number((value << 1) ^ (value >> 63))


class Struct:
    """One of Thrift's structures, field by field in the order of their numbers."""

    def __init__(self) -> None:
        self._content, self._last = b"", 0

    def _field(self, at: int, kind: int, content: bytes) -> Struct:
        self._content += bytes([(at - self._last) << 4 | kind]) + content
        self._last = at
        return self

    def i32(self, at: int, value: int) -> Struct:
        return self._field(at, _I32, signed(value))

    def i64(self, at: int, value: int) -> Struct:
        return self._field(at, _I64, signed(value))

    def text(self, at: int, value: bytes) -> Struct:
        return self._field(at, _TEXT, number(len(value)) + value)

    def struct(self, at: int, value: Struct) -> Struct:
        return self._field(at, _STRUCT, value.content)

    def several(self, at: int, kind: int, values: list[bytes]) -> Struct:
        head = bytes([len(values) << 4 | kind]) if len(values) < 15 else bytes([0xF0 | kind]) + number(len(values))
        return self._field(at, _LIST, head + b"".join(values))

    @property
    def content(self) -> bytes:
        return self._content + b"\0"


def same(count: int) -> bytes:
    """The place 0 of a dictionary, `count` times."""
    return bytes([1]) + number(count << 1) + b"\0"


def deltas(count: int) -> bytes:
    """`count` zeros as differences of zero, in one block."""
    return number(min(128 * (-(-count // 128)), 2**31 - 128)) + number(1) + number(count) + b"\0\0\0"


def page(values: int, encoding: int, body: bytes, *, expanded: int | None = None) -> bytes:
    """A page of values; `expanded` is what it says that it expands to."""
    about = Struct().i32(1, values).i32(2, encoding).i32(3, 3).i32(4, 3)
    size = len(body) if expanded is None else expanded
    return Struct().i32(1, 0).i32(2, size).i32(3, len(body)).struct(5, about).content + body


def dictionary(values: int, body: bytes = bytes(8)) -> bytes:
    """A page of so many values for others to refer to."""
    about = Struct().i32(1, values).i32(2, PLAIN)
    return Struct().i32(1, 2).i32(2, len(body)).i32(3, len(body)).struct(7, about).content + body


def file(
    rows: int,
    pages: bytes,
    *,
    encoding: int = DICTIONARY,
    kind: int = INT64,
    codec: int = UNCOMPRESSED,
    dictionary_bytes: int = 0,
    groups: int = 1,
    total: int | None = None,
) -> bytes:
    """A file of one column, whose groups all say that these `pages` are their `rows`."""
    chunk = Struct().i32(1, kind).several(2, _I32, [signed(encoding)]).several(3, _TEXT, [number(3) + b"age"])
    chunk.i32(4, codec).i64(5, rows).i64(6, len(pages)).i64(7, len(pages)).i64(9, 4 + dictionary_bytes)
    if dictionary_bytes:
        chunk.i64(11, 4)
    column = Struct().i64(2, 4).struct(3, chunk)
    group = Struct().several(1, _STRUCT, [column.content]).i64(2, len(pages)).i64(3, rows).content
    leaf = Struct().i32(1, kind).i32(3, 0).text(4, b"age")
    if kind == BYTE_ARRAY:
        leaf.i32(6, 0)
    schema = [Struct().text(4, b"rows").i32(5, 1).content, leaf.content]
    about = Struct().i32(1, 2).several(2, _STRUCT, schema).i64(3, rows * groups if total is None else total)
    return MARK + pages + ended(about.several(4, _STRUCT, [group] * groups).content)


def ended(footer: bytes, length: int | None = None) -> bytes:
    """The end of a file: its footer, and how long it says that this is."""
    return footer + (len(footer) if length is None else length).to_bytes(4, "little") + MARK
