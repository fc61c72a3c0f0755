"""Scrapes of a server under test, read by prometheus_client's own parser."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families
from servers import Server

Labels = tuple[tuple[str, str], ...]


class Scrape:
    """What `/metrics` told: samples by name."""

    def __init__(self, text: str) -> None:
        self.samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]

    @property
    def names(self) -> set[str]:
        return {sample.name for sample in self.samples}

    def values(self, name: str, **labels: str) -> list[float]:
        """The samples of that name that have these labels."""
        return [
            sample.value
            for sample in self.samples
            if sample.name == f"ml_pipeline_{name}" and labels.items() <= sample.labels.items()
        ]

    def sum(self, name: str, **labels: str) -> float:
        return sum(self.values(name, **labels))

    def label(self, name: str, label: str) -> set[str]:
        """What `label` says in the samples of that name."""
        return {sample.labels[label] for sample in self.samples if sample.name == f"ml_pipeline_{name}"}


def scraped(server: Server, scope: str = "admin") -> Scrape:
    """What `server` tells whoever has a key of that scope."""
    with server.client(scope) as client:
        reply = client.get("/metrics")
    assert reply.status_code == 200, reply.text
    return Scrape(reply.text)
