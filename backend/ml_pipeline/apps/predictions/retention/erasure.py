"""Erasure: a unit, and all that names it, is emptied in every row and every archive; a tombstone says where.

The row stays, and the hash that its batch was committed with, from which the chain goes on. The tombstone has the hash
of the rows as they are now. It names the unit by a keyed hash alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple
from uuid import UUID

from django.db import transaction
from django.db.models import JSONField, Value

from ml_pipeline.apps.accounts import digests
from ml_pipeline.apps.endpoints.models import Endpoint, Feedback, MLAlgorithm, MLRequest
from ml_pipeline.apps.events import audit
from ml_pipeline.apps.predictions import journal
from ml_pipeline.apps.predictions.integrity import chains, deeds, ledger
from ml_pipeline.apps.predictions.integrity.chains import BATCH_ID, Whole
from ml_pipeline.apps.predictions.integrity.deeds import Head
from ml_pipeline.apps.predictions.integrity.ledger import Archive, Ledger
from ml_pipeline.apps.predictions.integrity.seals import Seal
from ml_pipeline.apps.predictions.retention import archives, commits, folders, parquet
from ml_pipeline.apps.predictions.retention.folders import Files
from ml_pipeline.apps.predictions.writers import Entry
from ml_pipeline.errors import Conflict, NotFound

_digest = digests.Digest(b"ml_pipeline.log.unit")
# What is left of a request: JSON that says nothing, and NULL.
EMPTIED = {"input_data": "null", "full_response": "null", "response": None, "probability": None, "unit": None}
NOTHING = "null"
# Times that rows are looked for: a server may log more of them meanwhile.
MOST_LOOKS = 10

# Writer, number, rows, the hash it was committed with, the hash of its rows now.
Batch = tuple[str, int, int, str, str]


class Erased(NamedTuple):
    """In how many requests of the database it was, and which archives were made anew, or could not be reached."""

    requests: int
    archives: int
    unreached: list[str]


class _Task(NamedTuple):
    unit: str
    # Of the endpoint's algorithms alone; None for all.
    algorithms: set[int] | None
    endpoint: str | None
    # How deeds name the unit.
    digest: str
    seal: Seal
    actor: str


def erase(unit: str, endpoint: str | None, seal: Seal, *, actor: str) -> Erased:
    """Nothing of `unit` is left, under that endpoint or all; what was begun and broken off is completed.

    Raises NotFound for an endpoint that is none, and Conflict where the log does not hold, a prune is not finished, or
    somebody else does a deed meanwhile; what is done by then stays done.
    """
    commits.overwrite_what_goes()
    digest = _digest(unit.encode())
    task = _Task(unit, _algorithms(endpoint), endpoint, digest, seal, actor)
    book = _whole(seal)
    head, count = book.latest, 0
    for _ in range(MOST_LOOKS):
        found = _found(task)
        if not found:
            break
        for group in _groups(found):
            head = _emptied(task, book, head, group)
            count += sum(map(len, group.values()))
        book = _whole(seal, head)
    else:
        raise Conflict("Requests about it are logged all the time. Run it again.")
    return _through_archives(task, book, count)


def _whole(seal: Seal, head: Head | None = None) -> Ledger:
    book = ledger.read(seal)
    book.demand_whole()
    folders.sweep(book)
    if book.unfinished:
        raise Conflict("A prune is not finished. `ml-pipeline prune` finishes it; then run this again.")
    if head is not None and book.latest != head:
        raise Conflict("Somebody else archived, pruned or erased at the same time. Run it again.")
    return book


def _algorithms(endpoint: str | None) -> set[int] | None:
    if endpoint is None:
        return None
    if not Endpoint.objects.filter(name=endpoint).exists():
        raise NotFound(f"There is no endpoint {endpoint!r}.")
    return set(MLAlgorithm.objects.filter(parent_endpoint__name=endpoint).values_list("pk", flat=True))


def _found(task: _Task) -> dict[int, list[str]]:
    # By batch, the requests about the unit.
    rows = MLRequest.objects.filter(unit=task.unit)
    if task.algorithms is not None:
        rows = rows.filter(parent_mlalgorithm_id__in=task.algorithms)
    found: dict[int, list[str]] = {}
    for pk, batch_id in rows.values_list("pk", "batch_id"):
        found.setdefault(batch_id, []).append(pk.hex)
    return found


def _groups(found: dict[int, list[str]]) -> Iterator[dict[int, list[str]]]:
    # Whole batches, of few rows about the unit in all unless one batch has more.
    group: dict[int, list[str]] = {}
    for pk, ids in sorted(found.items()):
        if group and sum(map(len, group.values())) + len(ids) > commits.MOST_ROWS:
            yield group
            group = {}
        group[pk] = ids
    yield group


def _emptied(task: _Task, book: Ledger, head: Head, group: dict[int, list[str]]) -> Head:
    # Read before the transaction: nothing changes a row but deeds, and of these ours is the next or none.
    wholes = list(chains.whole(group, book.begins))
    ids = {one for ids in group.values() for one in ids}
    batches = [_batch(book, one, ids) for one in wholes]
    if len(wholes) < len(group):
        raise Conflict("The log does not hold: a request about it is in no batch. See `verify-log`.")
    with commits.resting():
        head = _told(task, head, ids, batches)
        for part in commits.parts(sorted(ids)):
            pks = [UUID(one) for one in part]
            MLRequest.objects.filter(pk__in=pks).update(**EMPTIED)
            Feedback.objects.filter(request_id__in=pks).update(value=Value(None, JSONField()))
    return head


def _batch(book: Ledger, one: Whole, ids: set[str]) -> Batch:
    fault = book.fault(one)
    if fault is not None:
        raise Conflict(f"The log does not hold, or changes, so nothing is erased there: {fault.sentence}")
    batch = one.batch
    entries = [_without(Entry._make(row[:BATCH_ID]), ids) for row in one.rows]
    now = journal.chained(str(batch.previous), entries)
    return batch.writer, batch.seq, batch.rows, batch.sha256, now


def _without(entry: Entry, ids: set[str]) -> Entry:
    return entry._replace(**EMPTIED) if entry.id in ids else entry  # type: ignore[arg-type]


def _told(task: _Task, head: Head, ids: Iterable[str], batches: list[Batch]) -> Head:
    requests = sorted(ids)
    content = {"unit": task.digest, "endpoint": task.endpoint, "requests": requests, "batches": batches}
    head = deeds.append(task.seal, head, deeds.ERASE, task.actor, content)
    audit.record("log.erased", task.digest, actor=task.actor, deed=head.number, requests=len(requests))
    return head


# Archives


def _through_archives(task: _Task, book: Ledger, count: int) -> Erased:
    intact = [one for one in book.archives.values() if folders.is_intact(one)]
    unreached = [str(one.folder) for one in book.archives.values() if one not in intact]
    ids = set(book.erased.get(task.digest, ())).union(*(_ids(task, archive) for archive in intact))
    # Whatever was erased ever: a run may have been broken off, or an archive not have been there.
    emptied = ids.union(*book.erased.values())
    head, made = book.latest, 0
    for archive in intact:
        if _names(archive, emptied):
            head = _made_anew(task, head, archive, ids, emptied)
            made += 1
    return Erased(count, made, unreached)


def _ids(task: _Task, archive: Archive) -> set[str]:
    rows = parquet.rows(archive.folder / folders.REQUESTS, "id", "unit", "algorithm_id")
    return {one for one, unit, by in rows if unit == task.unit and (task.algorithms is None or by in task.algorithms)}


def _names(archive: Archive, ids: set[str]) -> bool:
    # Whether it still says anything of these requests.
    requests = parquet.rows(archive.folder / folders.REQUESTS, "id", "unit")
    feedback = parquet.rows(archive.folder / folders.FEEDBACK, "request_id", "value")
    return any(one in ids and unit is not None for one, unit in requests) or any(
        one in ids and value != NOTHING for one, value in feedback
    )


def _copied(archive: Archive, files: Files, emptied: set[str]) -> Iterator[Batch]:
    # The batches that have changed.
    for one in parquet.batches(archive.folder / folders.REQUESTS):
        copy = one._replace(entries=[_without(entry, emptied) for entry in one.entries])
        if copy.entries != one.entries:
            yield copy.writer, copy.seq, len(copy.entries), copy.sha256, copy.now
        files.requests.add(parquet.row(copy))
    files.batches.add(parquet.rows(archive.folder / folders.BATCHES))
    for pk, request_id, value, *rest in parquet.rows(archive.folder / folders.FEEDBACK):
        files.feedback.add([(pk, request_id, NOTHING if request_id in emptied else value, *rest)])


def _made_anew(task: _Task, head: Head, archive: Archive, ids: set[str], emptied: set[str]) -> Head:
    with folders.begun(archive.folder.parent) as files:
        batches = list(_copied(archive, files, emptied))
        folder, written = files.close(archive.before)
    try:
        with transaction.atomic():
            head = _told(task, head, ids, batches)
            head = archives.record(
                folder, written, archive, head, task.seal, actor=task.actor, replaces=[archive.number]
            )
    except Conflict:
        folders.remove(folder)
        raise
    folders.remove(archive.folder)
    return head
