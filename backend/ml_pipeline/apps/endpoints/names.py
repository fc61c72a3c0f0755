"""Names that endpoints, aliases and tags may bear. Knows no model: the data plane's doors route by it."""

from __future__ import annotations

# Of endpoints and of aliases. No "@": it stands between the two in an address.
PATTERN = r"^[a-z][a-z0-9_-]{0,62}\Z"
TAG_PATTERN = r"^[a-z][a-z0-9_.-]{0,62}\Z"
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
        "teams",
        "receivers",
        "alertrules",
        "alerts",
        "schema",
        "docs",
    }
)
