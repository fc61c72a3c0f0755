"""Who cancels a feedback file waits for the piece that is being told, and neither holds up the other for ever."""

from __future__ import annotations

from pathlib import Path

from homes import Home

# A worker's transaction locks the job and then the file, as `tellings` does; in between somebody cancels.
_BOTH = """
import django, threading, time
django.setup()
from django.core.files.base import ContentFile
from django.db import connection
from registered import algorithm
from ml_pipeline.apps.batches import feedback_files
from ml_pipeline.apps.batches.models import FeedbackFile
from ml_pipeline.apps.jobs import leases

def waits():
    with connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM pg_locks WHERE NOT granted")
        return cursor.fetchone()[0]

def cancel():
    told.append(feedback_files.cancel(file.pk).state)
    connection.close()

told = []
endpoint = algorithm("1").parent_endpoint
file = feedback_files.create(ContentFile(b"request_id,feedback"), endpoint, "labels.csv", actor="ann")
lease = leases.claim([feedback_files.TELLING], "a worker")
with lease.held():
    canceller = threading.Thread(target=cancel)
    canceller.start()
    until = time.monotonic() + 30
    while not waits():
        assert time.monotonic() < until
        time.sleep(0.01)
    told.append(FeedbackFile.objects.select_for_update().get(pk=file.pk).state)
canceller.join()
print(*told)
"""


def test_a_piece_and_a_cancellation_come_one_after_the_other(postgres_url: str, tmp_path: Path) -> None:
    home = Home(tmp_path / "home", postgres_url).make()
    assert home.python(_BOTH).split() == ["queued", "cancelled"]
