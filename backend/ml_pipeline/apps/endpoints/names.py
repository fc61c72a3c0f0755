"""Names that endpoints may bear. Knows no model: the data plane's doors route by it."""

from __future__ import annotations

PATTERN = r"^[a-z][a-z0-9_-]{0,62}\Z"
RESERVED = frozenset(
    {
        "endpoints",
        "mlalgorithms",
        "mlalgorithmstatuses",
        "mlrequests",
        "abtests",
        "batches",
        "batch-predict",
        "stop_ab_test",
        "events",
        "keys",
        "schema",
        "docs",
    }
)
