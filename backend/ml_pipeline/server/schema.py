"""OpenAPI of what Django does not route: predictions and health checks; and the shape of errors."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension

from ml_pipeline.apps.endpoints.api import waiting
from ml_pipeline.apps.endpoints.models import Status
from ml_pipeline.wire import replies

_NULLABLE_NUMBER = {"type": "number", "nullable": True}
_PREDICTION = {
    "type": "object",
    "required": ["request_id", "status", "label", "probability", "algorithm", "version", "endpoint"],
    "properties": {
        "request_id": {"type": "string", "format": "uuid", "description": "Give feedback under this id."},
        "status": {"type": "string", "enum": ["OK"]},
        "label": {"type": "string", "nullable": True, "description": "Null for a regression."},
        "probability": {
            **_NULLABLE_NUMBER,
            "description": "Of the second label (binary), or of the predicted one; null for a regression.",
        },
        "probabilities": {"type": "object", "additionalProperties": {"type": "number"}},
        "value": {"type": "number", "description": "The answer of a regression."},
        "algorithm": {"type": "string"},
        "version": {"type": "string"},
        "endpoint": {"type": "string"},
        "abtest": {"type": "integer", "description": "The A/B test that the answer counts for, if so."},
        "arm": {"type": "integer", "description": "The arm of its unit in that test, 0 for the champion's."},
    },
}
_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "details"],
            "properties": {
                "code": {"type": "string", "enum": sorted({reply.code for reply in replies.TABLE.values()})},
                "message": {"type": "string"},
                "details": {"description": "What the code's page says; for invalid_input a list of complaints."},
            },
        }
    },
}


def add_data_plane(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """The schema with predict, health checks and, for every operation, the error reply."""
    schemas = result.setdefault("components", {}).setdefault("schemas", {})
    schemas.update(Prediction=_PREDICTION, Error=_ERROR)
    result["paths"]["/api/v1/{endpoint}/predict"] = {"post": _predict()}
    result["paths"]["/api/v1/{endpoint}@{alias}/predict"] = {"post": _predict_by_alias()}
    for path, summary in (("/healthz", "The process is alive"), ("/readyz", "The process can answer predictions")):
        result["paths"][path] = {"get": _health(path, summary)}
    result["paths"]["/metrics"] = {"get": _metrics()}
    for methods in result["paths"].values():
        for operation in methods.values():
            _add_waiting(operation)
            for reference in _bodies(operation):
                # A field that is misspelt is refused, not ignored.
                schemas[reference.rpartition("/")[2]]["additionalProperties"] = False
            operation["responses"]["default"] = _json({"$ref": "#/components/schemas/Error"}, "An error.")
    return result


def _add_waiting(operation: dict[str, Any]) -> None:
    # To a change that can be waited for: the header that says how far it is, and the reply when the time is over.
    waited = [one for one in operation.get("parameters", ()) if one["name"] == waiting.PARAMETER]
    if not waited:
        return
    waited[0]["schema"].update(minimum=0, maximum=waiting.MAX_WAIT_S)
    replies = operation["responses"]
    if "202" in replies:
        # A job's end is waited for, which says how far it is by itself.
        return
    late = {name: value for name, value in replies[min(replies)].items() if name == "content"}
    replies["202"] = {"description": "Committed, and with `wait` not served everywhere in time.", **late}
    served = {"description": "With `wait`: how many live processes serve the change, such as 2/3."}
    for reply in replies.values():
        reply["headers"] = {"Serving": {**served, "schema": {"type": "string"}}}


def _bodies(operation: dict[str, Any]) -> list[str]:
    # References to the components that a body of this operation is made of.
    schemas = [content["schema"] for content in operation.get("requestBody", {}).get("content", {}).values()]
    found = [schema.get("items", schema).get("$ref") for schema in schemas]
    return [reference for reference in found if reference]


def _json(schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _query(name: str, description: str, **schema: Any) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": description, "schema": {"type": "string", **schema}}


def _in_path(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _predict_by_alias() -> dict[str, Any]:
    operation = _predict()
    return {
        **operation,
        "operationId": "predict_by_alias",
        "description": "As `predict`, by the algorithm that the alias names, whatever its status. Parameters that do "
        "not fit it are an error.",
        "parameters": [_in_path("alias"), *operation["parameters"]],
    }


def _predict() -> dict[str, Any]:
    row = {"type": "object", "additionalProperties": True, "minProperties": 1}
    one = {"$ref": "#/components/schemas/Prediction"}
    rows = {"oneOf": [row, {"type": "array", "items": row, "minItems": 1, "maxItems": 10_000}]}
    return {
        "operationId": "predict",
        "description": "A prediction for one row, or one for each row of a list, all or nothing. The row's fields are "
        "the features of the algorithm's signature. Without parameters the production algorithm answers.",
        "tags": ["predict"],
        "security": [{"apiKey": []}],
        "parameters": [
            _in_path("endpoint"),
            _query("algorithm", "Only an algorithm of this name."),
            _query("version", "Only an algorithm of this version."),
            _query("status", "Only an algorithm in this status.", enum=Status.values),
            _query("unit", "Whom or what the prediction is about; also as the header X-Unit.", maxLength=255),
            _query("probabilities", "1 adds the probability of every label.", enum=["0", "1"]),
        ],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": rows}, "application/x-www-form-urlencoded": {"schema": row}},
        },
        "responses": {"200": _json({"oneOf": [one, {"type": "array", "items": one}]}, "Logged, then answered.")},
    }


def _health(path: str, summary: str) -> dict[str, Any]:
    good = {"200": _json({"type": "object", "additionalProperties": True}, summary + ".")}
    return {
        "operationId": path[1:],
        "description": summary + ".",
        "tags": ["health"],
        "security": [],
        "responses": good,
    }


def _metrics() -> dict[str, Any]:
    text = {"schema": {"type": "string"}}
    formats = {"text/plain": text, "application/openmetrics-text": text}
    return {
        "operationId": "metrics",
        "description": "What is counted and measured, for Prometheus: of endpoints those that the key may read.",
        "tags": ["health"],
        "security": [{"apiKey": []}],
        "responses": {"200": {"description": "The metrics of all processes.", "content": formats}},
    }


class KeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How OpenAPI describes the key."""

    target_class = "ml_pipeline.apps.accounts.authentication.KeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        """A bearer token."""
        return {"type": "http", "scheme": "bearer"}
