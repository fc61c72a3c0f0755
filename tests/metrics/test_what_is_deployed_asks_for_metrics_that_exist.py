"""Documentation, dashboard and alert rules name the metrics that a server tells, and no others."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from homes import ENDPOINT, REPOSITORY
from people import PERSON
from scrapes import scraped
from servers import Server, free_port, wait_until

DEPLOY = REPOSITORY / "deploy"
PROMETHEUS = DEPLOY / "prometheus"
NAME = re.compile(r"\bml_pipeline_[a-z0-9_]+")
HISTOGRAM = re.compile(r"_(bucket|count|sum)$")


@pytest.fixture(scope="module")
def told(module_server: Server) -> dict[str, str]:
    """Metric to its kind, as a live server tells them."""
    with module_server.client("admin") as client:
        text = client.get("/metrics").text
    return dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))


@pytest.fixture(scope="module")
def module_server(module_home) -> Iterator[Server]:  # type: ignore[no-untyped-def]
    server = Server("asgi", module_home, {}).start()
    assert server.predict(PERSON).status_code == 200
    yield server
    server.stop()


def _expressions() -> list[str]:
    dashboard = json.loads((DEPLOY / "grafana" / "ml_pipeline.json").read_text())
    return [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]


def _is_told(name: str, told: dict[str, str]) -> bool:
    return name in told or told.get(HISTOGRAM.sub("", name)) == "histogram"


def test_the_documentation_lists_every_metric_with_its_kind(told: dict[str, str]) -> None:
    page = (REPOSITORY / "docs" / "monitoring.md").read_text()
    documented = dict(re.findall(r"^\| `(ml_pipeline_\w+)` \| (\w+) \|", page, re.M))
    assert documented == told


def test_labels_are_those_of_the_documentation(module_server: Server) -> None:
    page = (REPOSITORY / "docs" / "monitoring.md").read_text()
    rows = re.findall(r"^\| `(ml_pipeline_\w+)` \| \w+ \| (.*?) \|", page, re.M)
    documented = {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in rows}
    for sample in scraped(module_server).samples:
        name = sample.name if sample.name in documented else HISTOGRAM.sub("", sample.name)
        assert set(sample.labels) - {"le"} == documented[name], sample.name


def test_every_query_of_the_dashboard_is_of_metrics_that_exist(told: dict[str, str]) -> None:
    expressions = _expressions()
    assert len(expressions) > 30
    for expression in expressions:
        names = NAME.findall(expression)
        assert names, expression
        assert [name for name in names if not _is_told(name, told)] == [], expression


def test_the_dashboard_leaves_no_metric_out(told: dict[str, str]) -> None:
    shown = {HISTOGRAM.sub("", name) for expression in _expressions() for name in NAME.findall(expression)}
    left = {"ml_pipeline_build_info", "ml_pipeline_process_threads", "ml_pipeline_process_start_time_seconds"}
    assert set(told) - shown == left


def test_every_alert_is_of_metrics_that_exist_and_documented(told: dict[str, str]) -> None:
    rules = (PROMETHEUS / "rules.yml").read_text()
    own = set(re.findall(r"record: (\S+)", rules))
    expressions = re.sub(r"(record|summary|description|- name):.*", "", rules)
    for rule in own:
        expressions = expressions.replace(rule, "")
    assert [name for name in NAME.findall(expressions) if not _is_told(name, told)] == []
    page = (REPOSITORY / "docs" / "monitoring.md").read_text()
    assert re.findall(r"^\| `(MLPipeline\w+)` \|", page, re.M) == re.findall(r"- alert: (\S+)", rules)


def _promtool(folder: Path, *arguments: str) -> None:
    done = subprocess.run(["promtool", *arguments], check=False, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def configured(tmp_path: Path) -> Path:
    """A copy of what is deployed for Prometheus."""
    return shutil.copytree(PROMETHEUS, tmp_path / "prometheus")


@pytest.mark.services
def test_promtool_finds_no_fault(configured: Path) -> None:
    (configured / "ml_pipeline.key").write_text("a key\n")
    _promtool(configured, "check", "config", "prometheus.yml")
    _promtool(configured, "check", "rules", "rules.yml")
    _promtool(configured, "test", "rules", "rules_test.yml")


@pytest.mark.services
def test_promtool_finds_no_fault_in_what_is_told(module_server: Server) -> None:
    with module_server.client("admin") as client:
        text = client.get("/metrics").text
    done = subprocess.run(["promtool", "check", "metrics"], check=False, input=text, capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.services
def test_prometheus_scrapes_a_server_of_several_processes(start: Callable[..., Server], configured: Path) -> None:
    server = start("asgi", WEB_CONCURRENCY="2")
    assert server.predict(PERSON).status_code == 200
    (configured / "ml_pipeline.key").write_text(server.home.keys["read"] + "\n")
    config = configured / "prometheus.yml"
    text = config.read_text()
    assert "127.0.0.1:8000" in text
    text = text.replace("127.0.0.1:8000", f"127.0.0.1:{server.port}").replace("interval: 15s", "interval: 1s")
    config.write_text(text)
    port = free_port()
    address = f"127.0.0.1:{port}"
    command = ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={configured / 'data'}"]
    with (configured / "log").open("wb") as log:
        running = subprocess.Popen([*command, f"--web.listen-address={address}"], stdout=log, stderr=log)

    def asked(query: str) -> list[str]:
        try:
            reply = httpx.get(f"http://{address}/api/v1/query", params={"query": query}, timeout=30)
        except httpx.TransportError:
            return []
        return [one["value"][1] for one in reply.json().get("data", {}).get("result", ())]

    try:
        wait_until(lambda: asked("up") == ["1"], 90, pause_s=0.2)
        ok = f'ml_pipeline_requests_total{{endpoint="{ENDPOINT}", code="ok"}}'
        wait_until(lambda: asked(ok) == ["1"], 60, pause_s=0.2)
        wait_until(lambda: asked("count(ml_pipeline_process_threads)") == ["2"], 60, pause_s=0.2)
        for _ in range(20):
            server.predict(PERSON)
            time.sleep(0.05)
        wait_until(lambda: asked(ok) == ["21"], 60, pause_s=0.2)
        p99 = "histogram_quantile(0.99, rate(ml_pipeline_request_duration_seconds_bucket[1m]))"
        wait_until(lambda: bool(asked(p99)), 60, pause_s=0.2)
        rules = httpx.get(f"http://{address}/api/v1/rules", timeout=30).json()["data"]["groups"]
        assert [rule["health"] for group in rules for rule in group["rules"] if rule["health"] == "err"] == []
    finally:
        running.terminate()
        running.wait(60)
