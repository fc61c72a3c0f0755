"""What is in a bundle as the training script wrote it: the tests made it, so they need nobody to vouch for it."""

from __future__ import annotations

import io
from typing import Any

import joblib

from ml_pipeline.apps.ml import bundles
from ml_pipeline.apps.ml.bundles import Bundle
from ml_pipeline.apps.ml.registration import tables
from ml_pipeline.apps.ml.registration.submission import FileGiven


def pipeline(bundle: Bundle) -> Any:
    """The bundle's scikit-learn pipeline."""
    return joblib.load(io.BytesIO(bundle.read(bundles.JOBLIB_MODEL)))


def rows(bundle: Bundle, name: str) -> list[dict[str, Any]]:
    """The rows of the bundle's CSV file `name` as its signature reads them."""
    return tables.read(FileGiven(str(bundle.folder / name), "csv"), name).rows(bundle.signature, name)
