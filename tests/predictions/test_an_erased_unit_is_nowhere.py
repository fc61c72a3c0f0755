"""`erase-unit`: what names a person is in no row, no archive and no file of the home; the log holds all the same."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from homes import Home
from journals import AGED

COMMAND = str(Path(sys.executable).parent / "ml-pipeline")

ERASED = (
    AGED
    + """
from ml_pipeline.apps.predictions.retention import parquet
from django.conf import settings

ann = "ann-\\u00e4-4711"
pruned = log(4, ann, "bob", None) + log(4, "bob")
archived = log(3, *[ann] * 5, "bob") + log(3, ann)
fresh = log(0, "bob", *[ann] * 3, None) + log(0, *[ann] * 250)
told = [tell(one, "value-of-" + ann) for one in (pruned[0], archived[0], fresh[1])]
kept = tell(fresh[0], "value-of-bob")
run("archive", "--before", day(3))
run("prune", "--before", day(3))
run("archive", "--before", day(1))
late = tell(archived[1], "late-of-" + ann)
run("archive", "--before", day(1))
facts = {"before": verified()["erased_requests"]}
facts["erased"] = [run("erase_unit", ann), run("erase_unit", ann)]
facts["verified"] = {name: count for name, count in verified().items() if name in ("erased_requests", "archives")}
one = MLRequest.objects.get(pk=fresh[1])
facts["row"] = [one.input_data, one.full_response, one.response, one.probability, one.unit, one.outcome, one.latency_us]
facts["feedback"] = [Feedback.objects.get(pk=told[2]).value, Feedback.objects.get(pk=kept).value]
rows = [row for file in settings.ARCHIVE_DIR.glob("log-*/requests.parquet") for row in parquet.rows(file, "id", "unit")]
facts["archived"] = [len(rows), sorted({unit or "" for _, unit in rows})]
facts["none left"] = sum(
    "of-ann" in str(row) for file in settings.ARCHIVE_DIR.glob("log-*/*.parquet") for row in parquet.rows(file)
)
facts["bob"] = [MLRequest.objects.filter(unit="bob").count(), MLRequest.objects.get(pk=fresh[0]).input_data]
facts["deeds"] = sum("ann" in one.document for one in Deed.objects.all())
# Another in the same batches; then all of it goes.
facts["second"] = run("erase_unit", "bob", "--endpoint", "income_classifier")
verified()
facts["pruned"] = run("prune", "--before", day(1))["requests"]
facts["held"] = verified()["holds"]
journal.close(30)
print(json.dumps(facts))
"""
)


def test_the_rows_stay_and_say_nothing_of_it(logged_home: Home) -> None:
    facts = json.loads(logged_home.python(ERASED).splitlines()[-1])
    assert facts["before"] == 0
    first, again = facts["erased"]
    assert (first["requests"], first["archives"], first["unreached"]) == (259, 3, [])
    assert (again["requests"], again["archives"]) == (0, 0)
    assert facts["verified"]["erased_requests"] == 260
    assert facts["verified"]["archives"]["unerased"] == facts["verified"]["archives"]["unrecorded"] == []
    assert facts["row"] == ["null", "null", None, None, None, "ok", 1]
    assert facts["feedback"] == [None, "value-of-bob"]
    assert facts["archived"] == [11, ["", "bob"]]
    assert (facts["none left"], facts["deeds"]) == (0, 0)
    assert facts["bob"] == [2, '{"name": "of-bob"}']
    assert (facts["second"]["requests"], facts["second"]["archives"]) == (2, 2)
    assert (facts["pruned"], facts["held"]) == (7, True)


def test_no_file_of_the_home_has_it(home: Home) -> None:
    person = b"ann-0815"
    program = f"""
for days_ago in (3, 0):
    for _ in range(40):
        for pk in log(days_ago, "{person.decode()}", None, "{person.decode()}", "bob"):
            tell(pk, "told-of-" + str(MLRequest.objects.get(pk=pk).unit))
run("archive", "--before", day(1))
journal.close(30)
"""
    home.python(AGED + program)
    files = [path for path in home.folder.rglob("*") if path.is_file()]
    assert any(person in path.read_bytes() for path in files)
    erased = home.run(COMMAND, "erase-unit", person.decode(), "--json")
    assert json.loads(erased.stdout) == {"requests": 160, "archives": 1, "unreached": [], "unrecorded": []}
    # No server runs, so SQLite's own log has ended with the command.
    left = [str(path) for path in home.folder.rglob("*") if path.is_file() and person in path.read_bytes()]
    assert left == []
    assert json.loads(home.run(COMMAND, "verify-log", "--archives", "--json").stdout)["erased_requests"] == 160
    assert home.run(COMMAND, "erase-unit", "x", "--endpoint", "nowhere", check=False).returncode == 1


BROKEN_OFF = (
    AGED
    + """
from pathlib import Path
from ml_pipeline.apps.predictions.retention import parquet

log(4, "ann", "bob")
log(3, "ann", None)
folders = [Path(run("archive", "--before", day(at))["archive"]["folder"]) for at in (3, 1)]
for one in folders:
    one.rename(one.with_suffix(".away"))
told = [refused("erase_unit", "ann").count("/archive/log-")]
folders[0].with_suffix(".away").rename(folders[0])
folders[1].with_suffix(".away").rename(folders[1])
# The archives have it still, which is told, and is no fault; then another erasure finds it too.
told.append(len(verified()["archives"]["unerased"]))
told.append(run("erase_unit", "bob")["archives"])
found = verified()
told += [found["archives"]["unerased"], found["erased_requests"]]
journal.close(30)
print(json.dumps(told))
"""
)


def test_an_archive_that_could_not_be_reached_is_told_and_emptied_later(home: Home) -> None:
    told = json.loads(home.python(BROKEN_OFF).splitlines()[-1])
    assert told == [2, 2, 2, [], 3]


# Somebody else erases when the rows are read and the files are not named by a deed yet.
READ_BEFORE = (
    AGED
    + """
from threading import Thread
from django.conf import settings
from ml_pipeline.apps.predictions.retention import parquet

log(3, "ann", "bob")
erased = []

def somebody():
    erased.append(run("erase_unit", "ann")["requests"])
    connection.close()

def meanwhile(execute, sql, params, many, context):
    if not erased and "endpoints_feedback" in sql:
        one = Thread(target=somebody)
        one.start(), one.join()
    return execute(sql, params, many, context)

with connection.execute_wrapper(meanwhile):
    told = refused("archive", "--before", day(1))
left = [one.name for one in settings.ARCHIVE_DIR.iterdir()]
run("archive", "--before", day(1))
units = [unit for file in settings.ARCHIVE_DIR.glob("*/requests.parquet") for (unit,) in parquet.rows(file, "unit")]
journal.close(30)
print(json.dumps([erased, told, left, units, verified()["erased_requests"]]))
"""
)


def test_what_was_read_before_an_erasure_is_not_archived_after_it(logged_home: Home) -> None:
    erased, refused, left, units, count = json.loads(logged_home.python(READ_BEFORE).splitlines()[-1])
    assert (erased, left, units, count) == ([1], [], [None, "bob"], 1)
    assert "Run it again." in refused
