"""Work: a batch job from its file to its result, in one go, or on from where another worker left it.

What a worker needs of the job is in the database and in the storage; whatever it changes there it changes under its
lease, so it may be killed, or sleep, at any point: the next one ends with the same result.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import suppress
from functools import partial
from pathlib import Path
from uuid import uuid4

import msgspec
from django.conf import settings
from django.core.files.base import ContentFile

from ml_pipeline.apps.batches import batches, files, publication, removal, sources, states, turns
from ml_pipeline.apps.batches.ahead import Ahead
from ml_pipeline.apps.batches.engines import engine
from ml_pipeline.apps.batches.models import OVER, BatchJob
from ml_pipeline.apps.batches.recorder import Done, Recorder
from ml_pipeline.apps.batches.sources import Source
from ml_pipeline.apps.batches.states import NoLongerRunning, Unwanted
from ml_pipeline.apps.endpoints import batch_rows, input_rules, registrations, work_folders
from ml_pipeline.apps.endpoints.input_rules import InputRule
from ml_pipeline.apps.jobs.leases import Lease, LeaseLost
from ml_pipeline.apps.ml.isolation.limits import Limits
from ml_pipeline.apps.ml.scoring.cuts import Cut
from ml_pipeline.apps.ml.scoring.jobs import Logging, Scored, Terms
from ml_pipeline.errors import AlgorithmFailed, BodyTooLarge, ClusterUnavailable, InvalidArtifact, MalformedInput

# So often a job is begun without getting any further; then it fails.
MOST_ATTEMPTS = 5
# For a chunk, or for loading.
DEADLINE_S = 600.0
# Chunks that are scored and wait to be recorded, beside those that the pipeline has.
AHEAD = 1
# Whoever predicts online comes first; but for a short file somebody waits.
NICE, SHORT_NICE = 19, 5


def work(lease: Lease) -> float | None:
    """Does the job that the lease is for; 0 where the worker is to stop: another one goes on."""
    job = BatchJob.objects.select_related("parent_mlalgorithm__parent_endpoint").get(pk=int(lease.subject))
    try:
        if job.state not in OVER:
            _end(lease, job)
    except Unwanted:
        states.hand_over(lease, job)
        return 0.0
    except NoLongerRunning:
        # It was asked for again by whoever cancelled it.
        return None
    removal.clear(lease, job)
    return None


def _end(lease: Lease, job: BatchJob) -> None:
    """The job is over. Raises NoLongerRunning and Unwanted."""
    states.begin(lease, job)
    if job.attempts > MOST_ATTEMPTS:
        states.fail(lease, job, removal.GIVEN_UP)
        return
    work_folders.clear(removal.GRACE)
    checkpointer = turns.checkpointer()
    if checkpointer is not None:
        checkpointer.start()
    try:
        with work_folders.made(work_folders.BATCH) as folder:
            _succeed(lease, job, folder)
    except (AlgorithmFailed, BodyTooLarge, InvalidArtifact, MalformedInput) as error:
        # A stop of the whole service comes to each of its processes: what ended may have ended by that.
        states.go_on(lease)
        states.fail(lease, job, error.message)
    except ClusterUnavailable as error:
        # It may be there for the next attempt.
        if job.attempts < MOST_ATTEMPTS:
            raise
        states.fail(lease, job, error.message)


def _succeed(lease: Lease, job: BatchJob, folder: Path) -> None:
    source = sources.opened(job, folder)
    if job.rows_total is None:
        states.plan(lease, job, source.cuts())
    _score(lease, job, source)
    states.go_on(lease)
    states.succeed(lease, job, publication.publish(job, source.dialect, folder))


def _score(lease: Lease, job: BatchJob, source: Source) -> None:
    """All chunks are done."""
    waiting = job.chunks.filter(done_at=None).order_by("number")
    logged = dict(waiting.filter(logged__gt=0).values_list("number", "logged"))
    cuts = [Cut(*one) for one in waiting.values_list(*Cut._fields)]
    if not cuts:
        return
    recorder, token = Recorder(lease, job), uuid4().hex
    nice = SHORT_NICE if lease.kind == batches.SHORT else NICE
    with Ahead(partial(_scored, _terms(job, source), source, cuts, nice), AHEAD) as results:
        for cut, scored in results:
            states.go_on(lease)
            _save(job, cut, scored, token)
            # The output may be large, and the rest takes its time.
            recorded = msgspec.structs.replace(scored, output=b"")
            del scored
            try:
                recorder.record(Done(cut, recorded, token), logged.get(cut.number, 0))
            # The chunk is not done, and whoever goes on makes parts of his own; he may be through with clearing up.
            except (LeaseLost, NoLongerRunning, Unwanted):
                _discard(job, cut, token)
                raise


def _scored(terms: Terms, source: Source, cuts: list[Cut], nice: int) -> Generator[tuple[Cut, Scored]]:
    allowed = Limits(memory_bytes=settings.CHILD_MEMORY_BYTES, cpu_s=None, file_bytes=0, nice=nice)
    processes = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    score = engine.chosen(settings.RAY_ADDRESS, processes=processes)
    yield from score(terms, source.path, source.contents(cuts), allowed=allowed, deadline_s=DEADLINE_S)


def _terms(job: BatchJob, source: Source) -> Terms:
    bundle = registrations.store().bundle(job.digest)
    return Terms(
        str(bundle.folder),
        job.digest,
        job.runtime,
        registrations.trusted_keys(),
        job.uid.hex,
        batch_rows.made_ms(job.created_at),
        "parquet" if source.is_parquet else "csv",
        "parquet" if job.output_format == "parquet" else "csv",
        source.dialect.header,
        source.dialect.delimiter,
        job.probabilities,
        _logging(job) if job.log_requests else None,
    )


def _logging(job: BatchJob) -> Logging:
    algorithm = job.parent_mlalgorithm
    endpoint = algorithm.parent_endpoint
    rule = input_rules.of(endpoint.settings) or InputRule()
    names = (algorithm.name, algorithm.version, endpoint.name)
    return Logging(*names, tuple(sorted(rule.redact)), input_rules.REDACTED, rule.store_inputs)


def _save(job: BatchJob, cut: Cut, scored: Scored, token: str) -> None:
    if scored.answered:
        files.storage().save(files.output_part_name(job.uid, cut.number, token), ContentFile(scored.output))
    if scored.rejected:
        lines = b"\n".join(map(msgspec.json.encode, scored.rejected)) + b"\n"
        files.storage().save(files.errors_part_name(job.uid, cut.number, token), ContentFile(lines))


def _discard(job: BatchJob, cut: Cut, token: str) -> None:
    for name in (files.output_part_name, files.errors_part_name):
        with suppress(OSError):
            files.storage().delete(name(job.uid, cut.number, token))
