"""A folder as storage: whole or not at all, and on disk when it is said to be stored."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from django.core.files.base import File
from django.core.files.storage import FileSystemStorage
from django.core.files.uploadhandler import TemporaryFileUploadHandler

from ml_pipeline.apps.ml import bundles
from ml_pipeline.errors import Complaint, InvalidInput

MAX_FILE_NAME, MAX_SUFFIX = 255, 16


class BoundedNamesHandler(TemporaryFileUploadHandler):
    """Django's, which makes a part of its temporary name of the file's suffix: one that is too long is refused."""

    def new_file(self, field_name: str, file_name: str, *args: Any, **kwargs: Any) -> None:
        """Begins a file. Raises InvalidInput."""
        if len(Path(file_name).suffix) > MAX_SUFFIX or len(file_name) > MAX_FILE_NAME:
            raise InvalidInput([Complaint(None, field_name[:100], "a short file name", f"{len(file_name)} characters")])
        super().new_file(field_name, file_name, *args, **kwargs)


class DurableFileSystemStorage(FileSystemStorage):
    """Django's, but an object appears under its name only once it is complete and synchronised."""

    def _save(self, name: str, content: File[Any]) -> str:
        target = Path(self.path(name))
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, staged = tempfile.mkstemp(dir=target.parent, prefix=".incoming-")
        try:
            with os.fdopen(descriptor, "wb") as handle:
                for chunk in content.chunks():
                    handle.write(chunk)
                handle.flush()
                os.fsync(handle.fileno())
            Path(staged).rename(target)
        except BaseException:
            Path(staged).unlink(missing_ok=True)
            raise
        bundles.sync_directory(target.parent)
        return name
