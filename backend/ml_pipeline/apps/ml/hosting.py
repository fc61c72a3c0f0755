"""Hosting: from a digest to an algorithm that answers, ONNX in this process and all else in a child of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ml_pipeline.apps.ml import loader
from ml_pipeline.apps.ml.algorithm import Algorithm
from ml_pipeline.apps.ml.artifacts import ArtifactStore
from ml_pipeline.apps.ml.bundles import Bundle
from ml_pipeline.apps.ml.isolation.child import Loading
from ml_pipeline.apps.ml.isolation.nursery import Nursery
from ml_pipeline.apps.ml.isolation.runtime import IsolatedRuntime

WARM_UP_ROWS = 32


@dataclass(frozen=True, slots=True)
class Hosted:
    """An algorithm that was warmed up with its sample, and the memory that it takes, as measured at registration."""

    algorithm: Algorithm
    size_bytes: int


class Host:
    """Loads the bundles of `store`. A child must answer within `deadline_s`, and be loaded within `load_deadline_s`."""

    def __init__(
        self,
        store: ArtifactStore,
        nursery: Nursery,
        *,
        trusted_keys: Sequence[str],
        deadline_s: float,
        load_deadline_s: float,
    ) -> None:
        self._store = store
        self._nursery = nursery
        self._trusted_keys = list(trusted_keys)
        self._deadline_s = deadline_s
        self._load_deadline_s = load_deadline_s

    def load(self, digest: str) -> Hosted:
        """The algorithm of that digest, every file of its bundle verified first. Raises InvalidArtifact."""
        bundle = self._store.bundle(digest)
        runtime = str(bundle.manifest.get("runtime"))
        if runtime == "onnx" and not bundle.manifest.get("is_isolated", False):
            algorithm = loader.load_onnx(bundle)
        else:
            algorithm = self._isolated(bundle, runtime)
        try:
            algorithm.compute_prediction(bundle.sample()[:WARM_UP_ROWS])
        except BaseException:
            algorithm.runtime.close()
            raise
        return Hosted(algorithm, int(bundle.manifest.get("memory_bytes", 0)))

    def _isolated(self, bundle: Bundle, runtime: str) -> Algorithm:
        # What can fail without a process comes before there is one.
        family, signature = loader.family_of(bundle), bundle.signature
        loading = Loading(str(bundle.folder), bundle.digest, runtime, self._trusted_keys)
        isolated = IsolatedRuntime(
            self._nursery,
            loading,
            name=runtime,
            deadline_s=self._deadline_s,
            load_deadline_s=self._load_deadline_s,
        )
        try:
            isolated.start()
            return family(signature, isolated)
        except BaseException:
            isolated.close()
            raise

    def prepare(self) -> None:
        """Processes for algorithms can be started at once from now on; their libraries are imported beside this."""
        self._nursery.prepare()

    def close(self) -> None:
        """Nothing is loaded any more in processes of their own."""
        self._nursery.close()
