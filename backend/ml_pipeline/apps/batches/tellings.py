"""Tellings: what a feedback file says, told piece by piece in the background, each line once.

A piece is a transaction: outcomes, counts and the place of the next piece, under the lease of whoever does it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias
from uuid import UUID

from ml_pipeline.apps.accounts.access import Grant
from ml_pipeline.apps.batches import files, removal, turns
from ml_pipeline.apps.batches.models import OVER, FeedbackFile, State
from ml_pipeline.apps.batches.sources import MAX_BYTES
from ml_pipeline.apps.endpoints import feedback, work_folders
from ml_pipeline.apps.endpoints.feedback import Item, Told
from ml_pipeline.apps.jobs.clock import DatabaseNow
from ml_pipeline.apps.jobs.leases import Lease
from ml_pipeline.apps.ml.scoring import cuts, dialects, records, sources
from ml_pipeline.apps.ml.scoring.cuts import Cut
from ml_pipeline.apps.ml.scoring.dialects import Dialect
from ml_pipeline.apps.ml.scoring.tables import Chunk
from ml_pipeline.errors import BodyTooLarge, MalformedInput

# Lines of one transaction.
ROWS = 200
COLUMNS = ("request_id", "feedback")
# Problems that are listed one by one.
MOST_PROBLEMS = 1_000
_MAX_SHOWN = 100
# A line that is refused, the id in it, and what is wrong.
Problem: TypeAlias = tuple[int, str, str]


def work(lease: Lease) -> float | None:
    """Tells the file that the lease is for; 0 where the worker is to stop, and another one goes on from there."""
    file = FeedbackFile.objects.select_related("parent_endpoint").get(pk=int(lease.subject))
    if file.state in OVER:
        files.clear(file.uid)
        return None
    with turns.changing(lease):
        removal.ask_to_clean()
    try:
        return _told(lease, file)
    except (MalformedInput, BodyTooLarge) as error:
        _end(lease, file, State.FAILED, error.message)
        return None


def _told(lease: Lease, file: FeedbackFile) -> float | None:
    with work_folders.made(work_folders.BATCH) as folder:
        sent = files.fetched(files.input_name(file.uid), folder / "input")
        path = sources.made_plain(sent, folder / "plain", encoding=file.encoding or None, most_bytes=MAX_BYTES)
        dialect = dialects.read(path)
        check_header(None if sources.is_parquet(path) else dialect.header)
        for cut, content in _pieces(path, dialect, file):
            if lease.is_unwanted or not _tell(lease, file, cut, Chunk(content, dialect, cut)):
                return 0.0
    _end(lease, file, State.SUCCEEDED)
    return None


def check_header(header: tuple[str, ...] | None) -> None:
    """Raises MalformedInput unless these are the columns of feedback; None stands for Parquet."""
    if header is None:
        raise MalformedInput("Feedback is CSV; the file is Parquet.")
    absent = [name for name in COLUMNS if name not in header]
    if absent:
        raise MalformedInput(f"The file lacks the column {absent[0]!r}: feedback has {' and '.join(COLUMNS)}.")


def _pieces(path: Path, dialect: Dialect, file: FeedbackFile) -> Iterator[tuple[Cut, bytes]]:
    if file.next_offset is not None:
        dialect = dialect._replace(begin=file.next_offset, line=file.next_line)
    for cut in cuts.of_csv(path, dialect, rows=ROWS):
        yield cut, cuts.content(path, cut)


def _tell(lease: Lease, file: FeedbackFile, cut: Cut, chunk: Chunk) -> bool:
    """Whether the piece was told; not where the file was cancelled meanwhile."""
    items, problems = _read(chunk)
    endpoint = file.parent_endpoint
    grant = Grant(
        file.created_by, teams={endpoint.team_id: frozenset({"feedback"})}, endpoint_ids=frozenset({endpoint.pk})
    )
    with turns.resting(lease):
        # Not of one that was cancelled since it was read.
        if not FeedbackFile.objects.select_for_update().filter(pk=file.pk).exclude(state__in=OVER).exists():
            return False
        results = feedback.record_each([(item, grant) for item in items]) if items else []
        file.invalid += len(problems)
        for effect, count in Counter(told.effect for told in results).items():
            setattr(file, effect, getattr(file, effect) + count)
        problems += [
            (item.row, str(item.request_id), _wrong(told))
            for item, told in zip(items, results, strict=True)
            if told.effect in ("unknown", "invalid")
        ]
        file.problems += sorted(problems)[: MOST_PROBLEMS - len(file.problems)]
        file.state = State.RUNNING
        file.next_offset, file.next_row = cut.offset + cut.length, file.next_row + cut.rows
        file.next_line = cut.first_line + records.lines(chunk.content)
        file.save()
        lease.advance()
        if file.started_at is None:
            FeedbackFile.objects.filter(pk=file.pk).update(started_at=DatabaseNow())
            file.refresh_from_db(fields=["started_at"])
    return True


def _read(chunk: Chunk) -> tuple[list[Item], list[Problem]]:
    """The lines that say something, each with its line in the file for its row; and those that do not."""
    read = chunk.read(COLUMNS)
    problems: list[Problem] = [(one.line, "", one.reason) for one in read.rejected]
    items = []
    texts = zip(*(read.columns[name].to_pylist() for name in COLUMNS), strict=True)
    for place, (text, value) in zip(read.places, texts, strict=True):
        request_id, line = _uuid(text), chunk.line(int(place))
        if request_id is None or value is None:
            expected = "a UUID" if request_id is None else "an outcome"
            problems.append((line, (text or "")[:_MAX_SHOWN], f"expected {expected}"))
        else:
            items.append(Item(request_id, value, line))
    return items, problems


def _uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text)
    except (ValueError, TypeError, AttributeError):
        return None


def _wrong(told: Told) -> str:
    if told.effect == "unknown":
        return "no request of the endpoint has this id"
    return f"expected {told.expected}"


def _end(lease: Lease, file: FeedbackFile, state: State, error: str = "") -> None:
    with turns.changing(lease):
        ended = FeedbackFile.objects.filter(pk=file.pk).exclude(state__in=OVER)
        ended.update(state=state, error=error, ended_at=DatabaseNow())
    files.clear(file.uid)
