"""A test's status and its report cost the same however many requests it has had: less than 50 ms over a million."""

from __future__ import annotations

import sqlite3
import statistics
import time
from collections.abc import Callable
from contextlib import closing

from homes import ENDPOINT
from servers import Server

REQUESTS = 1_000_000
LIMIT_S = 0.05

_REQUESTS = f"""
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {REQUESTS})
INSERT INTO endpoints_mlrequest (id, parent_mlalgorithm_id, test_id, arm, outcome, revision, batch_id, position,
    input_data, full_response, response, latency_us, created_at)
SELECT printf('07000000%024x', i), 1, ?, i % 2, 'ok', 1, 0, i, '{{}}', '{{}}', 'x', 100, '2026-01-01' FROM n
"""
_UNITS = f"""
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {REQUESTS})
INSERT INTO abtests_unit (test_id, digest, arm, is_failed, latency_us, position, request_id, score)
SELECT ?, printf('%032x', i), i % 2, 0, 100, i, printf('07000000%024x', i), i % 3 > 0 FROM n
"""
# As the worker does it, of which only the sums matter here.
_COUNTED = """
import django, random
django.setup()
from django.db import transaction
from ml_pipeline.apps.abtests import standings
with transaction.atomic():
    standing = standings.locked({test})
    draw = random.Random(1)
    for one in range(30_000):
        arm = one % 5 > 0
        standing.tally.assign(str(one), int(arm), is_failed=False, latency_us=100)
        standing.tally.advance(str(one), int(arm), one, float(draw.random() < 0.8))
    standing.save()
"""


def test_it_takes_less_than_its_limit(start: Callable[..., Server]) -> None:
    server = start("asgi")
    with server.client("admin") as client:
        found = client.get("/api/v1/mlalgorithms", params={"endpoint": ENDPOINT}).json()
        ids = [one["id"] for one in sorted(found, key=lambda one: one["current_status"] != "production")]
        body = {"title": "large", "parent_mlalgorithm_1": ids[0], "parent_mlalgorithm_2": ids[1]}
        test = client.post("/api/v1/abtests", json={**body, "alpha": 1e-6, "harm_alpha": 1e-6}).json()
        server.home.python(_COUNTED.format(test=test["id"]))
        with closing(sqlite3.connect(server.home.folder / "db.sqlite3", timeout=30)) as database:
            for statement in (_REQUESTS, _UNITS):
                database.execute(statement, (test["id"],))
            database.commit()
        address = f"/api/v1/abtests/{test['id']}"
        assert client.get(address).json()["labels"] == 30_000
        for one in (address, f"{address}/report"):
            taken = []
            for _ in range(21):
                begun = time.perf_counter()
                assert client.get(one).status_code == 200
                taken.append(time.perf_counter() - begun)
            print(f"{one}: median {statistics.median(taken) * 1e3:.1f} ms, quickest {min(taken) * 1e3:.1f} ms")
            # Others work on the machine too: what it takes by itself is what the quickest took.
            assert min(taken) < LIMIT_S, taken
