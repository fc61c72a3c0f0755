"""`ml-pipeline status`: one look at whether endpoints are up, fast and right."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from homes import ENDPOINT, Home
from people import as_rows, held_out_people
from servers import Server
from terminals import run

from ml_pipeline.client import Client

_FOLD = """
import django
django.setup()
from ml_pipeline.apps.jobs import jobs, leases
from ml_pipeline.apps.monitoring import drift_windows, folding
jobs.stand(["monitoring.folding", "monitoring.drift"])
while folding.work(leases.claim(["monitoring.folding"], "tests")) == 0.0:
    pass
drift_windows.work(leases.claim(["monitoring.drift"], "tests"))
"""


@pytest.fixture(scope="module")
def server(module_home: Home) -> Iterator[Server]:
    """A server that has answered 600 people, 300 with outcomes, all folded."""
    one = Server("asgi", module_home, {}).start()
    with Client(one.url, module_home.keys["admin"]) as client:
        replies = client.predict(ENDPOINT, as_rows(held_out_people().head(600)))
        told = [{"request_id": reply["request_id"], "feedback": reply["label"]} for reply in replies[:270]]
        told += [{"request_id": reply["request_id"], "feedback": ">50K"} for reply in replies[270:300]]
        client.feedback_all(told)
    module_home.python(_FOLD)
    yield one
    one.stop()


def test_a_table_says_it_to_people(server: Server) -> None:
    for arguments in (("status",), ("status", ENDPOINT)):
        done = run(server, *arguments, scope="read")
        assert (done.returncode, done.stderr) == (0, "")
        headings, _, line = done.stdout.splitlines()[:3]
        assert headings.split() == [
            "endpoint",
            "ready",
            "algorithm",
            "requests",
            "errors",
            "p99",
            "accuracy",
            "drift",
            "alarm",
        ]
        assert line.split()[:6] == [ENDPOINT, "yes", "random_forest", "0.0.1", "600", "0.00"]
        assert " ms " in line
        assert ".9" in line
        # The hour is not over.
        assert "600 of 500 rows" in line


def test_json_has_all_of_it(server: Server) -> None:
    (one,) = json.loads(run(server, "status", ENDPOINT, "--json", scope="read").stdout)
    assert (one["endpoint"], one["ready"], one["abtest"]) == (ENDPOINT, True, None)
    assert one["folded"]["is_current"] is True
    (algorithm,) = one["algorithms"]
    assert (algorithm["algorithm"], algorithm["status"], algorithm["state"]) == ("random_forest", "production", "ready")
    assert algorithm["metrics"]["feedback"]["labelled"] == 300
    assert algorithm["gathering"]["rows"] == 600


def test_the_client_asks_the_same(server: Server) -> None:
    with Client(server.url, server.home.keys["read"]) as client:
        (found,) = client.metrics(ENDPOINT, slices=["sex"], by="day")["algorithms"]
        assert found["requests"] == 600
        assert [one["feature"] for one in found["slices"]] == ["sex"]
        assert client.drift(ENDPOINT)["tests"] == []
        assert client.drift(ENDPOINT, "2020-01-01", "2020-01-02")["algorithms"] == []
        assert client.status()[0]["endpoint"] == ENDPOINT
        assert "600 requests came in this time" in client.report(ENDPOINT, slices=["sex"])


def test_the_report_is_printed_or_written(server: Server, tmp_path: Path) -> None:
    page = run(server, "report", ENDPOINT, "--slices", "sex", scope="read").stdout
    assert page.startswith("<!DOCTYPE html>")
    file = tmp_path / "report.html"
    assert str(file) in run(server, "report", ENDPOINT, "-o", str(file), scope="read").stdout.replace("\n", "")
    assert "600 requests came in this time" in file.read_text(encoding="utf-8")
    assert run(server, "report", ENDPOINT, "--version", "9.9", scope="read").returncode == 1


def test_what_is_wrong_is_said(server: Server) -> None:
    done = run(server, "status", "nothing")
    assert (done.returncode, done.stdout) == (1, "")
    assert "no endpoint" in done.stderr
    assert run(server, "status", scope="predict").returncode == 1
