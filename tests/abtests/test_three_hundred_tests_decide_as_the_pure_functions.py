"""300 tests over HTTP, 200 of equal arms and 100 of .70 against .90: each decides as the pure functions do."""

from __future__ import annotations

import random
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import observers
from homes import Home
from observers import Observer
from servers import Server

# Endpoints on which tests go on at once, and how many on each, one after the other.
ENDPOINTS, EACH = 12, 4
LIMIT_S = 600


def test_each_decides_alike(tmp_path: Path) -> None:
    home = Home(tmp_path / "home").make()
    names = [f"endpoint-{number}" for number in range(ENDPOINTS)]
    observers.set_up(home, names)
    server = Server("asgi", home, {}).start()
    results: Counter[tuple[bool, str]] = Counter()
    begun = time.monotonic()

    def run_each(number: int) -> None:
        with server.client("admin", limits=httpx.Limits(max_connections=None)) as client:
            for seed in range(number * EACH, (number + 1) * EACH):
                is_better = seed % 3 == 0
                observer = Observer(server, client, names[number], (0.7, 0.9) if is_better else (0.8, 0.8))
                observer.run(random.Random(seed))
                results[is_better, observer.compare()] += 1
                if seed % 10 == 0:
                    observer.verify()

    try:
        with observers.worker(home), ThreadPoolExecutor(ENDPOINTS) as pool:
            list(pool.map(run_each, range(ENDPOINTS)))
    finally:
        server.stop()
    took_s = time.monotonic() - begun
    equal, better = ({name: n for (which, name), n in results.items() if which is kind} for kind in (False, True))
    print(f"{took_s:.0f} s; of equal arms {equal}, of .70 and .90 {better}")
    assert sum(results.values()) == ENDPOINTS * EACH
    assert took_s < LIMIT_S
