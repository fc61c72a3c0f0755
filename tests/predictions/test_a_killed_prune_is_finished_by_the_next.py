"""`prune`, killed anywhere, leaves a log that holds and that the next one finishes; nothing is lost, nothing twice."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

from homes import Home
from journals import AGED
from people import PERSON
from servers import Server

LOGGED = (
    AGED
    + """
for days_ago in (4, 3):
    for one in (journal, other):
        told = [tell(pk) for pk in log(days_ago, *[None] * 150, journal=one)[:70]]
new = log(0, None)
assert run("archive", "--before", day(1))["archive"]["requests"] == 600
# What comes after the archive is archived by the prune.
one = MLRequest.objects.order_by("pk").first().pk
tell(one, ">50K")
print(json.dumps([day(1), str(one)]))
journal.close(30), other.close(30)
"""
)
# Each prune is a process that ends at once before the statement that is so far down the line.
KILLED = (
    LOGGED
    + """
def killed(at):
    connection.close()
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    remaining = [at]

    def count(execute, sql, params, many, context):
        if sql.startswith(("DELETE", "INSERT")):
            remaining[0] -= 1
            if remaining[0] < 0:
                os._exit(9)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(count):
        run("prune", "--before", day(1))
    os._exit(0)

unfinished = []
# Before the tombstone, the archive of late feedback, some commits, the batches, and the deed that it is finished.
for at in (0, 2, 5, 4, 5, 2, 1):
    assert killed(at) == 9
    found = verified()
    assert found["archives"]["requests"] == 600
    unfinished.append(len(found["unfinished_prunes"]))
finished = [run("prune", "--before", day(1))["batches"] for _ in range(2)]
found = verified()
print(json.dumps([unfinished, finished, found, list(MLRequest.objects.values_list("pk", flat=True)) == new]))
"""
)


# Somebody tells of requests when their deletion has begun, after what was known had been archived.
TOLD_MEANWHILE = (
    AGED
    + """
from threading import Thread
from django.conf import settings
from ml_pipeline.apps.predictions.retention import parquet

ids = log(3, *[None] * 250)
told = [tell(ids[0])]
run("archive", "--before", day(1))

def somebody():
    told.extend([tell(ids[0], ">50K"), tell(ids[249])])
    connection.close()

def meanwhile(execute, sql, params, many, context):
    # The rows are looked for; none is locked yet.
    if len(told) == 1 and "endpoints_mlrequest" in sql and "LIMIT 1000" in sql:
        one = Thread(target=somebody)
        one.start(), one.join()
    return execute(sql, params, many, context)

with connection.execute_wrapper(meanwhile):
    pruned = run("prune", "--before", day(1))
found = verified()
files = settings.ARCHIVE_DIR.glob("log-*/feedback.parquet")
archived = [pk for file in files for (pk,) in parquet.rows(file, "id")]
journal.close(30)
print(json.dumps([pruned, sorted(archived) == sorted(told), Feedback.objects.count(), found["pruned_requests"]]))
"""
)


def _verified(home: Home) -> dict[str, object]:
    verified = home.manage("verify_log", "--archives", "--json", check=False)
    found: dict[str, object] = json.loads(verified.stdout)
    assert found["holds"], found
    return found


def test_whenever_it_is_killed_the_next_one_goes_on(logged_home: Home) -> None:
    unfinished, finished, found, is_left = json.loads(logged_home.python(KILLED).splitlines()[-1])
    assert unfinished == [0, 1, 1, 1, 1, 1, 1]
    assert finished == [0, 0]
    assert (found["requests"], found["pruned_requests"], found["unfinished_prunes"]) == (1, 600, [])
    assert found["archives"]["feedback"] == 281
    assert is_left


def test_feedback_that_comes_meanwhile_is_archived_first(logged_home: Home) -> None:
    told = json.loads(logged_home.python(TOLD_MEANWHILE).splitlines()[-1])
    assert told == [{"batches": 1, "requests": 250, "feedback": 3}, True, 0, 250]


AWAY = """
from pathlib import Path

assert killed(7) == 9
folders = sorted(Path(os.environ["ML_PIPELINE_HOME"]).glob("archive/log-*"))
for one in folders:
    one.rename(one.with_name("away-" + one.name))
left = MLRequest.objects.count()
assert 1 < left < 601
told = refused("prune", "--before", day(1))
assert MLRequest.objects.count() == left
for one in folders:
    one.with_name("away-" + one.name).rename(one)
print(json.dumps([told, run("prune", "--before", day(1))["requests"] == left - 1, verified()["holds"]]))
"""


def test_what_is_left_stays_while_its_archive_is_away(home: Home) -> None:
    program = KILLED[: KILLED.index("unfinished = []")] + AWAY
    refused, is_finished, holds = json.loads(home.python(program).splitlines()[-1])
    assert "files are missing" in refused
    assert (is_finished, holds) == (True, True)


def test_several_at_once_beside_a_server_lose_nothing(home: Home, start: Callable[..., Server]) -> None:
    day, old = json.loads(home.python(LOGGED).splitlines()[-1])
    server = start("asgi")
    commands = [
        subprocess.Popen(
            [sys.executable, "backend/manage.py", command, "--before", day],
            env=home.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for command in ("prune", "prune", "archive", "prune")
    ]
    asked = 0
    while any(one.poll() is None for one in commands):
        reply = server.predict([PERSON] * 3)
        assert reply.status_code == 200
        asked += 3
        with server.client("feedback") as client:
            path = f"/api/v1/mlrequests/{reply.json()[0]['request_id']}"
            assert client.put(path, json={"feedback": "<=50K"}).status_code == 200
    complaints = [one.communicate(timeout=60)[1] for one in commands]
    for one, complaint in zip(commands, complaints, strict=True):
        assert one.returncode == 0 or "Run it again." in complaint
    assert 0 in [one.returncode for one in commands]
    home.manage("prune", "--before", day)
    with server.client("feedback") as client:
        assert client.put(f"/api/v1/mlrequests/{old}", json={"feedback": "<=50K"}).status_code == 404
    found = _verified(home)
    assert (found["requests"], found["pruned_requests"]) == (1 + asked, 600)
    assert (found["archives"]["requests"], found["archives"]["feedback"]) == (600, 281)  # type: ignore[index]
