"""What an ASGI server loads: `uvicorn ml_pipeline.server.asgi:application`."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ml_pipeline.server.settings")
django.setup(set_prefix=False)

from ml_pipeline.apps.predictions import assembly  # noqa: E402  (models exist only after Django's set-up)
from ml_pipeline.apps.predictions.doors.asgi import AsgiDoor, DjangoHandler  # noqa: E402
from ml_pipeline.wire import log_lines  # noqa: E402

log_lines.take_over()
application = AsgiDoor(assembly.exchange(), DjangoHandler())
