"""Archives: whole batches of the log and their feedback, in Parquet. Only what a deed names counts as archived.

An archive holds, of each writer, batches from where archives and prunes end to its first batch that is not old enough.
Feedback that comes later is in the next archive, or in one of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

from django.db import transaction

from ml_pipeline.apps.endpoints.models import Feedback, MLRequest
from ml_pipeline.apps.events import audit
from ml_pipeline.apps.predictions.integrity import chains, deeds, ledger
from ml_pipeline.apps.predictions.integrity.chains import BATCH_ID, Row, Stored, Whole
from ml_pipeline.apps.predictions.integrity.deeds import Head, Span
from ml_pipeline.apps.predictions.integrity.ledger import Archive, Cover, Ledger
from ml_pipeline.apps.predictions.integrity.marks import Marks
from ml_pipeline.apps.predictions.integrity.seals import Seal
from ml_pipeline.apps.predictions.retention import bounds, folders, parquet
from ml_pipeline.apps.predictions.retention.folders import Files
from ml_pipeline.apps.predictions.retention.parquet import Kept
from ml_pipeline.apps.predictions.writers import Entry
from ml_pipeline.errors import Conflict

PAGE_ROWS = 1_000


class Made(NamedTuple):
    """What was archived, and where."""

    number: int
    folder: Path
    requests: int
    batches: int
    feedback: int


class Content(NamedTuple):
    """What an archive holds (see `ledger.Archive`)."""

    before: str
    spans: list[Span]
    until_id: str


class _Plan(NamedTuple):
    # What to archive: batches by id, their spans, and what no id of theirs is below. `covered` is that and all that is
    # archived already and still stored: whose feedback counts as ours.
    pending: Marks
    spans: list[Span]
    since_id: str
    covered: Marks


def write(before: date, to: Path, seal: Seal, *, actor: str) -> Made | None:
    """The archive, in a folder of its own in `to`, of what was committed before that day and is in none; None where all
    is.

    Raises Conflict when the log does not hold there, or somebody else does a deed meanwhile; then nothing is archived.
    """
    book = ledger.read(seal)
    book.demand_whole()
    folders.sweep(book)
    intact, lost = _sorted(book)
    plan = _planned(book, before.isoformat(), intact)
    with folders.begun(to) as files:
        until_id = _batches(files, book, plan, bounds.first_id_on(before))
        _write_feedback(files, plan.covered, known_feedback(book))
        content = Content(before.isoformat(), plan.spans, until_id)
        return _recorded(files, book, content, seal, actor=actor, replaces=[one.number for one in lost])


def write_late(covered: Marks, to: Path, before: str, seal: Seal, *, actor: str) -> Made | None:
    """The archive of the feedback on requests of these batches that is in none; None where there is none such."""
    book = ledger.read(seal)
    book.demand_whole()
    with folders.begun(to) as files:
        _write_feedback(files, covered, known_feedback(book))
        return _recorded(files, book, Content(before, [], "0" * 32), seal, actor=actor, replaces=[])


def known_feedback(book: Ledger) -> Marks:
    """The ids of the feedback that is in archives, as far as their files are whole."""
    known = Marks()
    for one in book.archives.values():
        if not folders.is_intact(one, folders.FEEDBACK):
            continue
        for (pk,) in parquet.rows(one.folder / folders.FEEDBACK, "id"):
            known.add(pk)
    return known


def record(
    folder: Path,
    files: list[tuple[str, int, str]],
    content: Content | Archive,
    after: Head,
    seal: Seal,
    *,
    actor: str,
    replaces: list[int],
) -> Head:
    """The deed that makes a folder an archive. Must be called in a transaction; raises Conflict as `deeds.append`."""
    document = {
        "before": content.before,
        "spans": content.spans,
        "until_id": content.until_id,
        "folder": str(folder),
        "files": files,
        "replaces": replaces,
    }
    return deeds.append(seal, after, deeds.ARCHIVE, actor, document)


def _sorted(book: Ledger) -> tuple[list[Archive], list[Archive]]:
    # Archives whose files are whole; and those whose are not, of which nothing is pruned: all of it is stored still.
    pruned = Cover(span for prune in book.prunes.values() for span in prune.spans)
    intact, lost = [], []
    for one in book.archives.values():
        if folders.is_intact(one):
            intact.append(one)
        elif one.spans and not pruned.touches(one.spans):
            lost.append(one)
    return intact, lost


def _planned(book: Ledger, before: str, intact: list[Archive]) -> _Plan:
    archived = Cover(span for one in intact for span in one.spans)
    pending, covered, chosen, since = Marks(), Marks(), [], ""
    ended = ""
    for batch in chains.batches(book.begins):
        if batch.seq <= book.pruned_through.get(batch.writer, 0) or ended == batch.writer:
            continue
        if archived.holds(batch.writer, batch.seq):
            covered.add(batch.pk)
        elif str(batch.created_at) < before:
            pending.add(batch.pk)
            covered.add(batch.pk)
            chosen.append(batch)
            since = min(since or batch.created_at, batch.created_at)
        else:
            ended = batch.writer
    return _Plan(pending, ledger.spans(chosen), bounds.first_id_of(since), covered)


def _batches(files: Files, book: Ledger, plan: _Plan, bound: str) -> str:
    # The largest id among the rows that are written.
    until, chosen = "0" * 32, Marks()
    for pk in plan.pending:
        chosen.add(pk)

    def judge(strangers: dict[int, list[Row]]) -> None:
        for pk in strangers:
            if pk in chosen:
                raise Conflict(f"The log does not hold: batch {pk} has more rows than were logged. See `verify-log`.")

    for one in _wholes(book, plan, judge, bound):
        fault = book.fault(one)
        if fault is not None:
            raise Conflict(f"The log does not hold, or changes: nothing is archived. {fault.sentence}")
        entries = [Entry._make(row[:BATCH_ID]) for row in one.rows]
        batch = one.batch
        files.requests.add(parquet.row(Kept(batch.writer, batch.seq, str(batch.previous), batch.sha256, entries)))
        until = max(until, *(entry.id for entry in entries))
    if files.requests.count != sum(span.rows for span in plan.spans):
        raise Conflict("The log does not hold, or changes: nothing is archived. See `verify-log`.")
    try:
        files.batches.add(_row(batch) for batch in _stored(book, chosen))
    except (TypeError, ValueError) as error:
        # It is under no hash.
        raise Conflict(f"The log does not hold: the time of a batch is none. {error}") from None
    return until


def _wholes(book: Ledger, plan: _Plan, judge: Any, bound: str) -> Iterator[Whole]:
    # Ids begin with their time, so nearly all of what is old lies between these; the rest is looked for.
    if len(plan.pending):
        yield from chains.assembled(plan.pending, judge, book.begins, (plan.since_id, bound))
        yield from chains.whole(list(plan.pending), book.begins)


def _row(one: Stored) -> tuple[Any, ...]:
    return one.writer, one.seq, one.rows, one.sha256, parquet.moment(one.created_at)


def _stored(book: Ledger, chosen: Marks) -> Iterator[Stored]:
    return (batch for batch in chains.batches(book.begins) if batch.pk in chosen) if len(chosen) else iter(())


def _write_feedback(files: Files, covered: Marks, known: Marks) -> None:
    last = 0
    while page := list(Feedback.objects.filter(pk__gt=last).order_by("pk")[:PAGE_ROWS]):
        last = page[-1].pk
        fresh = [one for one in page if one.pk not in known]
        asked = MLRequest.objects.filter(pk__in={one.request_id for one in fresh}).values_list("pk", "batch_id")
        ours = {pk for pk, batch_id in asked if batch_id in covered}
        files.feedback.add(_told(one) for one in fresh if one.request_id in ours)


def _told(one: Feedback) -> tuple[Any, ...]:
    request_id: UUID = one.request_id
    return one.pk, request_id.hex, json.dumps(one.value, ensure_ascii=False), one.actor, one.created_at


def _recorded(
    files: Files, book: Ledger, content: Content, seal: Seal, *, actor: str, replaces: list[int]
) -> Made | None:
    counts = {"requests": files.requests.count, "batches": files.batches.count, "feedback": files.feedback.count}
    if not any(counts.values()):
        return None
    folder, written = files.close(content.before)
    try:
        with transaction.atomic():
            head = record(folder, written, content, book.latest, seal, actor=actor, replaces=replaces)
            audit.record("log.archived", folder.name, actor=actor, before=content.before, deed=head.number, **counts)
    except Conflict:
        folders.remove(folder)
        raise
    return Made(head.number, folder, **counts)
