"""The examination of one submission, step by step: opened, understood, tried, compiled, proven, measured, written down.

Runs in the disposable child process only: it deserialises and runs what somebody sent.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ml_pipeline.apps.ml import bundles, identity, loader, onnx_models, profile
from ml_pipeline.apps.ml.algorithm import Algorithm
from ml_pipeline.apps.ml.registration import candidates, interface, materials, probe, resources, tables
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
from ml_pipeline.apps.ml.runtimes.onnx import MOST_ROWS, OnnxRuntime, OutputChoice
from ml_pipeline.apps.ml.runtimes.python import PythonRuntime
from ml_pipeline.apps.ml.runtimes.sklearn import SklearnRuntime, Strings
from ml_pipeline.apps.ml.signature import Signature
from ml_pipeline.errors import AlgorithmFailed, InvalidArtifact

MAX_PROVING_ROWS = 10_000
# A slow model is proven on fewer rows, and its profile is of fewer: of as many as it answers in this time.
PROVING_S, PROFILE_S = 20.0, 60.0


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
    row_s: float

    @property
    def names_labels(self) -> bool:
        """Whether its labels are those of the pipeline's own predict, and not the most probable ones."""
        return isinstance(self.native.runtime, SklearnRuntime) and self.native.runtime.names_labels


@dataclass(frozen=True, slots=True)
class Measured:
    """Microseconds a row by runtime and batch size, what a loaded copy takes, and why not in the serving process."""

    timings_us: dict[str, dict[str, float]]
    memory_bytes: int
    reasons_apart: list[str]


def examine(submission: Submission, folder: Path, report: Callable[[str], None]) -> None:
    """Leaves the servable bundle and its record in the work folder (see `work_files`); `report` is told each step.

    Raises InvalidArtifact for what cannot serve.
    """
    try:
        understood = _understood(submission, folder, report)
        report(COMPILING)
        compiled = _compiled(understood, submission.uncompilable)
        if compiled.is_labelled_apart:
            understood = replace(understood, native=candidates.naming_labels(understood.native))
        report("measuring it")
        files = _files(understood, compiled)
        measured = _measured(submission, folder, understood, compiled, files)
        report("making the reference profile")
        frozen = _profile(understood, compiled, measured)
    # It answered these rows before, and may answer them otherwise now.
    except AlgorithmFailed as error:
        raise InvalidArtifact(candidates.failure(error)) from error
    report("writing the bundle")
    _write(folder, understood, compiled, measured, frozen, files=files)


def _understood(submission: Submission, folder: Path, report: Callable[[str], None]) -> Understood:
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
    row_s = candidates.seconds_a_row(native, sample)
    proving = _proving(signature, tables_given, sample, row_s)
    answers = candidates.check_answers(candidates.naming_labels(native), proving)
    if candidates.is_labelled_apart(native, answers):
        native = candidates.naming_labels(native)
    report("answering what it never saw")
    native = probe.closed(native, material.pipeline, known, proving)
    return Understood(about, material, native.signature, native, strings, sample, proving, tables_given[1], row_s)


def _proving(
    signature: Signature, tables_given: Sequence[Table | None], sample: list[dict[str, Any]], row_s: float
) -> list[dict[str, Any]]:
    # Of both tables as many rows, where both have enough; of neither what was read for the bundle.
    left = max(len(sample), min(MAX_PROVING_ROWS, int(PROVING_S / row_s)))
    given = [(table, what) for table, what in zip(tables_given, ("sample", "reference"), strict=True) if table]
    rows: list[dict[str, Any]] = []
    for at, (table, what) in enumerate(given):
        part = left // (len(given) - at)
        rows += table.sampled(part).rows(signature, what)
        left -= min(part, len(table))
    return rows or sample


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
        runtime = OnnxRuntime(model, signature, OutputChoice.from_json(about.get("output")))
        # A class of one's own may fill in what is missing, and scale what is too large.
        if family.preprocess is Algorithm.preprocess:
            runtime.refuse_inexact()
            signature = runtime.bounded()
        return family(signature, runtime), "object"
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
    if understood.names_labels:
        return Compiled("ONNX is not possible: its predict gives other labels than the most probable ones")
    if uncompilable:
        return Compiled(f"ONNX is not possible: {uncompilable}")
    return candidates.compiled(understood.native, material.pipeline, understood.proving)


def _timings_us(understood: Understood, compiled: Compiled) -> dict[str, dict[str, float]]:
    ways = {understood.native.runtime.name: understood.native}
    if compiled.algorithm is not None:
        ways["onnx"] = compiled.algorithm
    proving, row_s = understood.proving, understood.row_s
    return {name: candidates.timings_us(algorithm, proving, row_s) for name, algorithm in ways.items()}


def _measured(
    submission: Submission, folder: Path, understood: Understood, compiled: Compiled, files: dict[str, bytes]
) -> Measured:
    manifest = _manifest(understood, compiled)
    trial = bundles.write_bundle(folder / "trial", manifest, files)
    is_onnx, proving = manifest["runtime"] == "onnx", understood.proving
    # Whatever else is in a process of its own, however long it takes.
    batch = [proving[at % len(proving)] for at in range(MOST_ROWS)] if is_onnx else understood.sample[:1]
    demands = resources.demanded(trial, submission.trusted_keys, understood.sample, batch)
    apart = [f"{name} may grow or loop with a row" for name in compiled.unbounded]
    apart += demands.reasons_apart(len(batch)) if is_onnx else []
    own_process_bytes = resources.EMPTY_CHILD_BYTES if apart or not is_onnx else 0
    return Measured(_timings_us(understood, compiled), demands.kept_bytes + own_process_bytes, apart)


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
    manifest["is_isolated"] = manifest["runtime"] != "onnx" or bool(measured.reasons_apart)
    _, bundle_folder, record_path = work_files(folder)
    bundles.write_bundle(bundle_folder, manifest, files)
    about, runtime = understood.about, manifest["runtime"]
    reason = compiled.reason
    if measured.reasons_apart:
        reason += f"; in a process of its own, because {' and '.join(measured.reasons_apart)}"
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
        "strings": understood.strings,
        "labels": "predict" if understood.names_labels and runtime == "sklearn" else "probable",
        "output": OutputChoice.from_json(understood.about.get("output")).to_json() if came_as_onnx else None,
    }


def _content(understood: Understood, manifest: dict[str, Any]) -> str:
    # What answers, how it is asked, and what its drift is measured against; not what is said about it.
    said = {name: manifest[name] for name in ("algorithm", "signature", "output", "strings")}
    reference = understood.reference.content if understood.reference else None
    return identity.combined({**said, "model": understood.material.content, "reference": reference})


def _serves(runtime: str, timings_us: dict[str, dict[str, float]]) -> dict[str, str]:
    # Online it is ONNX wherever it is equal: another runtime would need a process of its own. In bulk, the faster one.
    return {"1": runtime, "1000": min(timings_us, key=lambda name: timings_us[name]["1000"])}


def _code(family: type[Algorithm]) -> str:
    try:
        return inspect.getsource(family)
    except (OSError, TypeError):
        return ""
