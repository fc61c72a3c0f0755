"""Pickles under any name, in any wrapper, in any field of an upload: refused, or ignored, and never run."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import hostile_programs
import pytest
import refusals
import wine
from hostile_archives import packed
from servers import BY_WSGI, Server

from ml_pipeline.apps.ml import loader
from ml_pipeline.errors import InvalidArtifact


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    return tmp_path / "canary.txt"


@BY_WSGI
def test_a_trusted_joblib_runs_or_these_tests_prove_nothing(door: Server, canary: Path) -> None:
    signed = hostile_programs.signed({"model.joblib": hostile_programs.joblib_of(canary)}, hostile_programs.TRUSTED)
    refusals.refused(door, {"signed": wine.files(packed(signed), "model.zip")})
    assert canary.read_text() == "tweet"


@BY_WSGI
def test_pickles_for_a_model_are_refused(door: Server, canary: Path) -> None:
    cases = hostile_programs.files_in_disguise(canary)
    # Without rows beside it, so that those in a bundle are looked at.
    files = {case: {"artifact": (name, io.BytesIO(content))} for case, (name, content) in cases.items()}
    messages = refusals.refused(door, files)
    assert not canary.exists()
    assert "nobody vouches" in messages["a joblib signed by a stranger"]
    assert "sha256 differs" in messages["a joblib swapped after it was signed"]
    assert "not the one that was signed" in messages["a joblib that is vouched for by the names the server keeps"]


@BY_WSGI
def test_pickles_for_rows_are_refused(door: Server, canary: Path) -> None:
    cases: dict[str, Any] = {}
    for case, (name, content) in hostile_programs.tables_in_disguise(canary).items():
        cases[f"sample: {case}"] = wine.files(wine.skops_file(), "m.skops", content, name)
        cases[f"reference: {case}"] = {**wine.files(wine.skops_file(), "m.skops"), "reference": (name, content)}
    refusals.refused(door, cases)
    assert not canary.exists()


OVER_HTTP = (
    "a function transformer of os.system",
    "a constructor that is os.system",
    "an operator that is os.system",
    "a method of what it does not name",
    "an array of objects",
    "two schemas",
)


@BY_WSGI
def test_skops_files_that_would_run_something_are_refused_over_http(door: Server, canary: Path) -> None:
    cases = hostile_programs.skops_in_disguise(canary)
    messages = refusals.refused(door, {case: wine.files(cases[case], "m.skops") for case in OVER_HTTP})
    assert not canary.exists()
    assert "os.system" in messages["a function transformer of os.system"]
    assert "posix.system" in messages["a constructor that is os.system"]


def test_skops_files_that_would_run_something_are_refused(canary: Path) -> None:
    # All of them, at the one place where models are loaded.
    cases = hostile_programs.skops_in_disguise(canary)
    assert set(OVER_HTTP) < set(cases)
    loaded = []
    for case, content in cases.items():
        try:
            loader.load_skops(content)
        except InvalidArtifact:
            continue
        loaded.append(case)
    assert not loaded
    assert not canary.exists()


@BY_WSGI
def test_pickles_that_nobody_needs_are_left_alone(door: Server, canary: Path) -> None:
    skops_file = hostile_programs.skops_with_members(canary)
    rows = hostile_programs.parquet_with_extension(canary)
    files = wine.files(skops_file, "m.skops", rows, "rows.parquet")
    files["reference"] = ("rows.parquet", hostile_programs.parquet_with_notes(canary))
    reply = refusals.upload(door, files)
    assert reply.status_code == 201, reply.text
    assert not canary.exists()
