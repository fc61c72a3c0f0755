"""What a registration sends: an artifact and its rows as files, whatever the caller holds them in."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeAlias

from ml_pipeline.client import payloads
from ml_pipeline.errors import Complaint, InvalidArtifact, InvalidInput

ARTIFACTS = (".onnx", ".skops", ".zip")
TABLES = (".csv", ".parquet")
Content: TypeAlias = "bytes | IO[bytes]"


class File(NamedTuple):
    """A file of a registration: a name whose suffix tells the format, and its bytes or a file open for reading."""

    name: str
    content: Content


def artifact(source: Any, opened: contextlib.ExitStack) -> File:
    """The artifact that `source` is or holds; what must be open until it is sent is closed by `opened`.

    `source` is the path of an .onnx, .skops or .zip, the folder of a bundle, a pair of file name and bytes, a fitted
    scikit-learn object, or an ONNX ModelProto. Raises InvalidArtifact.
    """
    if isinstance(source, tuple) and len(source) == 2 and isinstance(source[1], bytes):
        return File(f"artifact{_suffix(str(source[0]), ARTIFACTS)}", source[1])
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        if path.is_dir():
            return File("artifact.zip", opened.enter_context(_zipped(path)))
        return _file("artifact", path, ARTIFACTS, opened)
    if hasattr(source, "SerializeToString"):
        return File("artifact.onnx", source.SerializeToString())
    if hasattr(source, "get_params") and hasattr(source, "fit"):
        return File("artifact.skops", _dumped(source))
    raise InvalidArtifact(
        "An artifact is a path, a pair of file name and bytes, a fitted scikit-learn object or an ONNX model; "
        f"{type(source).__name__} is none of these."
    )


def table(field: str, source: Any, opened: contextlib.ExitStack) -> File:
    """The rows of `sample` or `reference`: the path of a .csv or .parquet, or a DataFrame, which is sent as CSV.

    Raises InvalidArtifact for another file, InvalidInput for another object.
    """
    if isinstance(source, str | os.PathLike):
        return _file(field, Path(source), TABLES, opened)
    if payloads.is_frame(source) and hasattr(source, "to_csv"):
        return File(f"{field}.csv", source.to_csv(index=False).encode())
    raise InvalidInput(
        [Complaint(None, field, "the path of a .csv or .parquet, or a DataFrame", type(source).__name__)]
    )


def _file(field: str, path: Path, suffixes: tuple[str, ...], opened: contextlib.ExitStack) -> File:
    suffix = _suffix(path.name, suffixes)
    try:
        return File(f"{field}{suffix}", opened.enter_context(path.open("rb")))
    except OSError as error:
        raise InvalidArtifact(f"{path} cannot be read: {error.strerror}.") from None


def _suffix(name: str, known: tuple[str, ...]) -> str:
    suffix = Path(name).suffix.lower()
    if suffix not in known:
        raise InvalidArtifact(f"{name} is none of {', '.join(known)}: the suffix tells the format.")
    return suffix


@contextlib.contextmanager
def _zipped(folder: Path) -> Iterator[IO[bytes]]:
    # A bundle has no folders below it. Names in order and no times: the same bundle gives the same bytes.
    if not (folder / "manifest.json").is_file():
        raise InvalidArtifact(f"{folder} is no bundle: it has no manifest.json.")
    with tempfile.TemporaryFile() as target:
        try:
            with zipfile.ZipFile(target, "w") as archive:
                for path in sorted(one for one in folder.iterdir() if one.is_file() and not one.name.startswith(".")):
                    entry = zipfile.ZipInfo(path.name)
                    entry.compress_type = zipfile.ZIP_DEFLATED
                    with path.open("rb") as source, archive.open(entry, "w", force_zip64=True) as packed:
                        shutil.copyfileobj(source, packed, 1 << 20)
        except OSError as error:
            raise InvalidArtifact(f"{folder} cannot be read: {error.strerror}.") from None
        target.seek(0)
        yield target


def _dumped(model: Any) -> bytes:
    try:
        from skops import io as skops_io
    except ImportError:
        raise InvalidArtifact("A fitted object is sent as skops, which is not installed: pip install skops") from None
    dumps: Callable[[Any], bytes] = skops_io.dumps
    try:
        return dumps(model)
    # A step may raise anything while it is taken apart, and each means that it cannot be sent like this.
    except Exception as error:
        raise InvalidArtifact(
            f"{type(model).__name__} cannot be dumped by skops: {type(error).__name__}: {error}. Export it to ONNX, "
            "or write a bundle."
        ) from error
