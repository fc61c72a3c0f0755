"""What the check of a key costs: predictions with it, beside the same predictions where it is left out.

    python benchmarks/key_check.py [--rounds 300] [--requests 100] [--json]

Drives the ASGI door in this process, 32 requests at once, on a home with the income classifier in production; each
prediction is decoded, answered and committed as ever. In short turns with the check as it is (key, expiry, scope, whose
the endpoint is) and with it left out, so that what else the machine does falls on both alike; prints the medians of the
processor's time a request, and the median over all pairs of neighbouring turns of their ratio.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY / "tests"))

from homes import Home  # noqa: E402  (the tests' own homes)

_DRIVEN = """
import asyncio, json, sys, time
from ml_pipeline.server.asgi import application as door
from ml_pipeline.apps.predictions.routing import Snapshot
from people import as_rows, held_out_people
rounds, requests, key = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3].encode()
bodies = [json.dumps(row).encode() for row in as_rows(held_out_people().head(500))]
scope = {"type": "http", "method": "POST", "path": "/api/v1/income_classifier/predict", "query_string": b"",
         "headers": [(b"content-type", b"application/json"), (b"x-api-key", key)]}
service = door._exchange.service

async def ask(body):
    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}
    async def send(message):
        assert message.get("status", 200) == 200, message
    await door(scope, receive, send)

async def round_of(count):
    left = iter(range(count))
    async def client():
        for number in left:
            await ask(bodies[number % len(bodies)])
            await asyncio.sleep(0)
    begun = time.process_time()
    await asyncio.gather(*(client() for _ in range(32)))
    return (time.process_time() - begun) / count * 1e6

async def main():
    checked = service.authorise, Snapshot.route_for
    await round_of(2_000)
    grant = service.authorise(key.decode(), "predict")
    left_out = (lambda secret, scope: grant), (lambda self, grant, endpoint, selection: self.route(endpoint, selection))
    found = {"with": [], "without": []}
    for number in range(2 * rounds):
        # Which of a pair comes first changes from pair to pair.
        name = ("with", "without", "without", "with")[number % 4]
        service.authorise, Snapshot.route_for = checked if name == "with" else left_out
        found[name].append(await round_of(requests))
    print(json.dumps(found))

asyncio.run(main())
"""


def main() -> None:
    """Makes the home, drives the door, prints."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--requests", type=int, default=100)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="key-check-") as folder:
        script = REPOSITORY / "research" / "train_income_classifier.py"
        bundles = Path(folder) / "bundles"
        subprocess.run([sys.executable, str(script), "--out", str(bundles)], check=True, stdout=subprocess.DEVNULL)
        home = Home(Path(folder) / "home").prepare(bundles)
        arguments = (str(options.rounds), str(options.requests), home.keys["predict"])
        found = json.loads(home.run(sys.executable, "-c", _DRIVEN, *arguments).stdout.splitlines()[-1])
    medians = {name: statistics.median(values) for name, values in found.items()}
    ratio = statistics.median(one / other for one, other in zip(found["with"], found["without"], strict=True))
    if options.json:
        print(json.dumps({"us_per_request": medians, "ratio": ratio, "rounds": found}))
    else:
        print(f"with the check {medians['with']:.1f} µs, without {medians['without']:.1f} µs a request: {ratio:.3f} ×")


if __name__ == "__main__":
    main()
