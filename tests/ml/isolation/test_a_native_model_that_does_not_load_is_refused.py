"""What raises, crashes or never ends while it is loaded is refused with the reason, and nothing is left of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hostile_models import HostileWhenLoaded, bundle_of, columns
from servers import wait_until

from ml_pipeline.apps.ml import bundles
from ml_pipeline.apps.ml.isolation.runtime import IsolatedRuntime
from ml_pipeline.errors import InvalidArtifact

Make = Callable[..., IsolatedRuntime]
CASES = {
    "abort": "process that loaded the model crashed",
    "segfault": "process that loaded the model crashed",
    "exit 3": "process that loaded the model crashed",
    "utter noise": "process that loaded the model crashed",
    "utter another call": "process that loaded the model crashed",
    "complain": "model.joblib cannot be loaded: ValueError: hunter2 ERROR a forged line",
    "hog": "cannot be loaded: .*MemoryError",
}


@pytest.mark.parametrize(("order", "reason"), CASES.items(), ids=CASES)
def test_the_reason_is_told(isolated: Make, tmp_path: Path, order: str, reason: str) -> None:
    with pytest.raises(InvalidArtifact, match=reason) as caught:
        isolated(bundle_of(tmp_path / "bundle", HostileWhenLoaded(order)))
    assert len(caught.value.message) < 400


def test_what_never_ends_is_ended(isolated: Make, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    with pytest.raises(InvalidArtifact, match="not loaded within 2 s"):
        isolated(bundle_of(tmp_path / "bundle", HostileWhenLoaded(f"loop {begun}")), load_deadline_s=2.0)
    wait_until(begun.exists)


def test_a_joblib_that_nobody_vouches_for_is_not_loaded(isolated: Make, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    bundle = bundle_of(tmp_path / "bundle", HostileWhenLoaded(f"overwrite {canary}"))
    (bundle.folder / bundles.MANIFEST_SIGNATURE).write_bytes(bytes(64))
    with pytest.raises(InvalidArtifact, match="nobody vouches"):
        isolated(bundle)
    assert not canary.exists()


def test_a_good_one_is_loaded_all_the_same(isolated: Make, tmp_path: Path) -> None:
    runtime = isolated(bundle_of(tmp_path / "bundle", HostileWhenLoaded("fine")))
    assert runtime.predict(columns("fine"))[0, 1] == 0.5
