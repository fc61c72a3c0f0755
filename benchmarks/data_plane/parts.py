"""The parts of the benchmark: each says who is compared and what is asked, and returns what was measured."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from typing import Any

import httpx

from benchmarks.data_plane import competitors, filling, machine, product, rounds
from benchmarks.data_plane.asks import Ask
from benchmarks.data_plane.contestants import Contestant, Running
from benchmarks.data_plane.errors import RunFailed
from benchmarks.data_plane.rounds import Shot
from benchmarks.data_plane.stage import Stage

CONNECTIONS, FEWER = (1, 32, 64), (1, 32)
# Ids that feedback goes back to, none of which has any. Asked once, an id gets the other label the next time: each
# request writes a row.
FEEDBACK_IDS, PAGE = 20_000, 1_000
OUTCOMES = ("<=50K", ">50K")


def servers(stage: Stage, short: bool) -> dict[str, Any]:
    """The product on SQLite and on PostgreSQL beside the other servers."""
    plan = stage.plan
    contestants = [
        competitors.empty(plan.server),
        stage.sqlite(product.SQLITE),
        stage.postgresql(product.POSTGRESQL),
    ]
    ways = {}
    for name in (competitors.ONNX, competitors.SKLEARN):
        one = competitors.fastapi(name, stage.model, stage.questions, plan.server)
        one, ways[name] = competitors.fastest(one, plan.folder, plan.client)
        contestants.append(one)
    contestants.append(competitors.tutorial(stage.model, stage.questions, plan.folder, plan.server))
    disk = [machine.fdatasync_us(plan.folder) for _ in range(3)]
    measured = rounds.play(plan, contestants, rounds.predictions(FEWER if short else CONNECTIONS))
    return {"contestants": measured, "ways": ways, "fdatasync_us": disk, "postgresql": stage.cluster.version}


def feedback(stage: Stage, short: bool) -> dict[str, Any]:
    """Feedback through the door beside predictions, on both databases."""
    contestants = [stage.sqlite("feedback-sqlite"), stage.postgresql("feedback-postgresql")]
    shots = [Shot("predictions", 32), Shot("feedback", 32, _outcomes, "feedback")]
    return {"contestants": rounds.play(stage.plan, contestants, shots)}


def workers(stage: Stage, short: bool) -> dict[str, Any]:
    """One process on one core and two on two, on PostgreSQL, which runs on the same cores."""
    contestants = [stage.postgresql("workers-1"), stage.postgresql("workers-2", workers=2)]
    return {"contestants": rounds.play(stage.plan, contestants, rounds.predictions((32, 64)))}


def rows(stage: Stage, short: bool) -> dict[str, Any]:
    """The product on SQLite with nothing logged, and with millions of rows."""
    plan = stage.plan
    counts = (0, 100_000) if short else (0, 1_000_000, 10_000_000)
    template = _logged(stage)
    contestants = []
    for count in counts:
        source = template if count else stage.home
        own = product.copied(source, plan.folder / f"rows-{count}")
        if count:
            filling.fill(own.folder / "db.sqlite3", count, plan.say)
        contestants.append(product.contestant(f"rows-{count}", own, stage.questions, plan.server))
    try:
        return {"counts": counts, "contestants": rounds.play(plan, contestants, rounds.predictions((32,)))}
    finally:
        for count in counts:
            shutil.rmtree(plan.folder / f"rows-{count}")


def algorithms(stage: Stage, short: bool) -> dict[str, Any]:
    """One, many and very many live algorithms: one of them asked, and all of them in turn."""
    counts = (1, 50) if short else (1, 100, 1_000)
    contestants = []
    for count in counts:
        own = product.copied(stage.tree_home, stage.plan.folder / f"algorithms-{count}")
        product.multiply(own, count)
        contestants.append(product.contestant(f"algorithms-{count}", own, stage.tree_questions, stage.plan.server))
    shots = [Shot("one", 32), Shot("all", 32, _in_turn)]
    return {"counts": counts, "contestants": rounds.play(stage.plan, contestants, shots)}


PARTS: dict[str, Callable[[Stage, bool], dict[str, Any]]] = {
    "servers": servers,
    "feedback": feedback,
    "workers": workers,
    "rows": rows,
    "algorithms": algorithms,
}


def _logged(stage: Stage) -> product.Home:
    # A home whose server has answered every question, so that there are real rows to copy.
    home = product.copied(stage.home, stage.plan.folder / "rows-template")
    contestant: Contestant = product.contestant("rows-template", home, stage.questions, stage.plan.server)
    running = Running(contestant, stage.plan.folder)
    try:
        running.check(contestant.questions)
    finally:
        running.stop()
    return home


def _in_turn(running: Running) -> Sequence[Ask]:
    # Checked as well: every algorithm once.
    count = int(running.contestant.name.rpartition("-")[2])
    questions = running.contestant.questions
    asked = [
        questions[number % len(questions)].at(product.predict_path(number % count))
        for number in range(max(count, len(questions)))
    ]
    running.check(asked[:count])
    return asked


def _outcomes(running: Running) -> Sequence[Ask]:
    # Of requests that are in the log; some are given one at a time, and read back.
    with httpx.Client(base_url=running.url, timeout=60) as client:
        ids = _logged_ids(client, running.headers("read"))
        for one in ids[:20]:
            body = {"feedback": OUTCOMES[1]}
            given = client.put(f"/api/v1/mlrequests/{one}", json=body, headers=running.headers("feedback"))
            read = client.get(f"/api/v1/mlrequests/{one}", headers=running.headers("read"))
            if given.status_code != 200 or read.json().get("feedback") not in OUTCOMES:
                raise RunFailed(f"feedback on {one}: {given.status_code} {given.text[:300]}, then {read.text[:300]}")
            running.asked["feedback"] += 1
    return [
        Ask("PUT", f"/api/v1/mlrequests/{one}", f'{{"feedback": "{outcome}"}}') for outcome in OUTCOMES for one in ids
    ]


def _logged_ids(client: httpx.Client, headers: dict[str, str]) -> list[str]:
    ids: list[str] = []
    address = f"/api/v1/mlrequests?limit={PAGE}"
    while address and len(ids) < FEEDBACK_IDS:
        page = client.get(address, headers=headers).raise_for_status()
        ids += [row["id"] for row in page.json() if row["feedback"] is None]
        address = page.links.get("next", {}).get("url", "")
    return ids
