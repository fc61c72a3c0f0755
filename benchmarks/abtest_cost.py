"""What a running A/B test costs: predictions on an endpoint with an even test, beside the same endpoint without.

    python benchmarks/abtest_cost.py [--rounds 300] [--requests 100] [--list ROWS] [--json]

On a home whose income classifier has two versions of one decision tree, in turns (`turns`) with the test, where each
request goes to the arm of its id, and with its champion in production alone; prints the medians of the processor's time
a request, and the median over all pairs of neighbouring turns of their ratio. `--list` asks for lists of that many rows
instead.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import turns
from turns import Home

sys.path.insert(0, str(turns.REPOSITORY / "tests" / "abtests"))

import trials

_DRIVEN = """
import dataclasses
rows = int(sys.argv[4])
people = as_rows(held_out_people().head(500 + rows))
bodies = [json.dumps(people[one : one + rows] if rows else people[one]).encode() for one in range(500)]
keeper = service._keeper

def prepare():
    global tested, plain
    tested = keeper.snapshot
    ((name, trial),) = tested.trials.items()
    routes = (dataclasses.replace(trial.champion, status="production"),)
    plain = dataclasses.replace(tested, endpoints={**tested.endpoints, name: routes}, trials={}, _found={})

def switch(name):
    keeper.snapshot = tested if name == "with" else plain
"""


def main() -> None:
    """Makes the home, drives the door, prints."""
    parser = turns.parser(__doc__)
    parser.add_argument("--list", type=int, default=0, metavar="ROWS")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="abtest-cost-") as folder:
        bundles = turns.trained(Path(folder))
        home = Home(Path(folder) / "home").prepare(bundles)
        home.register(bundles / "decision_tree", version="0.0.2")
        trials.begun(home, (("decision_tree", "0.0.1"), ("decision_tree", "0.0.2")))
        turns.tell(turns.taken(home, _DRIVEN, options, str(options.list)), "test", as_json=options.json)


if __name__ == "__main__":
    main()
