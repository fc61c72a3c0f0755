"""A self-test over HTTP: its worker is killed, another goes on, and what is found is what the pure function finds."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

from homes import ENDPOINT
from servers import Server, wait_until, worker

from ml_pipeline.stats import selftest
from ml_pipeline.stats.plans import Plan

REPLAYS, LABELS, SEED = 300, 2_000, 3

# As the worker that counts does it, of which only the observations matter here.
_COUNTED = f"""
import django, json, random
django.setup()
from django.db import transaction
from ml_pipeline.apps.abtests import standings
from ml_pipeline.apps.abtests.models import Unit
draw = random.Random(1)
log = [(draw.randrange(2), float(draw.random() < 0.8)) for _ in range({LABELS})]
with transaction.atomic():
    standing = standings.locked({{test}})
    for place, (arm, score) in enumerate(log, 1):
        standing.tally.assign(str(place), arm, is_failed=False, latency_us=1)
        standing.tally.advance(str(place), arm, place, score)
        Unit.objects.create(test=standing.test, digest=str(place), arm=arm, is_failed=False, latency_us=1,
            position=place, score=score)
    standing.save()
print(json.dumps(log))
"""


def test_it_ends_as_if_nothing_had_been(start: Callable[..., Server]) -> None:
    server = start("asgi")
    with server.client("admin") as client:
        ids = [one["id"] for one in client.get("/api/v1/mlalgorithms", params={"endpoint": ENDPOINT}).json()]
        body = {"title": "shuffled", "parent_mlalgorithm_1": ids[0], "parent_mlalgorithm_2": ids[1]}
        test = client.post("/api/v1/abtests", json={**body, "min_time_s": 3600}).json()["id"]
        address = f"/api/v1/abtests/{test}/selftest"
        assert client.get(address).status_code == 404
        assert client.post(address, json={}).status_code == 409
        log = json.loads(server.home.python(_COUNTED.format(test=test)))
        for wrong in ({"replays": 0}, {"seed": -1}, {"unknown": 1}, {"replays": 10_000}):
            assert client.post(address, json=wrong).status_code == 422
        asked = {"replays": REPLAYS, "seed": SEED}
        assert client.post(address, json=asked).status_code == 202
        with worker(server.home) as first:
            wait_until(lambda: client.get(address).json()["done"] > 0, 60)
            first.kill()
            first.wait()
            again = client.post(address, json=asked)
        assert (again.status_code, again.json()["state"]) == (202, "running")
        with worker(server.home):
            program = str(Path(sys.executable).parent / "ml-pipeline")
            keys = (f"ML_PIPELINE_URL={server.url}", f"ML_PIPELINE_API_KEY={server.home.keys['admin']}")
            command = (program, "abtest", "selftest", str(test), "--replays", str(REPLAYS), "--seed", str(SEED))
            said = server.home.run("env", *keys, *command).stdout
        reply = client.post(address, json=asked)
        assert (reply.status_code, reply.json()) == (200, client.get(address).json())
    pure = selftest.run(Plan(min_time_s=3600), log, replays=REPLAYS, seed=SEED)
    found = reply.json()
    assert [found[name] for name in ("promoted", "rate", "low", "high")] == [
        pure.promoted,
        pure.rate,
        pure.low,
        pure.high,
    ]
    assert f"Of 300 replays of 2,000 labels without any difference {pure.promoted} ended in a promotion" in said
    assert "the plan allows 5.0 %" in said
