"""Each UTC day that has ended is signed, once, by whichever process comes first, and goes on from the day before."""

from __future__ import annotations

import json
from collections.abc import Callable

from homes import Home
from journals import LOGGED
from people import PERSON
from servers import Server, wait_until

SIGNED = """
import django, json
django.setup()
from ml_pipeline.apps.predictions.models import SignedHeads
print(json.dumps([[str(one.day), json.loads(one.document)] for one in SignedHeads.objects.order_by("day")]))
"""
YESTERDAY = """
import django
django.setup()
from datetime import timedelta
from django.db.models import F
from ml_pipeline.apps.predictions.models import JournalBatch
JournalBatch.objects.update(created_at=F("created_at") - timedelta(days=1))
"""
DAYS = (
    LOGGED
    + """
import json
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from ml_pipeline.apps.predictions.integrity import heads, seals
from ml_pipeline.apps.predictions.integrity.verification import Verification
from ml_pipeline.apps.predictions.models import SignedHeads

seal, moment = seals.own(), datetime.now(UTC)
day = timedelta(days=1)

class Late:
    # Another process signs while this one waits for its turn.
    def __enter__(self):
        assert heads.sign(seal, moment + day, nullcontext())
    def __exit__(self, *_):
        return

told = [heads.sign(seal, moment, nullcontext()), SignedHeads.objects.count()]
told += [heads.sign(seal, moment + day, Late()), SignedHeads.objects.count()]
told += [heads.sign(seal, moment + 2 * day, nullcontext()), SignedHeads.objects.count()]
journal = Journal(turn)
commit(journal, [entry()])
journal.close(30)
told += [heads.sign(seal, moment + 3 * day, nullcontext()), SignedHeads.objects.count()]
found = Verification(seal)
found.run()
documents = [json.loads(one.document) for one in SignedHeads.objects.order_by("day")]
sha256 = seals.sha256(SignedHeads.objects.order_by("day")[0].document)
writers = [len(document["heads"]) for document in documents]
other = Verification(seals.Seal("the secret key after its change"))
other.run()
both = Verification(seals.Seal("the secret key after its change", [seal.public_key]))
both.run()
SignedHeads.objects.order_by("day").first().delete()
cut = Verification(seal)
cut.run()
print(json.dumps([told, writers, documents[1]["previous"] == sha256, found.document()["holds"]]))
print(json.dumps([[one.kind for one in other.faults.named], both.faults.count, [one.kind for one in cut.faults.named]]))
"""
)


def test_a_day_is_signed_once_and_only_when_it_has_something_new(logged_home: Home) -> None:
    *_, told, faults = (json.loads(line) for line in logged_home.python(DAYS).splitlines())
    # Nothing before today; then the day, twice at once; a day without a batch; a day with one.
    assert told == [[False, 0, True, 1, False, 1, True, 2], [2, 3], True, True]
    # Under another secret key; that trusts the one before; with the first document gone.
    assert faults == [["signature", "signature"], 0, ["heads"]]


def test_serving_processes_sign_what_has_ended(home: Home, start: Callable[..., Server]) -> None:
    start("asgi").predict([PERSON] * 3)
    home.python(YESTERDAY)
    assert json.loads(home.python(SIGNED)) == []
    servers = [start("asgi"), start("wsgi")]
    for server in servers:
        # Behind WSGI everything in the background starts with the first request.
        assert server.predict(PERSON).status_code == 200
    wait_until(lambda: json.loads(home.python(SIGNED)) != [], 30)
    ((day, document),) = json.loads(home.python(SIGNED))
    assert (document["day"], document["kind"]) == (day, "heads")
    assert len(document["heads"]) >= 1
    verified = json.loads(home.manage("verify_log", "--json").stdout)
    assert (verified["holds"], verified["requests"], verified["signed_days"]) == (True, 5, 1)
    assert verified["latest_signed"]["day"] == day
