"""The loader: the only module that deserialises models.

A joblib is a program: it is loaded only where a key that the operator trusts signed its manifest. A skops file is
loaded only when every type in it is on the list below; no way leads round the list, and nothing falls back to pickle.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Sequence
from importlib.metadata import entry_points
from typing import Any

from ml_pipeline.apps.ml import bundles, origins, parts, trusted
from ml_pipeline.apps.ml.algorithm import Algorithm
from ml_pipeline.apps.ml.bundles import Bundle
from ml_pipeline.errors import InvalidArtifact

ALGORITHMS_GROUP = "ml_pipeline.algorithms"
MAX_EXPANDED_BYTES = 1_000_000_000
# Below this an archive may be as dense as it likes: zeros are packed a thousand to one.
DENSE_BYTES, MAX_DENSITY = 100_000_000, 50
WAYS_OUT = (
    "Export the model to ONNX; or install the package with the step on the server and name an algorithm class by an "
    "entry point; or let the operator register a joblib, or sign it with a trusted key."
)


def load_native(bundle: Bundle, runtime: str, trusted_keys: Sequence[str]) -> Algorithm:
    """The bundle's algorithm on `runtime`, to be run outside a serving process. Raises InvalidArtifact."""
    from ml_pipeline.apps.ml.runtimes.python import PythonRuntime

    signature, family = bundle.signature, family_of(bundle)
    if runtime == "onnx":
        return load_onnx(bundle)
    if runtime == "python":
        return family(signature, PythonRuntime({name: bundle.read(name) for name in bundle.files}))
    if runtime == "sklearn":
        from ml_pipeline.apps.ml.runtimes.sklearn import SklearnRuntime

        pipeline = load_pipeline(bundle, trusted_keys)
        strings, names_labels = bundle.manifest.get("strings", "object"), bundle.manifest.get("labels") == "predict"
        return family(signature, SklearnRuntime(pipeline, signature, strings, names_labels=names_labels))
    raise InvalidArtifact(f"There is no runtime {runtime!r}; there are onnx, sklearn and python.")


def load_onnx(bundle: Bundle) -> Algorithm:
    """The bundle's algorithm on ONNX Runtime, in this process. Raises InvalidArtifact when it has no ONNX model."""
    from ml_pipeline.apps.ml.runtimes.onnx import OnnxRuntime, OutputChoice

    signature = bundle.signature
    output = OutputChoice.from_json(bundle.manifest.get("output"))
    return family_of(bundle)(signature, OnnxRuntime(bundle.read(bundles.ONNX_MODEL), signature, output))


def load_pipeline(bundle: Bundle, trusted_keys: Sequence[str]) -> Any:
    """The bundle's scikit-learn pipeline, from its skops file or else its joblib. Raises InvalidArtifact."""
    if bundles.SKOPS_MODEL in bundle.files:
        return load_skops(bundle.read(bundles.SKOPS_MODEL))
    return _load_joblib(bundle, trusted_keys)


def load_skops(content: bytes) -> Any:
    """The object in a skops file. Raises InvalidArtifact naming every type that is not trusted."""
    import skops.io
    from skops.io.exceptions import UntrustedTypesFoundException

    refuse_bomb(content)
    foreign: list[str] = []
    try:
        foreign = sorted(set(skops.io.get_untrusted_types(data=content)) - trusted.TYPES)
        if not foreign:
            return _harmless(skops.io.loads(content, trusted=sorted(trusted.TYPES)))
    except UntrustedTypesFoundException as error:
        foreign = [str(error)]
    except (MemoryError, InvalidArtifact):
        raise
    # A file that somebody made up may fail in any way; each means that it cannot be loaded.
    except Exception as error:
        raise InvalidArtifact(f"The skops file cannot be loaded: {_said(error)}") from error
    raise InvalidArtifact(f"The skops file has types that are not trusted: {', '.join(foreign)[:500]}. {WAYS_OUT}")


