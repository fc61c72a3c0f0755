"""Python: for a class of one's own that predicts by itself. It gets the files of its bundle, as bytes."""

from __future__ import annotations

from collections.abc import Mapping

from ml_pipeline.apps.ml.algorithm import Output
from ml_pipeline.apps.ml.signature import Columns
from ml_pipeline.errors import AlgorithmFailed


class PythonRuntime:
    """No model: the algorithm's class overrides `predict`, and finds its files' bytes by name in `runtime.files`."""

    name = "python"
    is_isolated = False

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = files

    def predict(self, columns: Columns) -> Output:
        """Never an answer: a class without a model overrides `Algorithm.predict`."""
        raise AlgorithmFailed("There is no model, and the algorithm's class does not override predict.")

    def close(self) -> None:
        """Nothing to do."""
