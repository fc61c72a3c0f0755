"""One content is one version: dumped or trained again it is the same, with another seed or other rows it is not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import zoo
import zoo_data
from servers import Server
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from zoo import Kind


def lightgbm(seed: int) -> Any:
    from lightgbm import LGBMClassifier

    return LGBMClassifier(n_estimators=5, subsample=0.5, subsample_freq=1, random_state=seed, verbose=-1, n_jobs=1)


def xgboost(seed: int) -> Any:
    from xgboost import XGBClassifier

    return XGBClassifier(n_estimators=5, subsample=0.5, random_state=seed, n_jobs=1)


MAKERS = {
    "forest": lambda seed: make_pipeline(StandardScaler(), RandomForestClassifier(5, random_state=seed)),
    "histograms": lambda seed: HistGradientBoostingClassifier(max_iter=5, early_stopping=True, random_state=seed),
    "lightgbm": lightgbm,
    "xgboost": xgboost,
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with zoo.serving(tmp_path_factory.mktemp("once") / "home", "wsgi") as running:
        yield running


def trained(name: str, *, seed: int = 0) -> Kind:
    frame, target = zoo_data.wines()
    reference = frame.assign(cultivar=target)
    kind = zoo.of_pipeline(name, MAKERS[name](seed).fit(frame, target), frame.tail(40), label_column="cultivar")
    return _with(kind, reference=reference)


def _with(kind: Kind, **other: Any) -> Kind:
    return Kind(**{**{name: getattr(kind, name) for name in Kind.__dataclass_fields__}, **other})


@pytest.mark.parametrize("name", MAKERS)
def test_trained_again_it_is_the_same_unless_the_seed_is_another(server: Server, name: str) -> None:
    first = zoo.upload(server, trained(name))
    assert first.status_code == 201, first.text
    again = zoo.upload(server, trained(name))
    assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])
    other = zoo.upload(server, trained(name, seed=1))
    assert (other.status_code, other.json()["error"]["code"]) == (409, "conflict")


def test_other_reference_rows_are_another_content(server: Server) -> None:
    kind = _with(trained("forest"), name="rows")
    assert zoo.upload(server, kind).status_code == 201
    assert kind.reference is not None
    assert zoo.upload(server, _with(kind, reference=kind.reference.head(150))).status_code == 409
    assert zoo.upload(server, kind).status_code == 200
