"""What registered algorithms cost that nobody asks for: start-up, memory, and the first request for a cold one.

    python benchmarks/a_thousand_algorithms.py [--count 1000] [--json]

Makes a home with one live algorithm, measures a server on it, registers `count` more that are in testing, each with a
bundle of its own, and measures again. Prints a Markdown table, or JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY / "tests"))

from homes import Home  # noqa: E402  (the tests' own homes and servers)
from servers import Server  # noqa: E402

COLD_REQUESTS = 50
STARTS = 5

_LIVE = """
import sys, django
django.setup()
from pathlib import Path
sys.path.insert(0, "tests/endpoints")
import io, joblib, pandas as pd
from sklearn.ensemble import RandomForestClassifier
from ml_pipeline.apps.accounts import access
from ml_pipeline.apps.endpoints import algorithms, statuses
from ml_pipeline.apps.ml import bundles
from ml_pipeline.apps.ml.signature import Signature, inferred_feature
frame = pd.DataFrame({"x": [float(i % 17) for i in range(400)], "y": [float(i % 5) for i in range(400)]})
model = RandomForestClassifier(20, random_state=0).fit(frame, ["yes" if x > y else "no" for x, y in frame.to_numpy()])
signature = Signature(tuple(inferred_feature(n, frame[n].tolist()) for n in frame), "classification", ("no", "yes"))
out = io.BytesIO(); joblib.dump(model, out)
files = {bundles.JOBLIB_MODEL: out.getvalue(), bundles.SAMPLE_CSV: frame.to_csv(index=False).encode()}
source = bundles.write_bundle(Path(sys.argv[1]), {"algorithm": "pipeline", "signature": signature.to_json()}, files)
done = algorithms.register_folder(source, endpoint="bench", name="live", version="1", owner="", grant=access.operator())
statuses.promote(done.algorithm, actor="bench")
print(done.algorithm.runtime)
"""

_MANY = """
import sys, django
django.setup()
from pathlib import Path
from django.utils import timezone
from ml_pipeline.apps.endpoints import registrations, statuses
from ml_pipeline.apps.endpoints.models import MLAlgorithm
from ml_pipeline.apps.ml import bundles
live = MLAlgorithm.objects.get(name="live")
stored = registrations.store().bundle(live.artifact_digest)
files = {name: stored.read(name) for name in stored.files}
for number in range(int(sys.argv[2])):
    one = bundles.write_bundle(Path(sys.argv[1]) / "one", {**stored.manifest, "number": number}, files)
    registrations.store().add(one)
    row = MLAlgorithm.objects.get(pk=live.pk)
    row.pk, row._state.adding = None, True
    row.name, row.version, row.artifact_digest, row.created_at = "cold", str(number), one.digest, timezone.now()
    row.save()
    statuses.begin(row, actor="bench", reason="registered")
from django.db import transaction
from ml_pipeline.apps.events import revisions
with transaction.atomic():
    revisions.raise_revision()
"""


def started(home: Home) -> tuple[Server, float, float]:
    """A ready server on `home`, the seconds until it was ready, and its resident memory in MB."""
    begun = time.perf_counter()
    server = Server("asgi", home, {}).start()
    with server.client(None) as client:
        while client.get("/readyz").status_code != 200:
            time.sleep(0.005)
    seconds = time.perf_counter() - begun
    pages = int(Path(f"/proc/{server.pid}/statm").read_text().split()[1])
    return server, seconds, pages * 4096 / 1e6


def start_up(home: Home) -> dict[str, float]:
    """Medians over several starts."""
    seconds, megabytes = [], []
    for _ in range(STARTS):
        server, took, resident = started(home)
        server.stop()
        seconds.append(took)
        megabytes.append(resident)
    return {"start_s": statistics.median(seconds), "resident_mb": statistics.median(megabytes)}


def cold(home: Home, count: int) -> dict[str, float]:
    """Seconds of the first request for each of some algorithms that nobody asked for yet."""
    server, _, _ = started(home)
    took = []
    try:
        with server.client("predict") as client:
            for number in range(0, count, max(1, count // COLD_REQUESTS)):
                begun = time.perf_counter()
                reply = client.post(f"/api/v1/bench/predict?algorithm=cold&version={number}", json={"x": 1.0, "y": 2.0})
                took.append(time.perf_counter() - begun)
                if reply.json().get("version") != str(number):
                    raise SystemExit(f"another answer than the cold one's: {reply.text}")
    finally:
        server.stop()
    return {"cold_median_s": statistics.median(took), "cold_max_s": max(took), "cold_requests": len(took)}


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=1_000)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder) / "home").make()
        home.run(sys.executable, "-c", _LIVE, str(Path(folder) / "source"))
        alone = start_up(home)
        home.run(sys.executable, "-c", _MANY, folder, str(arguments.count))
        many = {**start_up(home), **cold(home, arguments.count)}
    ratios = {name: many[name] / alone[name] for name in alone}
    if arguments.json:
        print(json.dumps({"alone": alone, "with_cold": many, "ratios": ratios}))
        return
    print(f"| | live alone | with {arguments.count:,} cold | ratio |\n|---|---|---|---|")
    print(f"| start to ready, s | {alone['start_s']:.2f} | {many['start_s']:.2f} | {ratios['start_s']:.2f} |")
    print(f"| resident, MB | {alone['resident_mb']:.0f} | {many['resident_mb']:.0f} | {ratios['resident_mb']:.2f} |")
    first = f"median {many['cold_median_s']:.3f}, slowest {many['cold_max_s']:.3f}"
    print(f"| first request for a cold one, s | | {first} of {many['cold_requests']} | |")


if __name__ == "__main__":
    main()
