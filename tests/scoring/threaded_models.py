"""A model that starts a thread while it is loaded, as some libraries do."""

from __future__ import annotations

import io
import threading
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

from ml_pipeline.apps.ml import bundles, origins
from ml_pipeline.apps.ml.bundles import Bundle
from ml_pipeline.apps.ml.origins import ServerKey
from ml_pipeline.apps.ml.signature import Feature, Signature

ORIGIN = ServerKey("a secret of these tests", origins.ORIGIN)
SIGNATURE = Signature((Feature("number", "number"),), "classification", ("a", "b"))


class Threaded(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Says how many threads it has beside the one that asks."""

    classes_ = np.array(["a", "b"])

    def __setstate__(self, state: dict[str, Any]) -> None:
        threading.Thread(target=threading.Event().wait, daemon=True).start()

    def __getstate__(self) -> dict[str, Any]:
        return {"anything": 1}

    def predict_proba(self, frame: Any) -> Any:
        share = 0.25 * (threading.active_count() - 1)
        return np.array([[share, 1 - share]] * len(frame))


def bundle_of(folder: Path) -> Bundle:
    """The model as a joblib that ORIGIN vouches for."""
    content = io.BytesIO()
    joblib.dump(Threaded(), content)
    manifest = {"name": "threaded", "algorithm": "pipeline", "signature": SIGNATURE.to_json(), "runtime": "sklearn"}
    bundle = bundles.write_bundle(folder, manifest, {bundles.JOBLIB_MODEL: content.getvalue()})
    (folder / bundles.MANIFEST_SIGNATURE).write_bytes(ORIGIN.sign(bundle.document))
    return bundle
