"""Removal: files that nobody needs any more: of jobs that are over, too old, or not there."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from ml_pipeline.apps.batches import batches, feedback_files, files, turns
from ml_pipeline.apps.batches.models import OVER, BatchChunk, BatchJob, FeedbackFile, State
from ml_pipeline.apps.jobs import jobs
from ml_pipeline.apps.jobs.clock import DatabaseNow
from ml_pipeline.apps.jobs.leases import Lease

# The kinds of the jobs that remove what is too old, one a batch, and what belongs to none.
REMOVING, CLEANING = "batch.removal", "batch.cleaning"
# Files without a job may belong to one that is just about to be recorded.
GRACE = timedelta(hours=1)
# What is not over by the kind of the job that ends it.
_KINDS: dict[str, type[BatchJob] | type[FeedbackFile]] = {
    batches.SCORING: BatchJob,
    batches.SHORT: BatchJob,
    feedback_files.TELLING: FeedbackFile,
}
GIVEN_UP = "It was tried several times and got no further; the log of the workers says why."


def work(lease: Lease) -> float | None:
    """Removes the result of the job that the lease is for once it is too old."""
    job = BatchJob.objects.get(pk=int(lease.subject))
    if job.ended_at is None or job.state != State.SUCCEEDED:
        return None
    left_s = (job.ended_at + timedelta(days=settings.BATCH_DAYS) - timezone.now()).total_seconds()
    # The setting may say more days than it did when the job ended.
    if left_s > 0:
        return left_s
    with turns.changing(lease):
        BatchJob.objects.filter(pk=job.pk, removed_at=None).update(removed_at=DatabaseNow())
    job.refresh_from_db()
    clear(lease, job)
    return None


def clear(lease: Lease, job: BatchJob) -> None:
    """Of a job that is over only what can still be fetched is left. Can be repeated."""
    if job.state != State.SUCCEEDED or job.removed_at is not None:
        files.clear(job.uid)
        _remove_chunks(lease, job)
        return
    rejected = job.chunks.filter(rejected__gt=0).values_list("number", "token")
    kept = {files.errors_part_name(job.uid, number, token) for number, token in rejected.iterator(1_000)}
    files.clear(job.uid, keep={files.result_name(job.uid), *kept})


def ask_to_clean() -> None:
    """What is begun now is looked after until it is over, by `clean`. Belongs in a transaction."""
    jobs.ask(CLEANING, "", in_s=GRACE.total_seconds())


def clean(lease: Lease) -> float | None:
    """Removes files of no job; what nobody will go on with fails. It is done again while anything is not over."""
    clear_strange()
    for kind, rows in _KINDS.items():
        _fail_given_up(lease, kind, rows)
    is_any_left = any(rows.objects.exclude(state__in=OVER).exists() for rows in _KINDS.values())
    return GRACE.total_seconds() if is_any_left else None


def _fail_given_up(lease: Lease, kind: str, rows: type[BatchJob] | type[FeedbackFile]) -> None:
    waiting = {str(pk) for pk in rows.objects.exclude(state__in=OVER).values_list("pk", flat=True)}
    for subject in jobs.given_up(kind, waiting):
        with turns.changing(lease):
            # Done again, it removes the files. Asked first: whoever cancels it locks the two in this order.
            jobs.ask(kind, subject)
            ours = rows.objects.filter(pk=int(subject)).exclude(state__in=OVER)
            changed = ours.update(state=State.FAILED, ended_at=DatabaseNow(), error=GIVEN_UP)
            if changed and rows is BatchJob:
                batches.record_end("batch.failed", BatchJob.objects.get(pk=int(subject)), error=GIVEN_UP)


def clear_strange(grace: timedelta = GRACE) -> int:
    """Of how many jobs that are not there files were removed, all of them older than `grace`."""
    before = timezone.now() - grace
    old = [uid for uid, stored_at in files.folders() if stored_at < before]
    known = {uid for kind in _KINDS.values() for uid in kind.objects.filter(uid__in=old).values_list("uid", flat=True)}
    strange = [uid for uid in old if uid not in known]
    for uid in strange:
        files.clear(uid)
    return len(strange)


def _remove_chunks(lease: Lease, job: BatchJob) -> None:
    while pks := list(BatchChunk.objects.filter(job=job).values_list("pk", flat=True)[: turns.CHUNKS]):
        with turns.resting(lease):
            BatchChunk.objects.filter(pk__in=pks).delete()
