"""Pickles in every disguise. Each leaves a canary, a file, when somebody unpickles it; none does any harm."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import wine
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hostile_archives import bundle, packed

from ml_pipeline.apps.ml import bundles

# Whose signature the servers of these tests trust.
TRUSTED = Ed25519PrivateKey.from_private_bytes(b"trusted by the operator of tests")


class Canary:
    """Unpickled, it writes a file: the proof that somebody deserialised it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.write_text, (self.path, "tweet"))


def pickled(canary: Path) -> bytes:
    return pickle.dumps(Canary(canary))


def joblib_of(canary: Path, compress: Any = 0) -> bytes:
    content = io.BytesIO()
    joblib.dump(Canary(canary), content, compress=compress)
    return content.getvalue()


def signed(files: dict[str, bytes], by: Ed25519PrivateKey) -> dict[str, bytes]:
    """The files of a training bundle with the signature of `by`."""
    members = bundle(files)
    return {**members, bundles.MANIFEST_SIGNATURE: by.sign(members[bundles.MANIFEST])}


def files_in_disguise(canary: Path) -> dict[str, tuple[str, bytes]]:
    """Case to file name and content, for the field `artifact`."""
    program = pickled(canary)
    cases = {f"a pickle called .{kind}": (f"model.{kind}", program) for kind in _PLAIN_NAMES}
    cases |= {
        "a joblib called .skops": ("model.skops", joblib_of(canary)),
        "a joblib in zlib called .zip": ("model.zip", joblib_of(canary, ("zlib", 3))),
        "a joblib in lzma called .onnx": ("model.onnx", joblib_of(canary, ("lzma", 3))),
        "a pickle with a zip behind it": ("model.skops", program + packed({"schema.json": b"{}"})),
        "a torch archive called .zip": ("model.zip", packed({"archive/data.pkl": program, "archive/version": b"3\n"})),
        "a torch archive called .skops": ("m.skops", packed({"archive/data.pkl": program, "archive/version": b"3\n"})),
        "an npz of objects called .zip": ("model.zip", _npz(canary)),
        "an npz of objects called .skops": ("model.skops", _npz(canary)),
        "an unsigned joblib": ("model.zip", packed(bundle({"model.joblib": joblib_of(canary)}))),
        "a joblib signed by a stranger": (
            "model.zip",
            packed(signed({"model.joblib": joblib_of(canary)}, Ed25519PrivateKey.generate())),
        ),
        "a joblib swapped after it was signed": ("model.zip", packed(_swapped(canary))),
        "a joblib and its digest swapped after it was signed": ("model.zip", packed(_swapped(canary, again=True))),
        "a joblib whose signature is of another manifest": ("model.zip", packed(_borrowed(canary))),
        "a joblib that is vouched for by the names the server keeps": ("model.zip", packed(_own_origin(canary))),
        "a pickle called model.onnx in a bundle": ("model.zip", packed(bundle({"model.onnx": program}))),
        "a pickle called model.skops in a bundle": ("model.zip", packed(bundle({"model.skops": program}))),
        "a pickle as the manifest": ("model.zip", packed({"manifest.json": program})),
        "a pickle as the signature": (
            "model.zip",
            packed({**bundle({"model.joblib": program}), bundles.MANIFEST_SIGNATURE: program}),
        ),
    }
    return {**cases, **_tables_of_bundles(program)}


_PLAIN_NAMES = ("joblib", "pkl", "pickle", "onnx", "skops", "zip", "pt", "npy", "npz", "JOBLIB")


def _tables_of_bundles(program: bytes) -> dict[str, tuple[str, bytes]]:
    cases = {}
    for name in ("sample.csv", "sample.parquet", "reference.csv", "reference.parquet"):
        members = bundle({"model.skops": wine.skops_file(), name: program})
        cases[f"a pickle as the bundle's {name}"] = ("model.zip", packed(members))
    return cases


def tables_in_disguise(canary: Path) -> dict[str, tuple[str, bytes]]:
    """Case to file name and content, for the fields `sample` and `reference`."""
    return {
        "a pickle called .csv": ("rows.csv", pickled(canary)),
        "a pickle called .parquet": ("rows.parquet", pickled(canary)),
        "a pickle called .pkl": ("rows.pkl", pickled(canary)),
        "an array of objects called .csv": ("rows.csv", _npy(canary)),
    }