def _harmless(pipeline: Any) -> Any:
    # Trusted types can be told to open what a row names, or to call what a name says, so every object is looked at.
    for one in parts.within(pipeline):
        if getattr(one, "input", "content") in ("filename", "file"):
            raise InvalidArtifact(
                f"The step {type(one).__name__} reads files (input={one.input!r}); only texts are read."
            )
        for name, part in parts.of(one):
            # It calls any method of any estimator by name, so it may only lie where nothing calls it.
            if trusted.is_scorer(part) and name not in trusted.SCORERS_LIE_IN:
                raise InvalidArtifact(
                    f"The {type(one).__name__} holds a {type(part).__name__} where it could be called; "
                    "only a search for parameters or a threshold may have one, and not several."
                )
    return pipeline


def refuse_bomb(content: bytes) -> None:
    """Raises InvalidArtifact when `content` is no zip archive, or says that it expands beyond all measure."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            expanded = sum(info.file_size for info in archive.infolist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise InvalidArtifact(f"The file is no zip archive, as skops files and bundles are: {error}") from None
    dense = expanded > DENSE_BYTES and expanded > MAX_DENSITY * len(content)
    if expanded > MAX_EXPANDED_BYTES or dense:
        raise InvalidArtifact(f"The archive expands from {len(content):,} to {expanded:,} bytes; that is too much.")


def _load_joblib(bundle: Bundle, trusted_keys: Sequence[str]) -> Any:
    import joblib

    content = bundle.read(bundles.JOBLIB_MODEL)
    document, signature = _vouched(bundle)
    try:
        origins.verify(document, signature, trusted_keys)
    except InvalidArtifact as error:
        raise InvalidArtifact(
            f"A joblib is a program, and nobody vouches for this one: {error.message} {WAYS_OUT}"
        ) from None
    # Signed is not yet meant: it may be the manifest of another bundle.
    named = json.loads(document)["files"].get(bundles.JOBLIB_MODEL, {}).get("sha256")
    if named != hashlib.sha256(content).hexdigest():
        raise InvalidArtifact("The joblib is not the one that was signed.")
    try:
        return joblib.load(io.BytesIO(content))
    except MemoryError:
        raise
    # A pickle may raise anything, and each means that this bundle cannot be loaded here.
    except Exception as error:
        raise InvalidArtifact(f"The bundle's {bundles.JOBLIB_MODEL} cannot be loaded: {_said(error)}") from error


def _vouched(bundle: Bundle) -> tuple[bytes, bytes]:
    # The manifest that came and its signature: kept as files once stored, beside the manifest before.
    if bundles.ORIGIN in bundle.files:
        return bundle.read(bundles.ORIGIN), bundle.read(bundles.ORIGIN_SIGNATURE)
    try:
        return bundle.document, (bundle.folder / bundles.MANIFEST_SIGNATURE).read_bytes()
    except OSError:
        raise InvalidArtifact(f"A joblib is a program, and this one came without a signature. {WAYS_OUT}") from None


def family_of(bundle: Bundle) -> type[Algorithm]:
    """The class that the bundle's manifest names."""
    return algorithm_class(str(bundle.manifest.get("algorithm", "pipeline")))


def algorithm_class(name: str) -> type[Algorithm]:
    """The class that the entry point `name` of the group `ml_pipeline.algorithms` names. Raises InvalidArtifact."""
    found = entry_points(group=ALGORITHMS_GROUP, name=name)
    if not found:
        known = ", ".join(sorted({point.name for point in entry_points(group=ALGORITHMS_GROUP)}))
        raise InvalidArtifact(f"No installed package names an algorithm {name[:100]!r}; known are: {known}.")
    try:
        loaded = next(iter(found)).load()
    except (ImportError, AttributeError) as error:
        raise InvalidArtifact(f"The entry point {name!r} cannot be imported: {error}") from error
    if not (isinstance(loaded, type) and issubclass(loaded, Algorithm)):
        raise InvalidArtifact(f"The entry point {name!r} is no Algorithm class.")
    return loaded


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error)[:300]}"
