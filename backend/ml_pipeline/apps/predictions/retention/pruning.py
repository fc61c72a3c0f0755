"""Pruning: what is archived is deleted, few rows at a time, after a tombstone says that it will be.

Killed in the middle, the next prune finishes what was begun. No feedback goes before it is archived.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import NamedTuple
from uuid import UUID

from django.db import transaction

from ml_pipeline.apps.endpoints.models import Feedback, MLRequest
from ml_pipeline.apps.events import audit
from ml_pipeline.apps.predictions.integrity import chains, deeds, ledger
from ml_pipeline.apps.predictions.integrity.chains import Stored
from ml_pipeline.apps.predictions.integrity.deeds import Span
from ml_pipeline.apps.predictions.integrity.ledger import Archive, Cover, Ledger, Prune
from ml_pipeline.apps.predictions.integrity.marks import Marks
from ml_pipeline.apps.predictions.integrity.seals import Seal
from ml_pipeline.apps.predictions.models import JournalBatch
from ml_pipeline.apps.predictions.retention import archives, commits, folders
from ml_pipeline.errors import Conflict

PAGE_ROWS = 1_000
# Requests of one commit; mostly there is no more than one feedback of each.
MOST_REQUESTS = commits.MOST_ROWS // 2
# Where feedback comes in while its request is about to go, it is archived first, and then it goes: so often.
MOST_PASSES = 10


class Pruned(NamedTuple):
    """How much is gone."""

    batches: int = 0
    requests: int = 0
    feedback: int = 0


def prune(before: date, seal: Seal, *, actor: str) -> Pruned:
    """All that was committed before that day is gone from the database, as is what an earlier prune has left.

    Raises Conflict, and deletes nothing that no tombstone names, where something is not archived.
    """
    commits.overwrite_what_goes()
    book = ledger.read(seal)
    book.demand_whole()
    done = []
    for one in book.unfinished.values():
        _demand_intact(_touched(book, one.spans))
        done.append(_finished(one, book, seal, actor))
    if done:
        book = ledger.read(seal)
    begun = _begun(book, before.isoformat(), seal, actor)
    if begun is not None:
        done.append(_finished(begun, ledger.read(seal), seal, actor))
    return Pruned(*(sum(counts) for counts in zip(*done, strict=True))) if done else Pruned()


def _begun(book: Ledger, before: str, seal: Seal, actor: str) -> Prune | None:
    # The tombstone of what is to go, where there is any.
    chosen = list(_chosen(book, before))
    spans = ledger.spans(chosen)
    if not spans:
        return None
    holding = _holding(book, spans)
    until_id = max(one.until_id for one in holding)
    content = {
        "before": before,
        "spans": spans,
        "until_id": until_id,
        "archives": [[one.number, one.sha256] for one in holding],
    }
    rows = sum(span.rows for span in spans)
    with transaction.atomic():
        head = deeds.append(seal, book.latest, deeds.PRUNE, actor, content)
        audit.record("log.pruned", before, actor=actor, deed=head.number, requests=rows, batches=len(chosen))
    return Prune(head.number, spans, until_id)


def _chosen(book: Ledger, before: str) -> Iterator[Stored]:
    ended = ""
    for batch in chains.batches(book.begins):
        if ended != batch.writer and str(batch.created_at) < before:
            yield batch
        else:
            ended = batch.writer


def _holding(book: Ledger, spans: list[Span]) -> list[Archive]:
    # The archives in which all of that is. Their files are looked at, and nothing goes where one of them is not whole.
    for span in spans:
        if span.first != book.pruned_through.get(span.writer, 0) + 1:
            place = f"before batch {span.first} of writer {span.writer}"
            raise Conflict(f"Nothing is pruned: the log does not hold, {place} something is missing. See `verify-log`.")
    touched = _touched(book, spans)
    _demand_intact(touched)
    cover = Cover(span for one in touched for span in one.spans)
    ends = {(span.writer, span.last): span.sha256 for one in touched for span in one.spans}
    missing = [span for span in spans if not cover.holds_all(span)]
    if missing:
        named = ", ".join(f"of {one.first} to {one.last} of writer {one.writer}" for one in missing[:10])
        raise Conflict(f"Nothing is pruned: batches are not archived, {named}. `ml-pipeline archive` does that.")
    for batch in chains.batches(book.begins):
        if ends.get((batch.writer, batch.seq), batch.sha256) != batch.sha256:
            place = f"batch {batch.seq} of writer {batch.writer}"
            raise Conflict(f"Nothing is pruned: {place} is not the one that was archived. See `verify-log`.")
    return touched


def _touched(book: Ledger, spans: list[Span]) -> list[Archive]:
    return [one for one in book.archives.values() if Cover(one.spans).touches(spans)]


def _demand_intact(touched: list[Archive]) -> None:
    broken = [str(one.folder) for one in touched if not folders.is_intact(one)]
    if broken:
        places = ", ".join(broken)
        raise Conflict(f"Nothing is pruned: files are missing, or not as they were archived, in {places}.")


def _finished(one: Prune, book: Ledger, seal: Seal, actor: str) -> Pruned:
    cover = Cover(one.spans)
    doomed = Marks()
    for batch in chains.batches({}):
        if cover.holds(batch.writer, batch.seq):
            doomed.add(batch.pk)
    # Beside the archive that has the requests.
    beside = _touched(book, one.spans)[-1]
    requests = feedback = 0
    for _ in range(MOST_PASSES):
        archives.write_late(doomed, beside.folder.parent, beside.before, seal, actor=actor)
        known = archives.known_feedback(ledger.read(seal))
        gone, told, late = _deleted_requests(doomed, UUID(one.until_id), known)
        requests, feedback = requests + gone, feedback + told
        if not late:
            break
    else:
        raise Conflict("Feedback on what is pruned comes in all the time. Run it again.")
    pks = list(doomed)
    for part in commits.parts(pks):
        with commits.resting():
            JournalBatch.objects.filter(pk__in=part).delete()
    _close(one, seal, actor)
    return Pruned(len(pks), requests, feedback)


def _deleted_requests(doomed: Marks, until: UUID, known: Marks) -> tuple[int, int, int]:
    # How many requests are gone, how much feedback, and how many stay because of feedback that nobody knows yet.
    requests = feedback = late = 0
    rows = MLRequest.objects.filter(pk__lte=until).order_by("pk").values_list("pk", "batch_id")
    page = list(rows[:PAGE_ROWS])
    while page:
        ids = [pk for pk, batch_id in page if batch_id in doomed]
        for part in commits.parts(ids, MOST_REQUESTS):
            with commits.resting():
                gone, told, kept = _deleted(list(part), known)
            requests, feedback, late = requests + gone, feedback + told, late + kept
        page = list(rows.filter(pk__gt=page[-1][0])[:PAGE_ROWS])
    return requests, feedback, late


def _deleted(ids: list[UUID], known: Marks) -> tuple[int, int, int]:
    # Locked as by whoever tells of a request: what he has told is there by now, and whoever comes later finds none.
    locked = list(MLRequest.objects.select_for_update().filter(pk__in=ids).order_by("pk").values_list("pk", flat=True))
    told = list(Feedback.objects.filter(request_id__in=locked).values_list("pk", "request_id"))
    late = {request_id for pk, request_id in told if pk not in known}
    gone = [pk for pk in locked if pk not in late]
    Feedback.objects.filter(request_id__in=gone).delete()
    MLRequest.objects.filter(pk__in=gone).delete()
    return len(gone), sum(request_id not in late for _, request_id in told), len(late)


def _close(one: Prune, seal: Seal, actor: str) -> None:
    # Others may do deeds meanwhile, or this one; it depends on none of theirs.
    for _ in range(MOST_PASSES):
        book = ledger.read(seal)
        if one.number not in book.unfinished:
            return
        try:
            with transaction.atomic():
                deeds.append(seal, book.latest, deeds.PRUNED, actor, {"prune": one.number})
        except Conflict:
            continue
        return
    raise Conflict("Others archive or erase all the time. Run it again.")
