"""Turns: the ASGI door driven in a process of its own, in short turns with something and without it.

What else the machine does falls on both alike. Each request is decoded, answered and committed as ever, 32 at once.
What a benchmark measures so is a program that defines `bodies`, a list of bytes; `prepare()`, called once the door has
answered; and `switch(name)`, called before each turn with "with" or "without".
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import TypeAlias

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY / "tests"))

from homes import Home  # noqa: E402  (the tests' own homes)

# Processor's time a request in µs, by turn: "with" and "without".
Turns: TypeAlias = dict[str, list[float]]

_BEGUN = """
import asyncio, json, sys, time
from ml_pipeline.server.asgi import application as door
from people import as_rows, held_out_people
rounds, requests, key = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
scope = {"type": "http", "method": "POST", "path": "/api/v1/income_classifier/predict", "query_string": b"",
         "headers": [(b"content-type", b"application/json"), (b"x-api-key", key.encode())]}
service = door._exchange.service

async def ask(body):
    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}
    async def send(message):
        assert message.get("status", 200) == 200, message
    await door(scope, receive, send)

async def turn(count):
    left = iter(range(count))
    async def client():
        for number in left:
            await ask(bodies[number % len(bodies)])
            await asyncio.sleep(0)
    begun = time.process_time()
    await asyncio.gather(*(client() for _ in range(32)))
    return (time.process_time() - begun) / count * 1e6
"""
_GONE_ON = """
async def main():
    # It has read its keys and algorithms once it answers.
    await turn(20)
    prepare()
    found = {"with": [], "without": []}
    for number in range(2 * rounds + 8):
        # Which of a pair comes first changes from pair to pair; the first are for warming up.
        name = ("with", "without", "without", "with")[number % 4]
        switch(name)
        took = await turn(requests)
        if number >= 8:
            found[name].append(took)
    print(json.dumps(found))

asyncio.run(main())
"""


def parser(text: str | None) -> argparse.ArgumentParser:
    """What the options of such a benchmark are read by; `text` is its docstring."""
    made = argparse.ArgumentParser(description=(text or "").splitlines()[0])
    made.add_argument("--rounds", type=int, default=300)
    made.add_argument("--requests", type=int, default=100)
    made.add_argument("--json", action="store_true")
    return made


def trained(folder: Path) -> Path:
    """The folder of the three reference algorithms' bundles, which were trained for it."""
    script = REPOSITORY / "research" / "train_income_classifier.py"
    bundles = folder / "bundles"
    subprocess.run([sys.executable, str(script), "--out", str(bundles)], check=True, stdout=subprocess.DEVNULL)
    return bundles


def taken(home: Home, program: str, options: argparse.Namespace, *arguments: str) -> Turns:
    """What the turns on `home` took, by the measured `program`, which finds `arguments` from `sys.argv[4]` on."""
    given = (str(options.rounds), str(options.requests), home.keys["predict"], *arguments)
    printed = home.run(sys.executable, "-c", _BEGUN + program + _GONE_ON, *given).stdout
    turns: Turns = json.loads(printed.splitlines()[-1])
    return turns


def tell(turns: Turns, what: str, *, as_json: bool) -> None:
    """Prints the medians, and the median over all pairs of neighbouring turns of their ratio."""
    medians = {name: statistics.median(values) for name, values in turns.items()}
    ratio = statistics.median(one / other for one, other in zip(turns["with"], turns["without"], strict=True))
    if as_json:
        print(json.dumps({"us_per_request": medians, "ratio": ratio, "rounds": turns}))
    else:
        print(f"with the {what} {medians['with']:.1f} µs, without {medians['without']:.1f} µs a request: {ratio:.3f} ×")
