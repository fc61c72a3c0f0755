"""`verify-log`: whatever is edited, removed or added past the product is named, on every database."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from homes import Home
from journals import LOGGED

# Each change is made, looked at, and undone. `one` is a row of a batch of three, `alone` of a batch of its own.
CHANGES = (
    LOGGED
    + """
import json
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from django.db import transaction
from ml_pipeline.apps.endpoints.models import MLRequest
from ml_pipeline.apps.predictions.integrity import heads, seals
from ml_pipeline.apps.predictions.integrity.verification import Verification
from ml_pipeline.apps.predictions.models import JournalBatch, SignedHeads

seal, tomorrow = seals.own(), datetime.now(UTC) + timedelta(days=1)
first = JournalBatch.objects.order_by("pk").first()
batches = JournalBatch.objects.filter(writer=first.writer).order_by("seq")
three, last = batches[1], batches.last()
one = MLRequest.objects.filter(batch_id=three.pk).order_by("position")[1]
alone = MLRequest.objects.get(batch_id=first.pk)

def verified():
    found = Verification(seal)
    found.run()
    return found.document()

def edit(row, **values):
    return lambda: type(row).objects.filter(pk=row.pk).update(**values)

def add(**values):
    fields = {field.attname: getattr(one, field.attname) for field in MLRequest._meta.fields}
    return lambda: MLRequest(**{**fields, "id": uuid4(), **values}).save(force_insert=True)

def remove(*querysets):
    return lambda: [queryset.delete() for queryset in querysets]

def rewrite():
    # As somebody would who knows how the chain is made: all that follows is made anew.
    from ml_pipeline.apps.predictions.integrity import chains
    MLRequest.objects.filter(pk=alone.pk).update(response="yes")
    for batch in batches:
        (whole,) = chains.whole([batch.pk], {})
        JournalBatch.objects.filter(pk=batch.pk).update(sha256=whole.sha256)

whole_writer = (MLRequest.objects.filter(batch_id__in=list(batches.values_list("pk", flat=True))), batches)
CHANGES = {
    "edited id": edit(alone, id=uuid4()),
    "edited algorithm": edit(one, parent_mlalgorithm_id=10**6),
    "edited outcome": edit(one, outcome="internal"),
    "edited revision": edit(one, revision=2),
    "edited input": edit(one, input_data='{"age":99}'),
    "edited reply": edit(one, full_response="[]"),
    "edited response": edit(one, response="yes"),
    "edited probability": edit(one, probability=0.25),
    "edited latency": edit(one, latency_us=2),
    "edited unit": edit(one, unit=None),
    "edited key": edit(one, key_id=2),
    "edited test": edit(one, test_id=2),
    "edited batch job": edit(one, job_id=2),
    "edited arm": edit(one, arm=1),
    "edited time": edit(one, created_at=one.created_at + timedelta(microseconds=1)),
    "moved to another place": edit(one, position=7),
    "moved to another batch": edit(one, batch_id=last.pk),
    "moved to no batch": edit(one, batch_id=10**9),
    "edited lone row": edit(alone, response="yes"),
    "removed row": remove(MLRequest.objects.filter(pk=one.pk)),
    "removed rows of a batch": remove(MLRequest.objects.filter(batch_id=three.pk)),
    "removed batch": remove(MLRequest.objects.filter(batch_id=three.pk), JournalBatch.objects.filter(pk=three.pk)),
    "added row": add(),
    "added row of no batch": add(batch_id=10**9),
    "edited batch": edit(three, sha256="0" * 64),
    "edited number": edit(last, seq=9),
    "edited count": edit(three, rows=2),
    "removed last batch": remove(MLRequest.objects.filter(batch_id=last.pk), JournalBatch.objects.filter(pk=last.pk)),
    "removed writer": remove(*whole_writer),
    "written anew": rewrite,
}
print(json.dumps(["intact", verified()]))
assert heads.sign(seal, tomorrow, nullcontext())
print(json.dumps(["signed", verified()]))
for what, change in CHANGES.items():
    with transaction.atomic():
        change()
        print(json.dumps([what, verified()]))
        transaction.set_rollback(True)
signed = SignedHeads.objects.get()
for what, change in {
    "edited heads": edit(signed, document=signed.document.replace(first.writer.hex, uuid4().hex)),
    "other day": edit(signed, day=signed.day - timedelta(days=1)),
    "other signature": edit(signed, signature=seals.Seal("another key").seal({}).signature),
}.items():
    with transaction.atomic():
        change()
        print(json.dumps([what, verified()]))
        transaction.set_rollback(True)
print(json.dumps(["ids", [first.writer.hex, alone.id.hex]]))
"""
)
COMMAND = (str(Path(sys.executable).parent / "ml-pipeline"), "verify-log")


def test_whatever_is_changed_is_found_and_named(logged_home: Home) -> None:
    printed = logged_home.python(CHANGES).splitlines()
    found = dict(json.loads(line) for line in printed if line.startswith("["))
    writer, alone = found.pop("ids")
    for what in ("intact", "signed"):
        good = found.pop(what)
        assert (good["holds"], good["requests"], good["batches"], good["writers"]) == (True, 1414, 10, 2), what
        assert good["unsigned_batches"] == (10 if what == "intact" else 0)
    for what, document in found.items():
        assert not document["holds"], what
        assert document["faults"] == len(document["named"])
    kinds = {what: {one["kind"] for one in document["named"]} for what, document in found.items()}
    assert kinds["edited lone row"] == {"edited"}
    assert kinds["moved to no batch"] == {"removed", "added"}
    assert kinds["removed row"] == kinds["removed last batch"] == kinds["removed writer"] == {"removed"}
    assert kinds["written anew"] == {"rewritten"}
    assert kinds["edited heads"] == kinds["other day"] == kinds["other signature"] == {"signature"}
    (lone,) = found["edited lone row"]["named"]
    assert (lone["writer"], lone["seq"], lone["request_id"]) == (writer, 1, alone)
    (three,) = found["edited reply"]["named"]
    assert (three["writer"], three["seq"], three["request_id"]) == (writer, 2, None)
    assert "the first at position 1" in found["removed row"]["named"][0]["what"]


def test_the_command_says_so_and_exits_with_one(home: Home) -> None:
    home.python(LOGGED)
    whole = home.run(*COMMAND, check=False)
    assert (whole.returncode, whole.stderr) == (0, "")
    assert "1414 requests in 10 batches of 2 writers are as they were logged." in whole.stdout
    home.python(
        """
import django
django.setup()
from ml_pipeline.apps.endpoints.models import MLRequest
MLRequest.objects.update(latency_us=7)
"""
    )
    changed = home.run(*COMMAND, "--json", check=False)
    assert changed.returncode == 1
    assert "The log does not hold: 10 faults." in changed.stderr
    assert len(json.loads(changed.stdout)["named"]) == 10
