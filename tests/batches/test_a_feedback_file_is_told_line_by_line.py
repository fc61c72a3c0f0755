"""Feedback files: each line is told once, whatever becomes of the worker; what is wrong with a line is said of it."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterable
from uuid import UUID, uuid4

import pytest
import registered
from django.core.files.base import ContentFile
from registered import algorithm

from ml_pipeline.apps.batches import feedback_files, files, tellings
from ml_pipeline.apps.batches.models import FeedbackFile
from ml_pipeline.apps.endpoints.models import Endpoint, Feedback
from ml_pipeline.apps.jobs import leases
from ml_pipeline.apps.jobs.leases import LeaseLost
from ml_pipeline.apps.jobs.models import Job
from ml_pipeline.errors import Conflict

pytestmark = pytest.mark.django_db


def requests(count: int, *, endpoint: str = "demo") -> list[UUID]:
    return registered.requests(algorithm("1", endpoint=endpoint), count)


def sent(content: bytes | Iterable[tuple[object, str]], encoding: str = "") -> FeedbackFile:
    if not isinstance(content, bytes):
        content = "".join(["request_id,feedback\n", *(f"{one},{value}\n" for one, value in content)]).encode()
    return feedback_files.create(
        ContentFile(content), Endpoint.objects.get(name="demo"), "labels.csv", encoding, actor="ann"
    )


def worked(file: FeedbackFile) -> FeedbackFile:
    lease = leases.claim([feedback_files.TELLING], "a worker")
    assert lease is not None
    assert tellings.work(lease) is None
    lease.finish()
    return FeedbackFile.objects.get(pk=file.pk)


def counts(file: FeedbackFile) -> tuple[int, ...]:
    return file.next_row, file.accepted, file.unchanged, file.unknown, file.invalid


def test_every_line_is_told_and_the_file_is_gone() -> None:
    ids = requests(500)
    file = worked(sent([(one, "yes") for one in ids]))
    assert (file.state, counts(file), file.problems) == ("succeeded", (500, 500, 0, 0, 0), [])
    assert set(Feedback.objects.values_list("request_id", "value", "actor")) == {(one, "yes", "ann") for one in ids}
    assert not files.storage().exists(files.input_name(file.uid))
    assert None not in (file.started_at, file.ended_at)


def test_what_is_wrong_is_said_of_its_line() -> None:
    good, twice = requests(2)
    (elsewhere,) = requests(1, endpoint="other")
    nobodys = uuid4()
    lines = [(good, "yes"), (nobodys, "yes"), (elsewhere, "yes"), ("12", "yes"), (twice, "no"), (twice, "no")]
    file = worked(sent([*lines, (twice, "maybe"), (good, "")]))
    assert (file.state, counts(file)) == ("succeeded", (8, 2, 1, 2, 3))
    missing = "no request of the endpoint has this id"
    assert file.problems == [
        [3, str(nobodys), missing],
        [4, str(elsewhere), missing],
        [5, "12", "expected a UUID"],
        [8, str(twice), "expected one of no, yes"],
        [9, str(good), "expected an outcome"],
    ]
    assert Feedback.objects.count() == 2


def test_any_csv_that_is_scored_is_told() -> None:
    one, other = requests(2)
    text = f'when;feedback;request_id\r\n"a\nb";yes;{one}\r\n;no;{other}\r\n'
    assert counts(worked(sent(gzip.compress(text.encode("utf-16")), "utf-16"))) == (2, 2, 0, 0, 0)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"request_id,label\n", "The file lacks the column 'feedback': feedback has request_id and feedback."),
        (b"PAR1", "Feedback is CSV; the file is Parquet."),
        (b'request_id,feedback\n"', "In or after line 2: A quote is not closed."),
    ],
)
def test_a_file_that_is_none_fails_with_a_sentence(content: bytes, said: str) -> None:
    requests(1)
    file = worked(sent(content))
    assert (file.state, file.error) == ("failed", said)
    assert not files.storage().exists(files.input_name(file.uid))


class Stopping(threading.Event):
    """Set once it was looked at so often."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self._looks = looks

    def is_set(self) -> bool:
        self._looks -= 1
        return self._looks < 0


def stopped(pieces: int) -> None:
    """A worker that is told to stop after so many pieces."""
    lease = leases.claim([feedback_files.TELLING], "a worker", stopped=Stopping(pieces))
    assert lease is not None
    assert tellings.work(lease) == 0.0
    lease.postpone(0.0)


def test_a_worker_goes_on_where_the_last_one_stopped() -> None:
    file = sent([(one, "yes") for one in requests(450)])
    for expected in (200, 400):
        stopped(1)
        file.refresh_from_db()
        assert counts(file)[:2] == (expected, expected)
    assert counts(worked(file))[:2] == (450, 450)
    assert Feedback.objects.count() == 450


def test_a_worker_that_lost_the_job_tells_nothing() -> None:
    file = sent([(one, "yes") for one in requests(3)])
    lost = leases.claim([feedback_files.TELLING], "a worker")
    assert lost is not None
    Job.objects.update(leased_until="2020-01-01T00:00:00Z")
    assert counts(worked(file))[:2] == (3, 3)
    FeedbackFile.objects.update(state="queued", next_offset=None)
    files.storage().save(files.input_name(file.uid), ContentFile(b"request_id,feedback\n"))
    with pytest.raises(LeaseLost):
        tellings.work(lost)
    assert FeedbackFile.objects.get().state == "queued"


def test_what_was_told_before_it_was_cancelled_stays() -> None:
    file = sent([(one, "yes") for one in requests(250)])
    stopped(1)
    assert feedback_files.cancel(file.pk).state == "cancelled"
    file = worked(file)
    assert (file.state, counts(file)[:2], Feedback.objects.count()) == ("cancelled", (200, 200), 200)
    assert not files.storage().exists(files.input_name(file.uid))
    assert feedback_files.cancel(file.pk).ended_at == file.ended_at


def test_what_is_over_is_not_cancelled() -> None:
    file = worked(sent([(one, "yes") for one in requests(1)]))
    with pytest.raises(Conflict, match="has succeeded already"):
        feedback_files.cancel(file.pk)
