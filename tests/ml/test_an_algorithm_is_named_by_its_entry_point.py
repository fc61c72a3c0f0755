"""A manifest names its algorithm's class by an entry point; what is not installed is refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml_pipeline.apps.ml import loader
from ml_pipeline.apps.ml.algorithm import Algorithm
from ml_pipeline.apps.ml.income_classifier.classifier import IncomeClassifier
from ml_pipeline.errors import InvalidArtifact

KNOWN = ("income-decision-tree", "income-extra-trees", "income-random-forest", "pipeline")


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another package, whose entry points are good and bad."""
    metadata = tmp_path / "another-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: another\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[ml_pipeline.algorithms]\n"
        "another = another_package:Another\n"
        "no-class = another_package:number\n"
        "not-there = another_package:Missing\n"
        "no-module = package_that_is_gone:Another\n"
    )
    (tmp_path / "another_package.py").write_text(
        "from ml_pipeline.apps.ml.algorithm import Algorithm\nnumber = 7\nclass Another(Algorithm):\n    pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.parametrize("name", KNOWN)
def test_ours_are_known_and_say_what_they_are(name: str) -> None:
    found = loader.algorithm_class(name)
    assert issubclass(found, IncomeClassifier if name.startswith("income-") else Algorithm)
    assert found.description
    assert found.description.endswith(".")


@pytest.mark.parametrize("name", ["abacus", "", "None", "ml_pipeline.apps.ml.algorithm:Algorithm"])
def test_an_unknown_one_is_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(InvalidArtifact) as refusal:
        loader.algorithm_class(name)
    assert repr(name) in refusal.value.message
    for known in KNOWN:
        assert known in refusal.value.message


def test_another_package_may_bring_its_own(installed: None) -> None:
    assert loader.algorithm_class("another").__name__ == "Another"
    with pytest.raises(InvalidArtifact, match="another, income-decision-tree"):
        loader.algorithm_class("abacus")


@pytest.mark.parametrize(
    ("name", "reason"),
    [("no-class", "is no Algorithm class"), ("not-there", "cannot be imported"), ("no-module", "cannot be imported")],
)
def test_an_entry_point_that_leads_nowhere_is_refused(installed: None, name: str, reason: str) -> None:
    with pytest.raises(InvalidArtifact, match=reason):
        loader.algorithm_class(name)
