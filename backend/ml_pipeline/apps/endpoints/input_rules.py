"""Input rules: what of its inputs an endpoint keeps in the log of predictions, as its settings say.

`redact` names fields whose values are not kept; `store_inputs` is the fraction of requests whose inputs are kept.
Beside these, the setting `slices` names features by whose values live performance is shown unless others are asked for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ml_pipeline.errors import Complaint, InvalidInput
from ml_pipeline.wire import strict_json

REDACTED = "[redacted]"
MAX_FIELDS, MAX_FIELD_NAME = 200, 128
# Features by whose values performance is shown.
MAX_SLICES = 20
# An id's last 32 bits are random.
_RANDOM_DIGITS = 8


@dataclass(frozen=True, slots=True)
class InputRule:
    """What one endpoint keeps; by default everything."""

    redact: frozenset[str] = frozenset()
    store_inputs: float = 1.0

    def kept(self, request_id: str, row: Mapping[str, Any]) -> dict[str, Any] | None:
        """What the log has as the input of the request with this id; None where it keeps none.

        Which are kept follows from the id alone. A value that is redacted is REDACTED; null stays null.
        """
        if int(request_id[-_RANDOM_DIGITS:], 16) >= self.store_inputs * 16**_RANDOM_DIGITS:
            return None
        return {name: REDACTED if name in self.redact and value is not None else value for name, value in row.items()}


def checked(settings: object) -> dict[str, Any]:
    """`settings` of an endpoint, which came from outside, as they are stored. Raises InvalidInput."""
    if not isinstance(settings, dict):
        raise _invalid("settings", "an object", settings)
    for name in settings:
        if name not in ("redact", "store_inputs", "slices"):
            raise _invalid(f"settings.{name[:100]}", "redact, store_inputs or slices", settings[name])
    stored: dict[str, Any] = {}
    if "redact" in settings:
        stored["redact"] = sorted(set(_names(settings, "redact", MAX_FIELDS)))
    if "slices" in settings:
        # In the order in which they are to be shown.
        stored["slices"] = list(dict.fromkeys(_names(settings, "slices", MAX_SLICES)))
    if "store_inputs" in settings:
        stored["store_inputs"] = _fraction(settings["store_inputs"])
    return stored


def of(settings: Mapping[str, Any]) -> InputRule | None:
    """The rule that the stored settings of an endpoint make; None where everything is kept."""
    rule = InputRule(frozenset(settings.get("redact", ())), settings.get("store_inputs", 1.0))
    return None if rule == InputRule() else rule


def _names(settings: Mapping[str, Any], name: str, most: int) -> list[str]:
    value = settings[name]
    are_names = isinstance(value, list) and all(
        isinstance(one, str) and 0 < len(one) <= MAX_FIELD_NAME for one in value
    )
    if not are_names or len(value) > most:
        expected = f"a list of at most {most} names of 1 to {MAX_FIELD_NAME} characters"
        raise _invalid(f"settings.{name}", expected, value)
    return list(value)


def _fraction(value: Any) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or not 0 <= value <= 1:
        raise _invalid("settings.store_inputs", "a number from 0 to 1", value)
    return float(value)


def _invalid(field: str, expected: str, got: Any) -> InvalidInput:
    return InvalidInput([Complaint(None, field, expected, strict_json.shown(got))])
