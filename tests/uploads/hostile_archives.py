"""Zip archives that no honest packer makes, and bundles of any files."""

from __future__ import annotations

import hashlib
import io
import json
import stat
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Mapping

import wine


def bundle(files: Mapping[str, bytes], **manifest: object) -> dict[str, bytes]:
    """The members of a training bundle of `files`, its manifest in order."""
    named = {name: {"sha256": hashlib.sha256(content).hexdigest()} for name, content in files.items()}
    document = {"format": 1, "name": "hostile", "algorithm": "pipeline", "files": named, **manifest}
    return {"manifest.json": json.dumps(document).encode(), **files}


def packed(members: Mapping[str, bytes] | Iterable[tuple[str | zipfile.ZipInfo, bytes]]) -> bytes:
    """A zip of `members`, in their order and under their very names."""
    pairs = members.items() if isinstance(members, Mapping) else members
    content = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        warnings.simplefilter("ignore")
        for name, data in pairs:
            archive.writestr(name, data)
    return content.getvalue()


def honest() -> dict[str, bytes]:
    """The members of a bundle that can be registered."""
    return bundle({"model.skops": wine.skops_file(), "sample.csv": wine.csv()})


def slips(target: str) -> dict[str, bytes]:
    """Case to a zip that would write `target`, an absolute path, or some other place outside of its folder."""
    up = "../" * 12 + target.lstrip("/")
    names = {
        "a name that goes up": up,
        "a name that goes up from a folder": f"a/../../{up}",
        "an absolute name": target,
        "an absolute name with two strokes": f"/{target}",
        "backslashes": up.replace("/", "\\"),
        "a drive letter": "C:\\canary.txt",
        "a drive letter and no stroke": "C:canary.txt",
        "a share": "\\\\127.0.0.1\\share\\canary.txt",
        "a dot": ".",
        "two dots": "..",
        "nested folders": "one/two/three.txt",
        "a control character": "bad\x01name",
        "strokes that look alike": "..\u2215..\u2215canary.txt",
        "full-width dots": "\uff0e\uff0e\u2215canary.txt",
        "a very long name": "n" * 60_000,
        "a name too long for a file": "n" * 300,
    }
    cases = {name: packed([*honest().items(), (member, b"tweet")]) for name, member in names.items()}
    return {**cases, **_kinds(target), "a name with NUL": _with_nul()}


def _kinds(target: str) -> dict[str, bytes]:
    cases = {"a model that is a link": linked("model.skops", target)}
    for name, kind, data in (("a fifo", stat.S_IFIFO, b""), ("a device", stat.S_IFBLK, b"")):
        info = zipfile.ZipInfo(name)
        info.create_system, info.external_attr = 3, (kind | 0o777) << 16
        others = {other: content for other, content in honest().items() if other != name}
        cases[f"{name} that is {stat.filemode(kind)[0]}"] = packed([*others.items(), (info, data)])
    through = zipfile.ZipInfo("linked")
    through.create_system, through.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    folder = target.rpartition("/")[0]
    cases["a link and a file through it"] = packed(
        [*honest().items(), (through, folder.encode()), ("linked/canary.txt", b"tweet")]
    )
    return cases


def linked(name: str, target: str) -> bytes:
    """An honest bundle whose member `name` is a link to `target`."""
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    others = {other: content for other, content in honest().items() if other != name}
    return packed([*others.items(), (info, target.encode())])


def _with_nul() -> bytes:
    # zipfile cuts a name at its NUL when it writes and when it reads, so it is patched in.
    return packed([*honest().items(), ("abc@evil.txt", b"tweet")]).replace(b"abc@evil.txt", b"abc\0evil.txt")


def oddities() -> dict[str, bytes]:
    """Case to a zip that is odd in another way than its names."""
    members = list(honest().items())
    return {
        "a member twice": packed([*members, ("model.skops", b"another")]),
        "the manifest twice": packed([*members, ("manifest.json", members[0][1])]),
        "a member twice, once in capitals": packed([*members, ("MODEL.SKOPS", b"another"), ("Model.skops", b"x")]),
        "encrypted members": _flagged(packed(members)),
        "a zip within a zip": packed({"bundle.zip": packed(members)}),
        "an empty zip": packed({}),
        "half a zip": packed(members)[: len(packed(members)) // 2],
        "a zip with rubbish for content": _rubbish(packed(members)),
        "100,000 members": packed([*members, *((f"{at}.txt", b"") for at in range(100_000))]),
        "a compression nobody knows": _method(packed(members), 97),
        "two folders": packed({"a/manifest.json": b"{}", "b/model.skops": b""}),
        "a manifest that is deep": packed({"manifest.json": b"[" * 100_000}),
        "a manifest with a huge number": packed({"manifest.json": b'{"format": ' + b"9" * 100_000 + b', "files": {}}'}),
    }


def _headers(content: bytes) -> Iterable[tuple[int, int]]:
    # The places of the local and of the central headers, and where in each the flags are.
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for info in archive.infolist():
            yield info.header_offset, 6
    at = content.find(b"PK\x01\x02")
    while at >= 0:
        yield at, 8
        at = content.find(b"PK\x01\x02", at + 1)


def _flagged(content: bytes) -> bytes:
    changed = bytearray(content)
    for place, offset in _headers(content):
        changed[place + offset] |= 1
    return bytes(changed)


def _method(content: bytes, method: int) -> bytes:
    changed = bytearray(content)
    for place, offset in _headers(content):
        struct.pack_into("<H", changed, place + offset + 2, method)
    return bytes(changed)


def _rubbish(content: bytes) -> bytes:
    changed = bytearray(content)
    for at in range(60, min(2_000, len(changed) // 2)):
        changed[at] ^= 0x5A
    return bytes(changed)


def lying(content: bytes, says: int) -> bytes:
    """`content`, a zip, whose every header says that its member expands to `says` bytes."""
    changed = bytearray(content)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for info in archive.infolist():
            struct.pack_into("<I", changed, info.header_offset + 22, says)
    at = content.find(b"PK\x01\x02")
    while at >= 0:
        struct.pack_into("<I", changed, at + 24, says)
        at = content.find(b"PK\x01\x02", at + 1)
    return bytes(changed)


def zeros(size_bytes: int) -> bytes:
    """A deflated stream of zeros, made without ever holding them."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    piece, parts = bytes(1_000_000), []
    for _ in range(size_bytes // len(piece)):
        parts.append(packer.compress(piece))
    return b"".join((*parts, packer.flush()))


def swollen(name: str, size_bytes: int) -> bytes:
    """A small zip with one member that expands to `size_bytes`, its headers in order but for the checksum."""
    stream = zeros(size_bytes)
    label = name.encode()
    local = struct.pack("<4sHHHHHIIIHH", b"PK\x03\x04", 20, 0, 8, 0, 33, 0, len(stream), size_bytes, len(label), 0)
    central = struct.pack(
        "<4sHHHHHHIIIHHHHHII",
        b"PK\x01\x02",
        20,
        20,
        0,
        8,
        0,
        33,
        0,
        len(stream),
        size_bytes,
        len(label),
        0,
        0,
        0,
        0,
        0,
        0,
    )
    start = len(local) + len(label) + len(stream)
    end = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 1, 1, len(central) + len(label), start, 0)
    return local + label + stream + central + label + end
