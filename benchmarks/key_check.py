"""What the check of a key costs: predictions with it, beside the same predictions where it is left out.

    python benchmarks/key_check.py [--rounds 300] [--requests 100] [--json]

On a home with the income classifier in production, in turns (`turns`) with the check as it is (key, expiry, scope,
whose the endpoint is) and with it left out; prints the medians of the processor's time a request, and the median over
all pairs of neighbouring turns of their ratio.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import turns
from turns import Home

_DRIVEN = """
from ml_pipeline.apps.predictions.routing import Snapshot
bodies = [json.dumps(row).encode() for row in as_rows(held_out_people().head(500))]
checked = service.authorise, Snapshot.route_for

def prepare():
    global left_out
    grant = service.authorise(key, "predict")
    left_out = (lambda secret, scope: grant), (lambda self, grant, endpoint, selection: self.route(endpoint, selection))

def switch(name):
    service.authorise, Snapshot.route_for = checked if name == "with" else left_out
"""


def main() -> None:
    """Makes the home, drives the door, prints."""
    options = turns.parser(__doc__).parse_args()
    with tempfile.TemporaryDirectory(prefix="key-check-") as folder:
        home = Home(Path(folder) / "home").prepare(turns.trained(Path(folder)))
        turns.tell(turns.taken(home, _DRIVEN, options), "check", as_json=options.json)


if __name__ == "__main__":
    main()
