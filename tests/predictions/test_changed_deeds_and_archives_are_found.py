"""`verify-log`: a deed or an archive that was edited, removed or made up is named; so is what goes without a deed."""

from __future__ import annotations

import json

from homes import Home
from journals import AGED

# Each change is made, looked at, and undone.
CHANGES = (
    AGED
    + """
import shutil
from contextlib import nullcontext
from django.db import transaction
from ml_pipeline.apps.predictions.integrity import heads, ledger, seals
from ml_pipeline.apps.predictions.integrity.verification import Verification
from ml_pipeline.apps.predictions.retention.inspection import Inspection

log(4, "ann", None), log(4, "bob", journal=other)
log(3, "ann"), log(3, "bob", None)
fresh = log(0, "bob", "ann", None) + log(0, "ann")
assert heads.sign(seals.own(), datetime.now(UTC) - timedelta(days=1), nullcontext())
run("archive", "--before", day(3)), run("prune", "--before", day(3)), run("archive", "--before", day(1))
run("erase_unit", "ann")
late = datetime.now(UTC) + timedelta(days=1)
erased, kept = MLRequest.objects.get(pk=fresh[1]), MLRequest.objects.get(pk=fresh[0])
batch = JournalBatch.objects.get(pk=kept.batch_id)
first, prune, pruned = Deed.objects.get(number=1), Deed.objects.get(kind="prune"), Deed.objects.get(kind="pruned")
erase = Deed.objects.filter(kind="erase", document__contains=str(batch.sha256)).get()

def found():
    one = Verification(seals.own())
    one.run()
    Inspection(one.ledger, one.signed, one.faults).run()
    return sorted({fault.kind for fault in one.faults.named})

def edit(row, **values):
    return lambda: type(row).objects.filter(pk=row.pk).update(**values)

def remove(row):
    return lambda: type(row).objects.filter(pk=row.pk).delete()

def again():
    # A batch that was pruned.
    JournalBatch.objects.create(
        writer=json.loads(prune.document)["spans"][0][0], seq=1, rows=0, sha256="0" * 64, created_at=late
    )

rows = {
    "deed edited": edit(prune, document=prune.document.replace('"rows"', '"sows"').replace("prune", "prone")),
    "deed resigned": edit(prune, signature=first.signature),
    "deed removed": remove(prune),
    "first deed removed": remove(first),
    "erasure removed": remove(erase),
    "deeds swapped": lambda: [edit(prune, number=99)(), edit(pruned, number=prune.number)()],
    "pruned batch there": again,
    "erased row edited": edit(erased, latency_us=7),
    "erased row filled": edit(erased, input_data='{"name": "ann"}'),
    "hash of erased batch edited": edit(batch, sha256="0" * 64),
    "row emptied without a deed": edit(
        kept, unit=None, input_data="null", full_response="null", response=None, probability=None
    ),
    "row removed": remove(kept),
}
told = {"intact": found()}
for what, change in rows.items():
    with transaction.atomic():
        change()
        told[what] = found()
        transaction.set_rollback(True)
# The last deeds are gone: only the heads that are signed after them can tell.
tail = Deed.objects.filter(number__gte=pruned.number)
assert heads.sign(seals.own(), late, nullcontext())
told["signed"] = found()
with transaction.atomic():
    tail.delete()
    told["deeds cut off"] = found()
    transaction.set_rollback(True)
folders = [one.folder for one in ledger.read(seals.own()).archives.values()]
for name in ("requests", "batches", "feedback"):
    file = folders[0] / (name + ".parquet")
    content = file.read_bytes()
    file.write_bytes(content[:20] + bytes([content[20] ^ 1]) + content[21:])
    told[name + " edited"] = found()
    file.write_bytes(content)
away = folders[1].rename(folders[1].with_name("away"))
told["archive removed"] = found()
away.rename(folders[1])
shutil.copytree(folders[0], folders[0].with_name("log-made-up"))
told["archive added"] = found()
told["unrecorded"] = len(run("verify_log", "--archives")["archives"]["unrecorded"])
journal.close(30), other.close(30)
print(json.dumps(told))
"""
)


def test_whatever_is_changed_is_found(logged_home: Home) -> None:
    told = json.loads(logged_home.python(CHANGES).splitlines()[-1])
    assert told.pop("intact") == told.pop("signed") == told.pop("archive added") == []
    assert told.pop("unrecorded") == 1
    assert [what for what, kinds in told.items() if not kinds] == []
    assert "signature" in told["deed edited"]
    assert "signature" in told["deed resigned"]
    assert {"deeds", "removed"} <= set(told["deed removed"])
    assert "deeds" in told["first deed removed"]
    assert {"deeds", "edited"} <= set(told["erasure removed"])
    assert "added" in told["pruned batch there"]
    assert told["erased row edited"] == told["erased row filled"] == ["edited"]
    assert told["row emptied without a deed"] == ["edited"]
    assert told["row removed"] == ["removed"]
    assert "rewritten" in told["hash of erased batch edited"]
    assert "deeds" in told["deeds cut off"]
    for what in ("requests edited", "batches edited", "feedback edited", "archive removed"):
        assert told[what] == ["archive"]
