"""What the parts share, each made once: trained bundles, rows, a home on SQLite, a PostgreSQL, the models served."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

from benchmarks.data_plane import asks, product
from benchmarks.data_plane.asks import Ask
from benchmarks.data_plane.contestants import Contestant
from benchmarks.data_plane.postgres import Cluster
from benchmarks.data_plane.product import Home
from benchmarks.data_plane.rounds import Plan

ROWS = 400
TEMPLATE = "prepared"


class Stage:
    """Everything lies under the plan's folder; `bundles` is kept for the next run."""

    def __init__(self, plan: Plan, bundles: Path) -> None:
        self.plan = plan
        self._bundles = bundles
        self._cluster: Cluster | None = None

    @functools.cached_property
    def home(self) -> Home:
        """The forest in production, on SQLite. Copied, never served itself."""
        self.plan.say("training, registering")
        return product.home(self._bundle(product.FOREST), self.plan.folder / "home")

    @functools.cached_property
    def tree_home(self) -> Home:
        """The decision tree in production, on SQLite; a tree, so that a thousand of them fit into memory."""
        return product.home(self._bundle(product.TREE), self.plan.folder / "tree-home")

    @functools.cached_property
    def model(self) -> Path:
        """The forest as the product serves it."""
        return product.served_model(self.home, self.plan.folder / "model")

    @functools.cached_property
    def questions(self) -> Sequence[Ask]:
        """Rows for the forest."""
        return asks.rows(self.model, ROWS)

    @functools.cached_property
    def tree_questions(self) -> Sequence[Ask]:
        """Rows for the decision tree."""
        return asks.rows(product.served_model(self.tree_home, self.plan.folder / "tree-model"), ROWS)

    @functools.cached_property
    def cluster(self) -> Cluster:
        """PostgreSQL, on the server's core."""
        self._cluster = Cluster(self.plan.folder, self.plan.server)
        return self._cluster

    @functools.cached_property
    def postgresql_home(self) -> Home:
        """As `home`, on PostgreSQL."""
        url = self.cluster.make(TEMPLATE)
        return product.home(self._bundle(product.FOREST), self.plan.folder / "postgresql-home", url)

    def sqlite(self, name: str) -> Contestant:
        """The product on a copy of the home of its own."""
        own = product.copied(self.home, self.plan.folder / name)
        return product.contestant(name, own, self.questions, self.plan.server)

    def postgresql(self, name: str, *, workers: int = 1) -> Contestant:
        """The product on a database of its own."""
        source = self.postgresql_home
        own = product.copied(
            source, self.plan.folder / name, self.cluster.make(name.replace("-", "_"), template=TEMPLATE)
        )
        cores = self.plan.server if workers == 1 else self.plan.both
        return product.contestant(name, own, self.questions, cores, cluster=self.cluster, workers=workers)

    def close(self) -> None:
        """Ends PostgreSQL."""
        if self._cluster:
            self._cluster.stop()

    def _bundle(self, name: str) -> Path:
        return product.trained(name, self._bundles)