def parquet_with_notes(canary: Path) -> bytes:
    """Honest rows, and a pickle wherever Parquet takes notes: harmless unless somebody reads them."""
    table = pa.Table.from_pandas(wine.frame())
    notes = {name: pickled(canary) for name in (b"pandas", b"PANDAS_ATTRS", b"pickle")}
    return _parquet(table.replace_schema_metadata({**(table.schema.metadata or {}), **notes}))


def parquet_with_extension(canary: Path) -> bytes:
    """Honest rows of a type whose description is a pickle."""
    return _extension(canary)


def _extension(canary: Path) -> bytes:
    # As PyArrow before 14 unpickled it while reading: CVE-2023-47248.
    fields = [
        pa.field(
            name,
            pa.float64(),
            metadata={
                b"ARROW:extension:name": b"arrow.py_extension_type",
                b"ARROW:extension:metadata": pickled(canary),
            },
        )
        for name in ("x", "y")
    ]
    table = pa.Table.from_arrays([pa.array(wine.frame()[name]) for name in ("x", "y")], schema=pa.schema(fields))
    return _parquet(table)


def _parquet(table: Any) -> bytes:
    sink = io.BytesIO()
    pa.parquet.write_table(table, sink)
    return sink.getvalue()


def _npy(canary: Path) -> bytes:
    content = io.BytesIO()
    np.save(content, np.array([Canary(canary)], dtype=object), allow_pickle=True)
    return content.getvalue()


def _npz(canary: Path) -> bytes:
    return packed({"data.npy": _npy(canary), "schema.json": b"{}"})


def _swapped(canary: Path, *, again: bool = False) -> dict[str, bytes]:
    content = io.BytesIO()
    joblib.dump(wine.pipeline(), content)
    members = signed({"model.joblib": content.getvalue()}, TRUSTED)
    changed = {**members, "model.joblib": joblib_of(canary)}
    if again:
        changed[bundles.MANIFEST] = bundle({"model.joblib": joblib_of(canary)})[bundles.MANIFEST]
    return changed


def _borrowed(canary: Path) -> dict[str, bytes]:
    other = signed({"model.skops": wine.skops_file()}, TRUSTED)
    mine = bundle({"model.joblib": joblib_of(canary)})
    return {**mine, bundles.MANIFEST_SIGNATURE: other[bundles.MANIFEST_SIGNATURE]}


def _own_origin(canary: Path) -> dict[str, bytes]:
    # A true signature over another manifest, laid where the server keeps those that it has checked itself.
    other = signed({"model.skops": wine.skops_file()}, TRUSTED)
    named = {
        "model.joblib": joblib_of(canary),
        bundles.ORIGIN: other[bundles.MANIFEST],
        bundles.ORIGIN_SIGNATURE: other[bundles.MANIFEST_SIGNATURE],
    }
    return bundle(named)


# ---- skops

Schema = dict[str, Any]


def skops_in_disguise(canary: Path) -> dict[str, bytes]:
    """Case to a skops file that would run something: by an object, by its schema, or by a member."""
    order = f"touch {canary}"
    cases = {
        name: packed({"schema.json": json.dumps({**one, **_HEAD}).encode()}) for name, one in _schemas(order).items()
    }
    honest = _members(wine.skops_file())
    array = next(name for name in honest if name.endswith(".npy"))
    cases |= {
        "an array of objects": packed({**honest, array: _npy(canary)}),
        "an npz of objects for a sparse matrix": packed(
            {"schema.json": json.dumps({**_SPARSE, **_HEAD}).encode(), "m.npz": _npz(canary)}
        ),
        "a schema that is a pickle": packed({**honest, "schema.json": pickled(canary)}),
        "two schemas": _twice(honest, json.dumps({**_call("posix", "system", order), **_HEAD}).encode()),
    }
    return cases


def skops_with_members(canary: Path) -> bytes:
    """An honest skops file with pickles beside what belongs to it: harmless unless somebody loads them."""
    extra = {name: pickled(canary) for name in ("model.joblib", "data.pkl", "archive/data.pkl", "__init__.py")}
    return packed({**_members(wine.skops_file()), **extra})


