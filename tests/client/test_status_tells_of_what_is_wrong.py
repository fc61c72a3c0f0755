"""`ml-pipeline status` names alarms, what has drifted, the errors of regressions and the test that runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from homes import Home
from servers import Server
from terminals import run

_TESTS = Path(__file__).parent.parent
# A classifier that is asked by older people and always wrong, and a regression; three hours ago.
_TROUBLE = f"""
import sys
import django
django.setup()
sys.path[:0] = [{str(_TESTS)!r}, {str(_TESTS / "monitoring")!r}, {str(_TESTS / "abtests")!r}]
import random
from django.utils import timezone
from traffic import BINARY, HOUR, PRICES, Log, entry, folded, row, tell, watched
from ml_pipeline.apps.jobs import jobs, leases
from ml_pipeline.apps.monitoring import drift_windows
from ml_pipeline.apps.monitoring.apps import DRIFT
draw, moment = random.Random(1), timezone.now() - 3 * HOUR
wrong, prices, log = watched("1", BINARY), watched("2", PRICES), Log(draw)
def older():
    one = row(draw)
    return {{**one, "age": (one["age"] or 0) + 40}}
entries = [entry(draw, wrong, moment, older()) for _ in range(600)]
values = [entry(draw, prices, moment) for _ in range(40)]
log.commit([*entries, *values], moment)
tell((one, "no" if one.response == "yes" else "yes") for one in entries)
tell((one, float(one.response) + 7) for one in values)
folded()
jobs.stand([DRIFT])
drift_windows.work(leases.claim([DRIFT], "tests"))
from logged import started
started("3", "4")
# One that is asked so much that it has the newest hundred tests.
from ml_pipeline.apps.endpoints.models import MLAlgorithm
from ml_pipeline.apps.monitoring.models import DriftTest
(mine,) = DriftTest.objects.all()
busy = MLAlgorithm.objects.get(version="3")
for hours in range(100):
    begins_at = mine.to_at + hours * HOUR
    DriftTest(
        parent_mlalgorithm=busy, from_at=begins_at, to_at=begins_at + HOUR, rows=500, tested=0, is_alarm=False,
        result=mine.result, created_at=timezone.now(),
    ).save()
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of an endpoint where a classifier and a regression have answered, and a test runs."""
    home = Home(tmp_path_factory.mktemp("home") / "home").make()
    one = Server("asgi", home, {}).start()
    home.python(_TROUBLE)
    yield one
    one.stop()


def test_alarms_drift_and_errors_are_in_the_table(server: Server) -> None:
    done = run(server, "status", "demo", scope="read")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    (wrong,) = [line for line in lines if "model 1 (testing)" in line]
    assert "0.000 (0.000 to 0.0" in wrong
    assert "age until 20" in wrong
    assert "accuracy fell to 0.00, told at 20" in wrong
    (prices,) = [line for line in lines if "model 2 (testing)" in line]
    assert "off by 7 (7 to 7)" in prices
    assert "40 of 500 rows" in prices
    assert "fell" not in prices
    assert "Drift says that inputs are other than those of the reference, and not that answers are worse." in lines


def test_a_running_test_is_named_below_the_table(server: Server) -> None:
    done = run(server, "status", scope="read")
    assert done.returncode == 0
    assert [line for line in done.stdout.splitlines() if line.startswith("The A/B test 1, ")] == [
        "The A/B test 1, 'tests', runs under demo."
    ]
