"""A worker that is busy with a long file takes a short one beside it, and no second long one."""

from __future__ import annotations

import pytest
from django.core.files.base import ContentFile
from registered import algorithm

from ml_pipeline.apps.batches import batches
from ml_pipeline.apps.batches.batches import Asked
from ml_pipeline.apps.batches.models import BatchJob, Format
from ml_pipeline.apps.jobs import handlers, leases

pytestmark = pytest.mark.django_db


def test_it_is_taken_beside_the_long_one() -> None:
    model = algorithm("1")

    def made(size: int) -> BatchJob:
        asked = Asked("rows.csv", Format.CSV, Format.CSV)
        return batches.create(ContentFile(b"x" * size), model, asked, actor="ann", key_id=None)

    first, _, short = made(2_000_000), made(2_000_000), made(100)
    taken, busy = [], []
    for _ in range(3):
        lease = leases.claim(handlers.kinds(busy), "a worker")
        if lease is not None:
            busy.append(lease.kind)
            taken.append(int(lease.subject))
    assert taken == [first.pk, short.pk]