_HEAD = {"protocol": 2, "_skops_version": "0.14"}
_SPARSE = {
    "__class__": "csr_matrix",
    "__module__": "scipy.sparse._csr",
    "__loader__": "SparseMatrixNode",
    "type": "scipy",
    "file": "m.npz",
}


def _node(loader: str, module: str, name: str, **more: Any) -> Schema:
    return {"__class__": name, "__module__": module, "__loader__": loader, **more}


def _text(value: Any) -> Schema:
    return _node("JsonNode", "builtins", "str", content=json.dumps(value), is_json=True)


def _tuple(*items: Schema) -> Schema:
    return _node("TupleNode", "builtins", "tuple", content=list(items))


def _dict(**items: Schema) -> Schema:
    keys = _node("ListNode", "builtins", "list", content=[_node("TypeNode", "builtins", "str") for _ in items])
    return _node("DictNode", "builtins", "dict", content=items, key_types=keys)


def _call(module: str, name: str, *arguments: str) -> Schema:
    return _node("ConstructorFromReduceNode", module, name, content=_tuple(*map(_text, arguments)))


def _schemas(order: str) -> dict[str, Schema]:
    command = _call("posix", "system", order)
    attributes = _node("ListNode", "builtins", "list", content=[_text("append")])
    run = _node("FunctionNode", "os", "system")
    keys = _node("ListNode", "builtins", "list", content=[run])
    transformer = _dict(func=run, inverse_func=_text(None), validate=_text(False), accept_sparse=_text(False))
    cases = {
        "a function transformer of os.system": _node(
            "ObjectNode", "sklearn.preprocessing._function_transformer", "FunctionTransformer", content=transformer
        ),
        "a constructor that is os.system": command,
        "a constructor that is subprocess.Popen": _call("subprocess", "Popen", order),
        "a constructor that is eval": _call("builtins", "eval", f"__import__('os').system({order!r})"),
        "a partial of os.system": _node(
            "PartialNode",
            "functools",
            "partial",
            content={"func": run, "args": _tuple(_text(order)), "kwds": _dict(), "namespace": _text(None)},
        ),
        "keys that os.system makes": _node("DictNode", "builtins", "dict", content={order: _text(1)}, key_types=keys),
        "a list that os.system makes": _node("ListNode", "os", "system", content=[_text(order)]),
        "a generator whose bits os.system makes": _node(
            "RandomGeneratorNode",
            "numpy.random._generator",
            "Generator",
            content={"bit_generator": _dict(bit_generator=_text("seed")), "seed_seq": _dict()},
        ),
        # CVE-2025-54412: it says operator.x and takes what its class says.
        "an operator that is os.system": _node("OperatorFuncNode", "os", "system", attrs=_tuple(_text(order))),
        "an operator that calls a method": _node(
            "OperatorFuncNode", "operator", "methodcaller", attrs=_tuple(_text("system"), _text(order))
        ),
        # CVE-2025-54413: it names a harmless class and takes the method of another.
        "a method of what it does not name": _node(
            "MethodNode", "builtins", "list", content={"func": "system", "obj": _node("TypeNode", "builtins", "str")}
        ),
        "a method of an untrusted object": _node(
            "MethodNode", "os", "system", content={"func": "__call__", "obj": run}
        ),
        "a method of a trusted object": _node(
            "MethodNode", "builtins", "list", content={"func": "append", "obj": attributes}
        ),
        "a JSON node that hides another": _node("JsonNode", "os", "system", content=command, is_json=True),
        "a type that is os.system": _node("TypeNode", "os", "system"),
        "a number that os.system makes": _node("NdArrayNode", "os", "system", type="json", content=[], shape=_tuple()),
        "a default that os.system makes": _node(
            "DefaultDictNode",
            "collections",
            "defaultdict",
            content={"main": _dict(), "default_factory": run},
        ),
        "a cached node from nowhere": _node("CachedNode", "os", "system", __id__=7),
        "a node with an unknown loader": _node("PickleNode", "os", "system", content=order),
    }
    # Under the formats of years ago other readers come into play.
    return {**cases, **{f"{name}, protocol 0": {**one, "protocol": 0} for name, one in cases.items()}}


def _members(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _twice(honest: dict[str, bytes], schema: bytes) -> bytes:
    return packed([*honest.items(), ("schema.json", schema)])
