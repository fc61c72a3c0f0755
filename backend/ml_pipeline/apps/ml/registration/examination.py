"""The examination of one submission, step by step: opened, understood, tried, compiled, proven, measured, written down.

Runs in the disposable child process only: it deserialises and runs what somebody sent.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml_pipeline.apps.ml import bundles, identity, loader, onnx_models, profile
from ml_pipeline.apps.ml.algorithm import Algorithm
from ml_pipeline.apps.ml.registration import candidates, interface, materials, resources, tables
from ml_pipeline.apps.ml.registration.candidates import Compiled
from ml_pipeline.apps.ml.registration.materials import Material
from ml_pipeline.apps.ml.registration.submission import (
    COMPILING,
    METADATA,
    FileGiven,
    Registered,
    Submission,
    checked_metadata,
    work_files,
)
from ml_pipeline.apps.ml.registration.tables import Table
from ml_pipeline.apps.ml.runtimes.onnx import OnnxRuntime, OutputChoice
from ml_pipeline.apps.ml.runtimes.python import PythonRuntime
from ml_pipeline.apps.ml.runtimes.sklearn import SklearnRuntime, Strings
from ml_pipeline.apps.ml.signature import Signature
from ml_pipeline.errors import AlgorithmFailed, InvalidArtifact

MAX_PROVING_ROWS = 10_000
# A slow model's profile is of fewer rows: of as many as it answers in this time.
PROFILE_S = 60.0


@dataclass(frozen=True, slots=True)
class Understood:
    """A model with its interface, able to answer: `native` as it came, its rows, and what its owner says about it."""

    about: dict[str, Any]
    material: Material
    signature: Signature
    native: Algorithm
    strings: Strings
    sample: list[dict[str, Any]]
    proving: list[dict[str, Any]]
    reference: Table | None


@dataclass(frozen=True, slots=True)
class Measured:
    """Microseconds a row by runtime and batch size, and what one loaded copy takes of memory."""

    timings_us: dict[str, dict[str, float]]
    memory_bytes: int


def examine(submission: Submission, folder: Path, report: Callable[[str], None]) -> None:
    """Leaves the servable bundle and its record in the work folder (see `work_files`); `report` is told each step.

    Raises InvalidArtifact for what cannot serve.
    """
    report("opening the artifact")
    material = materials.opened(submission.artifact, folder / "unpacked", submission.trusted_keys)
    report("reading the rows")
    tables_given = _tables(submission, material)
    about = {**material.manifest, **submission.metadata}
    checked_metadata({name: about[name] for name in METADATA if about.get(name) is not None})
    known = [table for table in tables_given if table]
    signature = interface.signature(about, material, known)
    sample = interface.sample_rows(signature, known, material)
    report("answering a first row")
    native, strings = _native(about, material, signature, sample[:1])
    candidates.check_answers(native, sample[:1])
    report("answering the rows that came with it")
    reference = tables_given[1]
    proving = sample + (reference.sampled(MAX_PROVING_ROWS).rows(signature, "reference") if reference else [])
    candidates.check_answers(native, proving)
    if isinstance(native.runtime, SklearnRuntime):
        candidates.refuse_unlike_pipeline(native, native.runtime, proving)
    understood = Understood(about, material, signature, native, strings, sample, proving, reference)
    report(COMPILING)
    compiled = _compiled(understood, submission.uncompilable)
    report("measuring it")
    files = _files(understood, compiled)
    trial = bundles.write_bundle(folder / "trial", _manifest(understood, compiled), files)
    memory_bytes = resources.loaded_bytes(trial, submission.trusted_keys, sample)
    measured = Measured(_timings_us(understood, compiled), memory_bytes)
    report("making the reference profile")
    frozen = _profile(understood, compiled, measured)
    report("writing the bundle")
    _write(folder, understood, compiled, measured, frozen, files=files)


def _tables(submission: Submission, material: Material) -> list[Table | None]:
    given: dict[str, FileGiven | None] = {"sample": submission.sample, "reference": submission.reference}
    found = [(what, one or material.table(what)) for what, one in given.items()]
    return [tables.read(one, what).sampled(tables.MAX_ROWS) if one else None for what, one in found]


def _native(
    about: dict[str, Any], material: Material, signature: Signature, rows: list[dict[str, Any]]
) -> tuple[Algorithm, Strings]:
    family = loader.algorithm_class(str(about.get("algorithm", "pipeline")))
    if material.onnx is not None:
        model = material.files[bundles.ONNX_MODEL]
        return family(signature, OnnxRuntime(model, signature, OutputChoice.from_json(about.get("output")))), "object"
    if material.pipeline is None:
        if family.predict is Algorithm.predict:
            raise InvalidArtifact("The bundle has no model, and its algorithm's class does not override predict.")
        return family(signature, PythonRuntime(material.files)), "object"
    native = family(signature, SklearnRuntime(material.pipeline, signature))
    # Boosting that was trained on pandas' categories wants them again, and says so by failing.
    if any(feature.type == "string" for feature in signature.features) and not _answers(native, rows):
        categorical = family(signature, SklearnRuntime(material.pipeline, signature, "category"))
        if _answers(categorical, rows):
            return categorical, "category"
    return native, "object"


def _answers(algorithm: Algorithm, rows: list[dict[str, Any]]) -> bool:
    try:
        algorithm.compute_prediction(rows)
    except AlgorithmFailed:
        return False
    return True


def _compiled(understood: Understood, uncompilable: str) -> Compiled:
    material = understood.material
    if material.onnx is not None:
        unbounded = onnx_models.unbounded_operators(material.onnx)
        return Compiled("it came as ONNX", algorithm=understood.native, unbounded=unbounded)
    if material.pipeline is None:
        return Compiled("its class predicts in Python")
    if understood.strings == "category":
        return Compiled("ONNX is not possible: it was trained on categories of pandas, which ONNX does not have")
    if uncompilable:
        return Compiled(f"ONNX is not possible: {uncompilable}")
    return candidates.compiled(understood.native, material.pipeline, understood.proving)


def _timings_us(understood: Understood, compiled: Compiled) -> dict[str, dict[str, float]]:
    ways = {understood.native.runtime.name: understood.native}
    if compiled.algorithm is not None:
        ways["onnx"] = compiled.algorithm
    return {name: candidates.timings_us(algorithm, understood.proving) for name, algorithm in ways.items()}


def _profile(understood: Understood, compiled: Compiled, measured: Measured) -> dict[str, Any] | None:
    if understood.reference is None:
        return None
    serving = compiled.algorithm or understood.native
    slowest_us = measured.timings_us[serving.runtime.name]["1000"]
    table = understood.reference.sampled(max(100, int(PROFILE_S * 1e6 / max(slowest_us, 1.0))))
    rows = table.rows(understood.signature, "reference")
    truths = interface.truths(table, understood.about, understood.signature, understood.material)
    columns = understood.signature.columns(rows)
    return profile.profiled(understood.signature, columns, serving.compute_prediction(rows), truths)


def _files(understood: Understood, compiled: Compiled) -> dict[str, bytes]:
    sample = json.dumps(understood.sample, allow_nan=False, ensure_ascii=False).encode()
    files = {**understood.material.files, bundles.SAMPLE: sample}
    return files if compiled.model is None else {**files, bundles.ONNX_MODEL: compiled.model}


def _write(
    folder: Path,
    understood: Understood,
    compiled: Compiled,
    measured: Measured,
    frozen: dict[str, Any] | None,
    *,
    files: dict[str, bytes],
) -> None:
    manifest = {**_manifest(understood, compiled), "memory_bytes": measured.memory_bytes}
    _, bundle_folder, record_path = work_files(folder)
    bundles.write_bundle(bundle_folder, manifest, files)
    about, runtime = understood.about, manifest["runtime"]
    reason = compiled.reason
    if compiled.unbounded:
        reason += f"; in a process of its own, because {', '.join(compiled.unbounded)} may grow or loop with a row"
    record = Registered(
        content_digest=_content(understood, manifest),
        runtime=runtime,
        runtime_reason=reason,
        is_isolated=manifest["is_isolated"],
        signature=manifest["signature"],
        parity=compiled.parity.to_json() if compiled.parity else None,
        timings_us=measured.timings_us,
        serves=_serves(runtime, measured.timings_us),
        memory_bytes=measured.memory_bytes,
        reference_profile=frozen,
        metrics=about.get("metrics") or {},
        description=str(about.get("description") or type(understood.native).description),
        owner=str(about.get("owner") or ""),
        tags=dict(about.get("tags") or {}),
        code=_code(type(understood.native)),
    )
    record_path.write_text(record.to_json(), encoding="utf-8")


def _manifest(understood: Understood, compiled: Compiled) -> dict[str, Any]:
    runtime = "onnx" if compiled.algorithm else understood.native.runtime.name
    came_as_onnx = understood.material.onnx is not None
    return {
        "algorithm": str(understood.about.get("algorithm", "pipeline")),
        "signature": understood.signature.to_json(),
        "runtime": runtime,
        "is_isolated": runtime != "onnx" or bool(compiled.unbounded),
        "strings": understood.strings,
        "output": OutputChoice.from_json(understood.about.get("output")).to_json() if came_as_onnx else None,
    }


def _content(understood: Understood, manifest: dict[str, Any]) -> str:
    # What answers, how it is asked, and what its drift is measured against; not what is said about it.
    said = {name: manifest[name] for name in ("algorithm", "signature", "output", "strings")}
    reference = understood.reference.columns if understood.reference else None
    return identity.combined({**said, "model": understood.material.content, "reference": reference})


def _serves(runtime: str, timings_us: dict[str, dict[str, float]]) -> dict[str, str]:
    # Online it is ONNX wherever it is equal: another runtime would need a process of its own. In bulk, the faster one.
    return {"1": runtime, "1000": min(timings_us, key=lambda name: timings_us[name]["1000"])}


def _code(family: type[Algorithm]) -> str:
    try:
        return inspect.getsource(family)
    except (OSError, TypeError):
        return ""
