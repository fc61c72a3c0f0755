"""Where a collector is named it is sent a span a request, part of the client's trace; else nothing is sent."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from homes import ENDPOINT
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from people import PERSON
from servers import Server, wait_until

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Collector(ThreadingHTTPServer):
    """Takes spans by OTLP over HTTP."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.paths: set[str] = set()
        self.services: set[str] = set()
        self.spans: list[Any] = []

    def named(self, name: str) -> list[Any]:
        return [span for span in self.spans if span.name == name]


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.server.paths.add(self.path)
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.server.services.add(_attributes(resource.resource)["service.name"])
            self.server.spans += [span for scope in resource.scope_spans for span in scope.spans]
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments: Any) -> None:
        pass


def _attributes(of: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in of.attributes}


@pytest.fixture
def collector() -> Iterator[Collector]:
    server = Collector()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("door", ["asgi", "wsgi"])
def test_requests_of_both_planes_are_spans_of_the_clients_trace(
    start: Callable[..., Server], collector: Collector, door: str
) -> None:
    server = start(door, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_BSP_SCHEDULE_DELAY="100")
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
    predict = f"/api/v1/{ENDPOINT}/predict"
    with server.client("admin") as client:
        client.headers.update(headers)
        assert client.post(predict, json=[PERSON, PERSON]).status_code == 200
        assert client.post(predict, json={"age": "x"}).status_code == 422
        nobodys = "/api/v1/mlrequests/00000000-0000-7000-8000-000000000000"
        assert client.put(nobodys, json={"feedback": ">50K"}).status_code == 404
        request_id = client.get(f"/api/v1/endpoints/{ENDPOINT}").headers["X-Request-Id"]
    assert server.predict(PERSON, scope="read").status_code == 403
    wait_until(lambda: len(collector.named("POST /api/v1/{endpoint}/predict")) == 3, 60)
    wait_until(lambda: len(collector.spans) == 7, 60)
    assert (collector.paths, collector.services) == ({"/v1/traces"}, {"ml_pipeline"})

    spans = {
        _attributes(span)["http.response.status_code"]: span
        for span in collector.named("POST /api/v1/{endpoint}/predict")
    }
    answered = spans[200]
    assert (answered.trace_id.hex(), answered.parent_span_id.hex(), answered.kind) == (TRACE, PARENT, 2)
    about = _attributes(answered)
    assert about["http.request.method"] == "POST"
    assert about["http.route"] == "/api/v1/{endpoint}/predict"
    assert about["url.path"] == predict
    names = [about[f"ml_pipeline.{name}"] for name in ("endpoint", "algorithm", "version", "rows")]
    assert names == [ENDPOINT, "random_forest", "0.0.1", 2]
    (inference,), (commit,) = collector.named("inference"), collector.named("commit")
    for part in (inference, commit):
        assert part.parent_span_id == answered.span_id
        assert answered.start_time_unix_nano <= part.start_time_unix_nano
        assert part.start_time_unix_nano < part.end_time_unix_nano <= answered.end_time_unix_nano
    assert inference.end_time_unix_nano <= commit.start_time_unix_nano

    assert _attributes(spans[422])["error.type"] == "invalid_input"
    assert spans[422].trace_id.hex() == TRACE
    assert _attributes(spans[403])["error.type"] == "forbidden"
    (told,) = collector.named("PUT /api/v1/mlrequests/{id}")
    assert (_attributes(told)["error.type"], told.trace_id.hex()) == ("not_found", TRACE)
    # It came without a trace of its own.
    assert spans[403].trace_id.hex() != TRACE
    (managed,) = [
        span for span in collector.spans if _attributes(span).get("url.path") == f"/api/v1/endpoints/{ENDPOINT}"
    ]
    assert managed.trace_id.hex() == TRACE
    assert _attributes(managed)["ml_pipeline.request_id"] == request_id


def test_without_a_collector_nothing_of_it_is_imported() -> None:
    program = """
import json, os, sys
os.environ.pop("OTEL_EXPORTER_OTLP_ENDPOINT", None)
from ml_pipeline.metrics.traces import traces
traces.begin()
traces.tell("GET", "/", 200, 0.0, parent={}, attributes={})
print(json.dumps([traces.is_on, [name for name in sys.modules if name.startswith("opentelemetry")]]))
"""
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert json.loads(done.stdout) == [False, []]


def test_a_collector_without_the_extra_is_warned_of(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from ml_pipeline.metrics.traces import Traces

    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    traces = Traces()
    traces.begin()
    assert not traces.is_on
    assert "OTEL_EXPORTER_OTLP_ENDPOINT is set" in caplog.text
    assert "ml-pipeline[server,otel]" in caplog.text
