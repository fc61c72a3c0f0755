"""Run by tests: two connections of which the first draws its numbers first and commits last; prints what is folded."""

from __future__ import annotations

import json
import random
from datetime import timedelta
from uuid import UUID

import django

django.setup()

from django.db import connection  # noqa: E402  (Django is set up)
from traffic import HOUR, NOON, Log, entry, folded, sums, watched  # noqa: E402

from ml_pipeline.apps.endpoints.models import Feedback  # noqa: E402
from ml_pipeline.apps.monitoring import claims  # noqa: E402
from ml_pipeline.apps.predictions import journal, writers  # noqa: E402
from ml_pipeline.apps.predictions.writers import Batch  # noqa: E402


def tell(database, one, moment):  # type: ignore[no-untyped-def]
    """The request's outcome, on that connection."""
    request_id = UUID(one.id) if connection.features.has_native_uuid_field else one.id
    with database.cursor() as cursor:
        insert = "INSERT INTO endpoints_feedback (request_id, value, actor, created_at) VALUES (%s, %s, %s, %s)"
        cursor.execute(insert, [request_id, '"yes"', "ann", journal.stamp(moment)])


def shown() -> dict[str, object]:
    """Counts by hour after noon, and the holes."""
    found = {
        name: {int((at - NOON) / HOUR): count for at, count in sums(name).items()} for name in ("requests", "labelled")
    }
    holes = {one: [hole[:2] for hole in claims.standing(one).taken.holes] for one in (claims.BATCHES, claims.FEEDBACK)}
    return {**found, "holes": holes}


def main() -> None:
    """Commits first, then feedback."""
    by, draw = watched(), random.Random(1)
    log, other, seen = Log(draw), Log(draw), []
    first = [entry(draw, by, NOON) for _ in range(3)]
    second = [entry(draw, by, NOON + HOUR) for _ in range(2)]
    slow = connection.copy()
    slow.ensure_connection()
    batch = Batch(other.writer, 1, len(first), "0" * 64, journal.stamp(NOON + timedelta(minutes=1)))
    writers.of(connection).write(slow, batch, first, ())
    log.commit(second, NOON + HOUR)
    folded()
    seen.append(shown())
    writers.of(connection).commit(slow)
    folded()
    seen.append(shown())
    slow.set_autocommit(False)
    tell(slow, first[0], NOON + 99 * HOUR)
    tell(connection, second[0], NOON + 98 * HOUR)
    folded()
    seen.append(shown())
    slow.commit()
    slow.close()
    folded()
    seen.append(shown())
    assert Feedback.objects.count() == 2
    print(json.dumps(seen))


if __name__ == "__main__":
    main()
