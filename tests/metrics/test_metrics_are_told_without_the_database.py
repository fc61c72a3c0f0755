"""Without its database a server tells all that is not in it, and that it is away; and again all when it is back."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from people import PERSON
from prometheus_client.core import GaugeMetricFamily
from scrapes import scraped
from servers import Server, wait_until

from ml_pipeline.metrics import collectors
from ml_pipeline.metrics.collectors import KEPT_S, Gathering


def test_what_is_not_in_the_database_is_told_all_the_same(start: Callable[..., Server]) -> None:
    server = start("asgi")
    assert server.predict(PERSON).status_code == 200
    before = scraped(server)
    assert before.values("database_up") == [1]
    assert before.values("database_revision") == before.values("served_revision")
    assert before.values("live_processes") == [1]
    path = server.home.folder / "db.sqlite3"
    moved = path.rename(path.with_suffix(".away"))
    path.mkdir()
    try:
        wait_until(lambda: scraped(server).values("database_up") == [0], 60)
        away = scraped(server)
        assert away.sum("requests_total", code="ok") == 1
        assert away.values("database_revision") == []
        assert away.values("queue_rows") == [0]
    finally:
        path.rmdir()
        moved.rename(path)
    wait_until(lambda: scraped(server).values("database_up") == [1], 60)


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch) -> Callable[[collectors.Collect], None]:
    """Registers a collector as the only one."""
    monkeypatch.setattr(collectors, "_collectors", {})
    return lambda collect: collectors.register("only", collect)


def test_what_was_looked_up_is_kept_for_a_moment(only: Callable[[collectors.Collect], None]) -> None:
    asked, now, released = [], 0.0, []
    only(lambda: [GaugeMetricFamily("asked", "", value=len(asked)), *(asked.append(1) or ())])
    gathering = Gathering(lambda: released.append(1), clock=lambda: now)
    for _ in range(3):
        assert gathering.found(60) is not None
    assert len(asked) == 1
    now += KEPT_S + 1
    gathering.found(60)
    assert (len(asked), len(released)) == (2, 2)


def test_a_database_that_is_silent_is_not_waited_for(only: Callable[[collectors.Collect], None]) -> None:
    import threading

    answered = threading.Event()

    def silent() -> list[GaugeMetricFamily]:
        answered.wait(60)
        return []

    only(silent)
    gathering = Gathering(lambda: None)
    assert gathering.found(0.05) is None
    # Nobody else asks it meanwhile.
    assert gathering.found(0.05) is None
    assert [one.name for one in threading.enumerate()].count("metrics") == 1
    answered.set()
    assert gathering.found(60) == []
