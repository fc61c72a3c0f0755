"""`archive` and `prune`: what leaves the database is in Parquet, whole, once, and checkable; feedback with it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from homes import Home
from journals import AGED

COMMAND = str(Path(sys.executable).parent / "ml-pipeline")

GROWN_OLD = (
    AGED
    + """
from pathlib import Path
from django.conf import settings
from ml_pipeline.apps.predictions.retention import parquet

def archived(column, name="requests"):
    files = sorted(settings.ARCHIVE_DIR.glob(f"log-*/{name}.parquet"))
    return [value for file in files for (value,) in parquet.rows(file, column)]

logged = []
for days_ago in (5, 4, 3):
    for one in (journal, other):
        logged += log(days_ago, "ann", *[None] * 300, journal=one) + log(days_ago, None, journal=one)
new = log(0, "ann", None) + log(0, "bob", journal=other)
first, second, third = logged[:3]
told = [tell(first), tell(second), tell(new[0])]

facts = {"not archived": refused("prune", "--before", day(3)), "yet to come": refused("archive", "--before", day(-1))}
facts["made"] = [run("archive", "--before", day(at))["archive"] for at in (4, 4, 2)]
facts["again"] = run("archive", "--before", day(2))["archive"]
# One comes for what is archived, another corrects what is.
told += [tell(third), tell(first, ">50K")]
facts["late"] = run("archive", "--before", day(2))["archive"]
told.append(tell(second, ">50K"))
before = verified()
facts["pruned"] = [run("prune", "--before", day(at)) for at in (4, 2, 2)]
after = verified()
facts["verified"] = [before["requests"], after["requests"], after["pruned_requests"], after["archives"]["requests"]]
stored = [one.hex for one in MLRequest.objects.values_list("pk", flat=True)]
facts["every request once"] = sorted(archived("id") + stored) == sorted(one.hex for one in logged + new)
kept = list(Feedback.objects.values_list("pk", flat=True))
facts["every feedback once"] = sorted(archived("id", "feedback") + kept) == sorted(told)
facts["left"] = [kept == [told[2]], sorted(stored) == sorted(one.hex for one in new), JournalBatch.objects.count()]
log(0, None)
facts["goes on"] = verified()["requests"]
journal.close(30), other.close(30)
print(json.dumps(facts))
"""
)


def test_every_row_is_in_one_place_and_the_log_holds(logged_home: Home) -> None:
    facts = json.loads(logged_home.python(GROWN_OLD).splitlines()[-1])
    assert "batches are not archived" in facts["not archived"]
    assert "today (UTC) at the latest" in facts["yet to come"]
    first, repeated, second = facts["made"]
    assert (first["requests"], first["batches"], first["feedback"]) == (604, 4, 2)
    assert repeated is facts["again"] is None
    assert (second["requests"], second["batches"], second["feedback"]) == (1208, 8, 0)
    assert (facts["late"]["requests"], facts["late"]["feedback"]) == (0, 2)
    assert [one["requests"] for one in facts["pruned"]] == [604, 1208, 0]
    assert [one["feedback"] for one in facts["pruned"]] == [5, 0, 0]
    assert facts["verified"] == [1815, 3, 1812, 1812]
    assert facts["every request once"]
    assert facts["every feedback once"]
    assert facts["left"] == [True, True, 2]
    assert facts["goes on"] == 4


BROKEN = (
    AGED
    + """
from pathlib import Path

log(3, "ann", None, None)
folder = Path(run("archive", "--before", day(1))["archive"]["folder"])
file = folder / "requests.parquet"
content = file.read_bytes()
told = []
for change in (lambda: file.write_bytes(content[:-9] + bytes(9)), lambda: file.unlink()):
    change()
    told.append(refused("prune", "--before", day(1)))
    file.write_bytes(content)
assert MLRequest.objects.count() == 3
folder.rename(folder.with_name("elsewhere"))
told.append(refused("prune", "--before", day(1)))
# Nothing of it is pruned: it is archived anew, and the one that is lost counts no more.
again = run("archive", "--before", day(1))["archive"]
folder.with_name("elsewhere").rename(folder)
held = run("verify_log", "--archives")
fresh = MLRequest.objects.filter(pk=log(2, None)[0])
fresh.update(latency_us=7)
told.append(refused("archive", "--before", day(1)))
fresh.update(latency_us=1)
told.append(run("prune", "--before", day(2))["requests"])
journal.close(30)
print(json.dumps([told, again["requests"], held["holds"], len(held["archives"]["unrecorded"])]))
"""
)


def test_nothing_goes_whose_archive_is_not_whole(logged_home: Home) -> None:
    told, again, held, strays = json.loads(logged_home.python(BROKEN).splitlines()[-1])
    *files, tampered, pruned = told
    assert len(files) == 3
    assert all("files are missing, or not as they were archived" in one for one in files)
    assert (again, held, strays) == (3, True, 1)
    assert "The log does not hold" in tampered
    assert pruned == 3


def test_the_commands_say_what_they_did(home: Home) -> None:
    home.python(AGED + "log(3, 'ann', None); log(0, None); print(day(1)); journal.close(30)")
    day = home.python("from datetime import UTC, datetime; print(datetime.now(UTC).date())").strip()
    refused = home.run(COMMAND, "prune", "--before", day, check=False)
    assert refused.returncode == 1
    assert "not archived" in refused.stderr
    assert home.run(COMMAND, "archive", "--before", "2026-02-30", check=False).returncode == 1
    to = home.folder / "cold"
    assert (
        f"2 requests in 1 batches, and 0 feedback, are in {to}"
        in home.run(COMMAND, "archive", "--before", day, "--to", str(to)).stdout
    )
    assert "Everything before" in home.run(COMMAND, "archive", "--before", day).stdout
    assert "2 requests in 1 batches, and 0 feedback, are deleted." in home.run(COMMAND, "prune", "--before", day).stdout
    verified = home.run(COMMAND, "verify-log", "--archives").stdout
    assert "1 requests in 1 batches of 1 writers are as they were logged." in verified
    assert "2 requests are pruned, 0 are erased." in verified
    assert "1 archives have 2 requests and 0 feedback." in verified
    events = home.python(
        """
import django
django.setup()
from ml_pipeline.apps.events.models import Event
print([(one.action, one.actor.split(":")[0]) for one in Event.objects.order_by("-pk")[:2]])
"""
    )
    assert events.strip() == "[('log.pruned', 'operator'), ('log.archived', 'operator')]"
