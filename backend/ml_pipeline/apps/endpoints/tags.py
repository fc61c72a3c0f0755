"""Tags: notes on an algorithm, by name. The algorithm itself never changes; they may, and no prediction sees them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from django.db import transaction

from ml_pipeline.apps.endpoints import changes, names
from ml_pipeline.apps.endpoints.models import AlgorithmTag, MLAlgorithm
from ml_pipeline.errors import Complaint, InvalidInput, NotFound

MAX_VALUE = 256


def named(algorithm: MLAlgorithm, name: str) -> AlgorithmTag:
    """The tag `name` of `algorithm`. Raises NotFound."""
    # Looked at first: a database may choke on what cannot be a name.
    tag = algorithm.tags.filter(name=name).first() if re.match(names.TAG_PATTERN, name) else None
    if tag is None:
        raise NotFound(f"{algorithm} has no tag {name[:100]!r}.")
    return tag


def put(algorithm: MLAlgorithm, name: str, value: str, *, actor: str) -> bool:
    """Whether the tag `name` is new on `algorithm`; its value is `value` now.

    The same again changes nothing. Raises InvalidInput.
    """
    check({name: value})
    with transaction.atomic():
        tag, created = AlgorithmTag.objects.select_for_update().get_or_create(
            parent_mlalgorithm=algorithm, name=name, defaults={"value": value}
        )
        if not created and tag.value == value:
            return False
        tag.value = value
        tag.save(update_fields=["value"])
        _record("tag.put", algorithm, name, actor, value=value)
    return created


def put_all(algorithm: MLAlgorithm, values: Mapping[str, str], *, actor: str) -> None:
    """`algorithm` has each tag of `values`, by name, or none of them is put. Raises InvalidInput."""
    check(values)
    with transaction.atomic():
        for name, value in values.items():
            put(algorithm, name, value, actor=actor)


def remove(algorithm: MLAlgorithm, name: str, *, actor: str) -> None:
    """`algorithm` has no tag `name` any more. Raises NotFound when it had none."""
    # Looked at first: a database may choke on what cannot be a name.
    known = re.match(names.TAG_PATTERN, name) is not None
    with transaction.atomic():
        if not known or not AlgorithmTag.objects.filter(parent_mlalgorithm=algorithm, name=name).delete()[0]:
            raise NotFound(f"{algorithm} has no tag {name[:100]!r}.")
        _record("tag.removed", algorithm, name, actor)


def _record(action: str, algorithm: MLAlgorithm, name: str, actor: str, **details: str) -> None:
    changes.record(
        action, algorithm, algorithm.parent_endpoint, actor=actor, algorithm=algorithm.pk, tag=name, **details
    )


def check(values: Mapping[str, str]) -> None:
    """Returns when `values` may be tags. Raises InvalidInput with everything that is wrong."""
    complaints = []
    for name, value in values.items():
        if not re.match(names.TAG_PATTERN, name):
            expected = "a tag's name: a lower-case letter, then up to 62 of a-z, 0-9, _, . and -"
            complaints.append(Complaint(None, "name", expected, repr(name[:80])))
        if len(value) > MAX_VALUE or not value.isprintable():
            expected = f"at most {MAX_VALUE} printable characters"
            complaints.append(Complaint(None, "value", expected, repr(value[:40])))
    if complaints:
        raise InvalidInput(complaints)
