"""What an ASGI server loads: `uvicorn ml_pipeline.server.asgi:application`."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ml_pipeline.server.settings")
_django = get_asgi_application()

from ml_pipeline.apps.predictions import assembly  # noqa: E402  (models exist only after Django's set-up)
from ml_pipeline.apps.predictions.doors.asgi import AsgiDoor  # noqa: E402

application = AsgiDoor(assembly.exchange(), _django)
