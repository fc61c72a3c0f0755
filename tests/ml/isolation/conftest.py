"""A nursery, and runtimes whose children come from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hostile_models import IMPORTABLE, LIMITS, Hostile, bundle_of, loading_of
from servers import wait_until

from ml_pipeline.apps.ml.bundles import Bundle
from ml_pipeline.apps.ml.isolation.nursery import Nursery
from ml_pipeline.apps.ml.isolation.runtime import IsolatedRuntime
from ml_pipeline.errors import AlgorithmCrashed, AlgorithmNotReady


@pytest.fixture(scope="module")
def children_find_models() -> Iterator[None]:
    """Children find the models of these tests, and their environment has a secret that they must not get."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", IMPORTABLE)
        patch.setenv("ML_PIPELINE_SECRET_KEY", "a-secret-that-no-child-may-see-0123456789")
        yield


@pytest.fixture(scope="module")
def nursery(children_find_models: None) -> Iterator[Nursery]:
    made = Nursery(LIMITS)
    yield made
    made.close()


@pytest.fixture
def own_nursery(children_find_models: None) -> Iterator[Nursery]:
    """A nursery that the test may ruin."""
    made = Nursery(LIMITS)
    yield made
    made.close()


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return bundle_of(tmp_path_factory.mktemp("hostile") / "bundle", Hostile())


@pytest.fixture
def isolated(nursery: Nursery, hostile: Bundle) -> Iterator[Callable[..., IsolatedRuntime]]:
    """Makes runtimes, of the hostile model unless told otherwise; each is started and in the end closed."""
    made: list[IsolatedRuntime] = []

    def make(
        bundle: Bundle = hostile, *, at: Nursery = nursery, deadline_s: float = 60.0, load_deadline_s: float = 60.0
    ) -> IsolatedRuntime:
        runtime = IsolatedRuntime(
            at, loading_of(bundle), "sklearn", deadline_s=deadline_s, load_deadline_s=load_deadline_s
        )
        made.append(runtime)
        runtime.start()
        return runtime

    yield make
    for runtime in made:
        runtime.close()


@pytest.fixture
def again() -> Callable[[IsolatedRuntime, dict[str, Any]], Any]:
    """Asks until the replacement of a child that was lost has answered."""

    def ask(runtime: IsolatedRuntime, columns: dict[str, Any]) -> Any:
        answers: list[Any] = []

        def is_answered() -> bool:
            try:
                answers.append(runtime.predict(columns))
            except AlgorithmCrashed:
                raise
            except AlgorithmNotReady:
                return False
            return True

        wait_until(is_answered, 60)
        return answers[0]

    return ask
