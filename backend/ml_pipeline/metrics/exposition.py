"""The metrics as text, for whoever may see some endpoints' or all: what `GET /metrics` answers."""

from __future__ import annotations

import os
import platform
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from ml_pipeline import __version__
from ml_pipeline.metrics import families, processes
from ml_pipeline.metrics.families import PREFIX, Family, Kind
from ml_pipeline.metrics.folders import Contents
from ml_pipeline.metrics.recorder import Recorder
from ml_pipeline.metrics.shards import About

Sees = Callable[[str], bool]


class Text(NamedTuple):
    """What is sent, and in which format."""

    content_type: str
    body: bytes


class Seen(Collector):
    """`metrics` as far as whoever `sees` an endpoint by its name may know; what belongs to none is for all."""

    def __init__(self, metrics: Iterable[Metric], sees: Sees) -> None:
        self._metrics, self._sees = metrics, sees

    def collect(self) -> Iterator[Metric]:
        """Each with the samples that he may see."""
        for metric in self._metrics:
            samples = [one for one in metric.samples if self._is_seen(one.labels)]
            seen = Metric(metric.name, metric.documentation, metric.type)
            seen.samples = samples
            yield seen

    def _is_seen(self, labels: Mapping[str, str]) -> bool:
        endpoint = labels.get("endpoint")
        return not endpoint or self._sees(endpoint)


def text(recorder: Recorder, home: Path, looked_up: Sequence[Metric] | None, accept: str, sees: Sees) -> Text:
    """All metrics in the format that `accept`, a header, asks for; `looked_up` is None when the database is away.

    Raises OSError where the shards cannot be read: some numbers without the others would look like a new beginning.
    """
    metrics = [*_counted(recorder), *_of_machine(home), *_database(looked_up)]
    encode, content_type = choose_encoder(accept)
    return Text(content_type, encode(Seen(metrics, sees)))


def _counted(recorder: Recorder) -> Iterator[Metric]:
    contents = recorder.contents() if recorder.is_shared else None
    if contents is None:
        contents = _alone(recorder)
    children: dict[str, list[tuple[list[str], list[float]]]] = defaultdict(list)
    for key, values in sorted(contents.totals.items()):
        children[key[0]].append((list(key[1:]), values))
    for (key, pid), value in sorted(contents.gauges.items()):
        children[key[0]].append(([*key[1:], str(pid)], [value]))
    for family in families.TABLE.values():
        yield _metric(family, children[family.name])
    yield from _processes(contents.live)


def _alone(recorder: Recorder) -> Contents:
    about = About(os.getpid(), "server")
    contents = Contents({}, {}, [about])
    for key, values in recorder.own().items():
        if families.TABLE[key[0]].kind is Kind.GAUGE:
            contents.gauges[key, about.pid] = values[0]
        else:
            contents.totals[key] = values
    return contents


def _metric(family: Family, children: Iterable[tuple[list[str], list[float]]]) -> Metric:
    if family.kind is Kind.HISTOGRAM:
        histogram = HistogramMetricFamily(family.name, family.help, labels=family.labels)
        for labels, values in children:
            histogram.add_metric(labels, _cumulative(family, values), values[-1])
        return histogram
    if family.kind is Kind.GAUGE:
        gauge = GaugeMetricFamily(family.name, family.help, labels=(*family.labels, "pid"))
        for labels, values in children:
            gauge.add_metric(labels, values[0])
        return gauge
    counter = CounterMetricFamily(family.name, family.help, labels=family.labels)
    for labels, values in children:
        counter.add_metric(labels, values[0])
    return counter


def bound_text(bound: float) -> str:
    """A bucket's upper bound as the label `le` has it."""
    return "+Inf" if bound == float("inf") else repr(float(bound))


def _cumulative(family: Family, values: Sequence[float]) -> list[tuple[str, float]]:
    total, found = 0.0, []
    for bound, count in zip((*family.bounds, float("inf")), values, strict=False):
        total += count
        found.append((bound_text(bound), total))
    return found


def _processes(live: Sequence[About]) -> Iterator[Metric]:
    labels = ("pid", "role")
    cpu = CounterMetricFamily(f"{PREFIX}process_cpu_seconds", "Processor time of a live process.", labels=labels)
    gauges = {
        name: GaugeMetricFamily(f"{PREFIX}process_{name}", help_, labels=labels)
        for name, help_ in (
            ("resident_memory_bytes", "Memory of a live process, what it shares with others included."),
            ("open_fds", "Descriptors that a live process has open."),
            ("max_fds", "Descriptors that it may have open."),
            ("threads", "Threads of a live process."),
            ("start_time_seconds", "When a live process began, in seconds since 1970."),
        )
    }
    for about in live:
        usage = processes.usage(about.pid)
        if usage is None:
            continue
        whose = [str(about.pid), about.role]
        cpu.add_metric(whose, usage.cpu_s)
        for gauge, value in zip(gauges.values(), usage[1:], strict=True):
            gauge.add_metric(whose, value)
    yield cpu
    yield from gauges.values()


def _of_machine(home: Path) -> Iterator[Metric]:
    build = GaugeMetricFamily(f"{PREFIX}build_info", "1; what runs.", labels=("version", "python"))
    build.add_metric([__version__, platform.python_version()], 1)
    yield build
    try:
        disk = shutil.disk_usage(home)
    except OSError:
        return
    yield GaugeMetricFamily(f"{PREFIX}home_free_bytes", "Space left on the disk of the home folder.", value=disk.free)
    yield GaugeMetricFamily(f"{PREFIX}home_size_bytes", "Size of the disk of the home folder.", value=disk.total)


def _database(looked_up: Sequence[Metric] | None) -> Iterator[Metric]:
    is_there = looked_up is not None
    text = "1 when the database told what it was asked for these metrics, else 0, and some are missing."
    yield GaugeMetricFamily(f"{PREFIX}database_up", text, value=int(is_there))
    yield from looked_up or ()
