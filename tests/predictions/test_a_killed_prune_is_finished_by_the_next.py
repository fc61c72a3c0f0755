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
