"""How receivers of events and deliveries to them look in JSON."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from ml_pipeline.apps.accounts.access import Grant
from ml_pipeline.apps.events import catalogue, receivers
from ml_pipeline.apps.events.models import Delivery, Kind, Receiver
from ml_pipeline.rest.serializers import OneOf, RefusesUnknownFields

MAX_PATTERN = 64


class ReceiverSerializer(serializers.ModelSerializer[Receiver]):
    """A receiver, without its secret. `team` null: of all teams; `endpoint` null: of all of the team's.

    `address` is whole for whoever may change it; for others a URL ends with its host.
    """

    address = serializers.SerializerMethodField()
    team = serializers.CharField(source="team_name", read_only=True, allow_null=True)
    endpoint = serializers.CharField(source="endpoint_name", read_only=True, allow_null=True)
    events: Any = serializers.ListField(child=serializers.CharField(), read_only=True)

    class Meta:
        model = Receiver
        fields = (
            *("id", "kind", "address", "events", "team", "endpoint", "administration", "description", "is_active"),
            *("failures", "resumes_at", "previous_until_at", "created_by", "created_at"),
        )
        read_only_fields = fields

    def get_address(self, receiver: Receiver) -> str:
        """Where it is told."""
        grant: Grant | None = self.context.get("grant")
        scope = "admin" if receiver.administration else "manage"
        held = () if grant is None else grant.everywhere | grant.teams.get(receiver.team_id or 0, frozenset())
        return receiver.address if scope in held else receivers.shown_address(receiver)


class ReceiverSecretSerializer(ReceiverSerializer):
    """A receiver with its new secret, which is shown this once; null for an e-mail, which is not signed."""

    secret = serializers.CharField(read_only=True, allow_null=True)

    class Meta:
        model = Receiver
        fields = (*ReceiverSerializer.Meta.fields, "secret")
        read_only_fields = fields


class ReceiverChangeSerializer(RefusesUnknownFields):
    """What may change of a receiver. What is left out stays."""

    address = serializers.CharField(max_length=Receiver.MAX_ADDRESS, required=False)
    events: Any = serializers.ListField(
        child=serializers.CharField(max_length=MAX_PATTERN),
        min_length=1,
        max_length=catalogue.MOST_PATTERNS,
        required=False,
    )
    administration = serializers.BooleanField(required=False)
    description = serializers.CharField(required=False, allow_blank=True, max_length=10_000)
    is_active = serializers.BooleanField(required=False)


class NewReceiverSerializer(ReceiverChangeSerializer):
    """What a new receiver shall be."""

    kind = OneOf(choices=Kind.choices)
    address = serializers.CharField(max_length=Receiver.MAX_ADDRESS)
    events: Any = serializers.ListField(
        child=serializers.CharField(max_length=MAX_PATTERN), min_length=1, max_length=catalogue.MOST_PATTERNS
    )
    team = serializers.CharField(required=False, allow_null=True, max_length=63)
    endpoint = serializers.CharField(required=False, allow_null=True, max_length=63)


class DeliverySerializer(serializers.ModelSerializer[Delivery]):
    """One event on its way to a receiver. `uid` is what the header `webhook-id` says, `event` the id in the audit."""

    event = serializers.IntegerField(source="event_id", read_only=True)
    type = serializers.CharField(source="action", read_only=True)
    receiver = serializers.IntegerField(source="receiver_id", read_only=True)

    class Meta:
        model = Delivery
        fields = (
            *("id", "uid", "receiver", "event", "type", "state", "attempts", "created_at", "next_attempt_at"),
            *("ended_at", "last_status", "last_error"),
        )
        read_only_fields = fields
