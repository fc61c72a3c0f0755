"""The events that there are, and the patterns that choose among them. Every action that is recorded stands here."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

# For people: what happened, as the subject of an e-mail begins.
ACTIONS: Final[Mapping[str, str]] = {
    "endpoint.created": "Endpoint created",
    "endpoint.changed": "Endpoint changed",
    "endpoint.deleted": "Endpoint deleted",
    "endpoint.rolled_back": "Endpoint rolled back to what was in production before",
    "algorithm.registered": "Algorithm registered",
    "algorithm.moved": "Algorithm moved into another status",
    "alias.put": "Alias set",
    "alias.removed": "Alias removed",
    "tag.put": "Tag set",
    "tag.removed": "Tag removed",
    "abtest.started": "A/B test started",
    "abtest.withdrawn": "Arm of an A/B test withdrawn, because it did harm",
    "abtest.ended": "A/B test ended",
    "batch.created": "Batch job asked for",
    "batch.ended": "Batch job succeeded",
    "batch.failed": "Batch job failed",
    "batch.cancelled": "Batch job cancelled",
    "accuracy.dropped": "Accuracy has dropped below what the reference promises",
    "accuracy.recovered": "Accuracy is again what the reference promises",
    "drift.found": "Drift: requests are unlike the reference",
    "alert.opened": "Alert: a figure is beyond its threshold",
    "alert.recovered": "Alert over: the figure is back",
    "alert.closed": "Alert closed, because its rule or its algorithm is no longer watched",
    "alertrule.created": "Alert rule created",
    "alertrule.changed": "Alert rule changed",
    "alertrule.deleted": "Alert rule deleted",
    "receiver.created": "Receiver of events created",
    "receiver.changed": "Receiver of events changed",
    "receiver.deleted": "Receiver of events deleted",
    "receiver.rotated": "Secret of a receiver of events changed",
    "receiver.deactivated": "Receiver of events switched off, because its server said that it is gone",
    "receiver.test": "Test of a receiver of events",
    "delivery.retried": "Event sent to a receiver again",
    "team.created": "Team created",
    "team.changed": "Team changed",
    "member.put": "Person put into a team or another role",
    "member.removed": "Person removed from a team",
    "key.created": "API key created",
    "key.limited": "API key given other quotas",
    "key.revoked": "API key revoked",
    "person.created": "Person created",
    "person.changed": "Person changed",
    "log.archived": "Log of predictions archived",
    "log.pruned": "Log of predictions pruned",
    "log.erased": "Unit erased from the log of predictions",
}
# For the one receiver that is tested, whatever others want.
TEST: Final = "receiver.test"
EVERY: Final = "*"
MOST_PATTERNS: Final = 50


def is_wanted(action: str, patterns: Collection[str]) -> bool:
    """Whether one of `patterns` is `action`, its noun with a star (`abtest.*`), or the star alone."""
    return not {action, f"{action.partition('.')[0]}.*", EVERY}.isdisjoint(patterns)


def means_something(pattern: str) -> bool:
    """Whether there is an event that `pattern` chooses."""
    return any(is_wanted(action, (pattern,)) for action in ACTIONS)
