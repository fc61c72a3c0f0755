"""300 tests over HTTP, 200 of equal arms and 100 of .70 against .90: each decides as the pure functions do."""

from __future__ import annotations

import random
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import observers
import pytest
from homes import Home
from observers import Observer
from servers import Server, worker

# Endpoints on which tests go on at once, and how many on each, one after the other: all of them, or with the others.
ENDPOINTS, EACH, FEWER = 12, 25, 4
EQUAL, BETTER = (0.8, 0.8), (0.7, 0.9)


def test_each_decides_alike(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    each = EACH if request.config.getoption("whole") else FEWER
    home = Home(tmp_path / "home").make()
    names = [f"endpoint-{number}" for number in range(ENDPOINTS)]
    observers.set_up(home, names)
    server = Server("asgi", home, {}).start()
    results: Counter[tuple[tuple[float, float], str]] = Counter()

    def run_each(number: int) -> None:
        with server.client("admin") as client:
            for seed in range(number * each, (number + 1) * each):
                accuracies = EQUAL if seed % 3 else BETTER
                observer = Observer(client, names[number], accuracies)
                observer.run(random.Random(seed))
                results[accuracies, observer.compare()] += 1
                if seed % 10 == 0:
                    observer.verify()

    begun = time.monotonic()
    try:
        with worker(home), ThreadPoolExecutor(ENDPOINTS) as pool:
            list(pool.map(run_each, range(ENDPOINTS)))
    finally:
        server.stop()
    took_s = time.monotonic() - begun
    print(f"{took_s:.0f} s: {dict(results)}")
    assert results.total() == ENDPOINTS * each
    equal, better = (sum(n for (one, _), n in results.items() if one == kind) for kind in (EQUAL, BETTER))
    # At most 5 %, and four standard errors.
    assert results[EQUAL, "promoted"] <= 0.05 * equal + 4 * (0.05 * 0.95 * equal) ** 0.5
    assert results[BETTER, "promoted"] >= 0.9 * better
