"""What a running A/B test costs: predictions on an endpoint with an even test, beside the same endpoint without.

    python benchmarks/abtest_cost.py [--rounds 300] [--requests 100] [--list ROWS] [--json]

Drives the ASGI door in this process, 32 requests at once, on a home whose income classifier has two versions of one
decision tree; each prediction is decoded, answered and committed as ever. In short turns with the test, where each
request goes to the arm of its id, and with its champion in production alone, so that what else the machine does falls
on both alike; prints the medians of the processor's time a request, and the median over all pairs of neighbouring turns
of their ratio. `--list` asks for lists of that many rows instead.
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
sys.path[:0] = [str(REPOSITORY / "tests"), str(REPOSITORY / "tests" / "abtests")]

import trials  # noqa: E402  (the tests' own)
from homes import Home  # noqa: E402

_DRIVEN = """
import asyncio, dataclasses, json, sys, time
from ml_pipeline.server.asgi import application as door
from people import as_rows, held_out_people
rounds, requests, rows, key = *map(int, sys.argv[1:4]), sys.argv[4].encode()
people = as_rows(held_out_people().head(500 + rows))
bodies = [json.dumps(people[one : one + rows] if rows else people[one]).encode() for one in range(500)]
scope = {"type": "http", "method": "POST", "path": "/api/v1/income_classifier/predict", "query_string": b"",
         "headers": [(b"content-type", b"application/json"), (b"x-api-key", key)]}
keeper = door._exchange.service._keeper

async def ask(body):
    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}
    async def send(message):
        assert message.get("status", 200) == 200, message
        assert b'"arm"' not in message.get("body", b"") or keeper.snapshot.trials
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
    await round_of(20)
    tested = keeper.snapshot
    ((name, trial),) = tested.trials.items()
    routes = (dataclasses.replace(trial.champion, status="production"),)
    plain = dataclasses.replace(tested, endpoints={**tested.endpoints, name: routes}, trials={}, _found={})
    found = {"with": [], "without": []}
    for number in range(2 * rounds + 8):
        # Which of a pair comes first changes from pair to pair; the first are for warming up.
        which = ("with", "without", "without", "with")[number % 4]
        keeper.snapshot = tested if which == "with" else plain
        took = await round_of(requests)
        if number >= 8:
            found[which].append(took)
    print(json.dumps(found))

asyncio.run(main())
"""


def main() -> None:
    """Makes the home, drives the door, prints."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--requests", type=int, default=100)
    parser.add_argument("--list", type=int, default=0, metavar="ROWS")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="abtest-cost-") as folder:
        script = REPOSITORY / "research" / "train_income_classifier.py"
        bundles = Path(folder) / "bundles"
        subprocess.run([sys.executable, str(script), "--out", str(bundles)], check=True, stdout=subprocess.DEVNULL)
        home = Home(Path(folder) / "home").prepare(bundles)
        home.register(bundles / "decision_tree", version="0.0.2")
        trials.begun(home, (("decision_tree", "0.0.1"), ("decision_tree", "0.0.2")))
        arguments = (*map(str, (options.rounds, options.requests, options.list)), home.keys["predict"])
        found = json.loads(home.run(sys.executable, "-c", _DRIVEN, *arguments).stdout.splitlines()[-1])
    medians = {name: statistics.median(values) for name, values in found.items()}
    ratio = statistics.median(one / other for one, other in zip(found["with"], found["without"], strict=True))
    if options.json:
        print(json.dumps({"us_per_request": medians, "ratio": ratio, "rounds": found}))
    else:
        print(f"with the test {medians['with']:.1f} µs, without {medians['without']:.1f} µs a request: {ratio:.3f} ×")


if __name__ == "__main__":
    main()
