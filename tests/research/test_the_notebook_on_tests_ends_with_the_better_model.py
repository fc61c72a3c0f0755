"""The notebook on A/B tests, run whole on a real server with its worker: the better model wins, and all is verified."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import kernels
import pytest
from homes import REPOSITORY, Home
from servers import Server, worker

from ml_pipeline.client import Client

NOTEBOOK = REPOSITORY / "research" / "notebooks" / "ab_test.ipynb"


@pytest.mark.long
def test_the_better_model_is_in_production(start: Callable[..., Server], home: Home, tmp_path: Path) -> None:
    server = start()
    with Client(server.url, home.keys["admin"]) as client:
        before = client.history("income_classifier")
        with worker(home):
            kernels.run(NOTEBOOK, server, tmp_path)
        [test] = client.abtests.all("income_ab_test")
        assert (test["state"], test["result"]) == ("finished", "promoted")
        assert client.abtests.verify(test["id"])["is_verified"]
        # Fewer than half of the requests have a label.
        assert 100 <= test["labels"] < test["units"] / 2
        with server.client("read") as reader:
            reply = reader.get(f"/api/v1/abtests/{test['id']}/selftest").json()
        assert (reply["state"], reply["rate"] <= reply["alpha"]) == ("done", True)
        [serving] = client.algorithms("income_ab_test", status="production")
        assert serving["name"] == "decision_tree"
        assert client.history("income_classifier") == before


def test_it_is_kept_without_outputs() -> None:
    kernels.assert_without_outputs(NOTEBOOK)
