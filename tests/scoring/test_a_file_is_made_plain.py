"""A file comes as people have it: compressed, in another encoding, with a byte order mark; then it is UTF-8."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from ml_pipeline.apps.ml.scoring import dialects, sources
from ml_pipeline.errors import BodyTooLarge, MalformedInput

TEXT = "größe,name\n1,“Ö”\n"


def plain(folder: Path, content: bytes, encoding: str | None = None, most_bytes: int = 10_000_000) -> bytes:
    source = folder / "came"
    source.write_bytes(content)
    made = sources.made_plain(source, folder / "plain", encoding=encoding, most_bytes=most_bytes)
    return made.read_bytes()


@pytest.mark.parametrize(
    ("encoding", "declared"),
    [("utf-8", None), ("utf-16", None), ("utf-16", "utf-16"), ("utf-16-be", "utf-16-be"), ("cp1252", "cp1252")],
)
@pytest.mark.parametrize("packed", [False, True])
def test_text_in_its_encoding_is_utf_8(tmp_path: Path, encoding: str, declared: str | None, packed: bool) -> None:
    content = TEXT.encode(encoding)
    assert plain(tmp_path, gzip.compress(content) if packed else content, declared).decode() == TEXT


def test_what_is_plain_is_not_copied(tmp_path: Path) -> None:
    assert plain(tmp_path, TEXT.encode()).decode() == TEXT
    assert not (tmp_path / "plain").exists()


def test_parquet_is_no_text_whatever_is_said(tmp_path: Path) -> None:
    assert plain(tmp_path, gzip.compress(b"PAR1\xff\xfe"), "latin-1") == b"PAR1\xff\xfe"


def test_a_character_across_two_blocks_stays_whole(tmp_path: Path) -> None:
    text = "x" + "ö" * sources.BLOCK_BYTES
    assert plain(tmp_path, gzip.compress(text.encode("utf-16")), "utf-16").decode() == text


@pytest.mark.parametrize(
    ("content", "declared"),
    [("a\n1\n".encode("utf-16") + b"\x00\xd8x\x00\n\x002\x00\n\x00", "utf-16"), (b"a\n1\n\x81x\n2\n", "cp1252")],
)
def test_text_that_is_not_in_its_encoding_spoils_its_row_alone(tmp_path: Path, content: bytes, declared: str) -> None:
    lines = plain(tmp_path, content, declared).split(b"\n")
    assert [lines[0], lines[1], lines[3]] == [b"a", b"1", b"2"]
    with pytest.raises(UnicodeDecodeError):
        lines[2].decode()


def test_what_expands_too_far_is_refused_and_gone(tmp_path: Path) -> None:
    with pytest.raises(BodyTooLarge, match="more than 5,000,000 bytes"):
        plain(tmp_path, gzip.compress(bytes(50_000_000)), most_bytes=5_000_000)
    assert not (tmp_path / "plain").exists()


@pytest.mark.parametrize("content", [gzip.compress(TEXT.encode(), mtime=0)[:-9], b"\x1f\x8bno gzip at all"])
def test_gzip_that_is_cut_off_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(MalformedInput, match="not whole gzip"):
        plain(tmp_path, content)


def test_an_encoding_that_is_not_known_is_named(tmp_path: Path) -> None:
    with pytest.raises(MalformedInput, match="'rot13' is not"):
        plain(tmp_path, b"a\n", "rot13")


def test_utf_16_that_does_not_say_so_is_refused_with_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "rows"
    path.write_bytes(TEXT.encode("utf-16-le"))
    with pytest.raises(MalformedInput, match="Declare the encoding"):
        dialects.read(path)
