"""What a WSGI server loads: `gunicorn ml_pipeline.server.wsgi:application`."""

import os
import sys

from django.core.wsgi import get_wsgi_application

if "uwsgi" in sys.modules:
    # It gives itself for the interpreter, by which the processes of algorithms and uploads are started.
    sys.executable = f"{sys.prefix}/bin/python{sys.version_info.major}.{sys.version_info.minor}"
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ml_pipeline.server.settings")
_django = get_wsgi_application()

from ml_pipeline.apps.predictions import assembly  # noqa: E402  (models exist only after Django's set-up)
from ml_pipeline.apps.predictions.doors.wsgi import WsgiDoor  # noqa: E402
from ml_pipeline.wire import log_lines  # noqa: E402

log_lines.take_over()
application = WsgiDoor(assembly.exchange(), _django)
