"""Whichever process of a server is asked, it tells what all of them did, the worker and those that were killed too."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from homes import ENDPOINT
from people import PERSON
from scrapes import Scrape, scraped
from servers import Server, wait_until, worker

CONNECTIONS, EACH = 12, 8


def _ask(server: Server, body: object = PERSON) -> list[int]:
    """Many requests at the same time, over new connections each, so that every process gets some."""

    def some(_: int) -> list[int]:
        return [server.predict(body).status_code for _ in range(EACH)]

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        return [status for statuses in pool.map(some, range(CONNECTIONS)) for status in statuses]


def _pids(scrape: Scrape, role: str = "server") -> set[int]:
    return {
        int(sample.labels["pid"])
        for sample in scrape.samples
        if sample.name == "ml_pipeline_process_threads" and sample.labels["role"] == role
    }


@pytest.mark.parametrize(
    ("door", "processes"), [("wsgi", 3), ("asgi", 2), pytest.param("uwsgi", 2, marks=pytest.mark.services)]
)
def test_sums_are_what_was_sent_and_a_kill_takes_nothing_away(
    start: Callable[..., Server], door: str, processes: int
) -> None:
    server = start(door, WEB_CONCURRENCY=str(processes), UWSGI_WORKERS=str(processes))
    sent = 0

    def everybody_serves() -> bool:
        nonlocal sent
        sent += _ask(server).count(200)
        return len(_pids(scraped(server))) == processes

    wait_until(everybody_serves, 60)
    assert set(_ask(server, {"age": "x"})) == {422}
    assert set(_ask(server, [PERSON] * 3)) == {200}
    lists = CONNECTIONS * EACH
    _is_told(server, sent + lists, sent + 3 * lists, lists)

    victim = min(_pids(scraped(server)))
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: victim not in _pids(scraped(server)), 60)
    _is_told(server, sent + lists, sent + 3 * lists, lists)
    more = _ask(server).count(200)
    _is_told(server, sent + lists + more, sent + 3 * lists + more, lists)
    assert victim not in {int(pid) for pid in scraped(server).label("queue_rows", "pid")}

    server.stop()
    server.start()
    server.predict(PERSON)
    assert scraped(server).sum("requests_total", code="ok") == 1


def _is_told(server: Server, requests: int, rows: int, refused: int) -> None:
    # Each time perhaps by another process.
    for _ in range(5):
        scrape = scraped(server)
        assert scrape.sum("requests_total", code="ok") == requests
        assert scrape.sum("requests_total", code="invalid_input") == refused
        labels = {"endpoint": ENDPOINT, "algorithm": "random_forest", "version": "0.0.1"}
        assert scrape.sum("predictions_total", **labels) == rows
        assert scrape.sum("committed_rows_total", log="predictions") == rows
        assert scrape.sum("inference_batch_rows_sum", **labels) == rows
        assert scrape.sum("request_duration_seconds_count", **labels) == requests
        assert scrape.sum("request_duration_seconds_bucket", le="+Inf", **labels) == requests
        assert 0 < scrape.sum("request_duration_seconds_sum") < 60 * requests
        assert scrape.sum("requests_total", code="internal") == 0


def test_a_second_server_and_a_worker_of_the_home_are_in_it(start: Callable[..., Server]) -> None:
    first, second = start("asgi"), start("wsgi")
    assert [one.predict(PERSON).status_code for one in (first, second)] == [200, 200]
    with worker(first.home):
        wait_until(lambda: len(_pids(scraped(first), "worker")) == 1, 60)
        for server in (first, second):
            scrape = scraped(server)
            assert scrape.sum("requests_total", code="ok") == 2
            assert len(_pids(scrape)) == 2
    wait_until(lambda: _pids(scraped(first), "worker") == set(), 60)
    first.stop()
    # The other's files are there, and what the first counted.
    assert scraped(second).sum("requests_total", code="ok") == 2
    third = start("asgi")
    assert third.predict(PERSON).status_code == 200
    assert scraped(second).sum("requests_total", code="ok") == 3


def test_every_kind_of_request_is_counted_once(start: Callable[..., Server]) -> None:
    server = start("asgi")
    request_id = server.predict(PERSON).json()["request_id"]
    with server.client("feedback") as client:
        assert client.put(f"/api/v1/mlrequests/{request_id}", json={"feedback": ">50K"}).status_code == 200
        unknown = "00000000-0000-7000-8000-000000000000"
        assert client.put(f"/api/v1/mlrequests/{unknown}", json={"feedback": ">50K"}).status_code == 404
    with server.client() as client:
        client.post(f"/api/v1/{ENDPOINT}/predict?other=1", json=PERSON)
        client.post("/api/v1/nothing/predict", json=PERSON)
        client.post(f"/api/v1/{ENDPOINT}/predict", content=b"x" * 11_000_000)
        client.get(f"/api/v1/{ENDPOINT}/predict")
        client.get("/api/v1/endpoints")
        client.get("/api/v1/endpoints/nothing")
        client.get("/nothing/here")
        client.get("/healthz")
    server.predict(PERSON, scope="read")
    scrape = scraped(server)
    codes = {code: scrape.sum("requests_total", code=code) for code in scrape.label("requests_total", "code")}
    counted = ("ok", "unknown_parameter", "not_found", "too_large", "method_not_allowed", "forbidden")
    assert codes == dict.fromkeys(counted, 1)
    assert scrape.sum("feedback_total", code="ok") == 1
    assert scrape.sum("feedback_total", code="not_found") == 1
    assert scrape.values("http_requests_total", route="endpoints", method="GET", status="200") == [1]
    assert scrape.values("http_requests_total", route="endpoint", method="GET", status="404") == [1]
    assert scrape.values("http_requests_total", route="", method="GET", status="404") == [1]
    assert scrape.sum("http_requests_total") == 3
    assert scrape.sum("http_request_duration_seconds_count") == 3
    assert scrape.values("home_free_bytes")[0] > 0
    assert scrape.values("process_open_fds", role="server")[0] > 3
    assert scrape.values("process_cpu_seconds_total", role="server")[0] > 0
    assert scrape.values("process_resident_memory_bytes", role="server")[0] > 10_000_000
