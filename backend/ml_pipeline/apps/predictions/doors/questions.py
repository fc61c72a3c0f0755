"""Questions: what the address and the headers of a prediction request ask."""

from __future__ import annotations

from urllib.parse import parse_qsl

from ml_pipeline.apps.endpoints.models import Status
from ml_pipeline.apps.predictions.calls import Question
from ml_pipeline.apps.predictions.doors.heads import Head
from ml_pipeline.apps.predictions.routing import Selection
from ml_pipeline.errors import Complaint, InvalidInput, MalformedInput, UnknownParameter

PARAMETERS = ("algorithm", "probabilities", "status", "unit", "version")
MAX_UNIT = 255


def asked(endpoint: str, alias: str | None, head: Head) -> Question:
    """The question to `endpoint`. Raises MalformedInput, UnknownParameter and InvalidInput."""
    unit = head.header(b"x-unit")
    if not head.query:
        return Question(endpoint, Selection(alias=alias), _unit(unit))
    given = _parameters(head.query, PARAMETERS)
    status = given.get("status")
    if status is not None and status not in Status.values:
        raise InvalidInput([Complaint(None, "status", f"one of {', '.join(Status.values)}", repr(status[:40]))])
    wanted = given.get("probabilities", "0")
    if wanted not in ("0", "1"):
        raise InvalidInput([Complaint(None, "probabilities", "0 or 1", repr(wanted[:40]))])
    return Question(
        endpoint=endpoint,
        selection=Selection(given.get("algorithm"), given.get("version"), status, alias),
        unit=_unit(given.get("unit") or unit),
        probabilities=wanted == "1",
    )


def refuse_parameters(head: Head) -> None:
    """Raises UnknownParameter and MalformedInput for a route that has none."""
    if head.query:
        _parameters(head.query, ())


def _parameters(query: str, known: tuple[str, ...]) -> dict[str, str]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=100)
    except ValueError:
        raise MalformedInput("The query is not name=value pairs in percent-encoded UTF-8.") from None
    given = dict(pairs)
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise UnknownParameter(
            f"Unknown query parameter {unknown[0][:100]!r}; this route knows: {', '.join(known) or 'none'}.",
            {"unknown": [name[:100] for name in unknown], "known": list(known)},
        )
    if len(given) != len(pairs):
        raise MalformedInput("A query parameter appears twice.")
    return given


def _unit(text: str | None) -> str | None:
    if not text:
        return None
    if len(text) > MAX_UNIT or not text.isprintable():
        raise InvalidInput([Complaint(None, "unit", f"at most {MAX_UNIT} printable characters", repr(text[:40]))])
    return text
