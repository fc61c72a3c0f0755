"""What OPTIONS tells: the fields that each writing method of a route takes."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from rest_framework.exceptions import APIException
from rest_framework.metadata import SimpleMetadata
from rest_framework.request import Request, clone_request

from ml_pipeline.errors import MLPipelineError


class FieldsOnly(SimpleMetadata):
    """Looks at no row, so that it says nothing of what there is, and PUT may be for what is not there yet."""

    def determine_actions(self, request: Request, view: Any) -> dict[str, Any]:
        """Method to fields, for the methods that whoever asks may use."""
        actions = {}
        for method in sorted({"PUT", "POST"} & set(view.allowed_methods)):
            view.request = clone_request(request, method)
            try:
                view.check_permissions(view.request)
                actions[method] = self.get_serializer_info(view.get_serializer())
            except (APIException, PermissionDenied, MLPipelineError):
                continue
            finally:
                view.request = request
        return actions
