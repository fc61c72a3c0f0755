"""How batch jobs look in JSON, and the forms that ask for one."""

from __future__ import annotations

from typing import Any, NamedTuple

from django.core.files.uploadedfile import TemporaryUploadedFile
from django.urls import reverse
from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from ml_pipeline.apps.accounts.access import Grant
from ml_pipeline.apps.batches import batches, progress, recognition, selections
from ml_pipeline.apps.batches.batches import Asked
from ml_pipeline.apps.batches.models import BatchJob, Format
from ml_pipeline.apps.endpoints.models import Endpoint, MLAlgorithm, Status
from ml_pipeline.apps.ml.scoring import sources
from ml_pipeline.apps.ml.signature import Signature
from ml_pipeline.apps.predictions.routing import Selection
from ml_pipeline.rest.serializers import OneOf, RefusesRepeatedFields, SentFile

_NUMBER = {"type": "number", "nullable": True}
_LINKS = ("self", "result", "errors", "cancel")


class Wanted(NamedTuple):
    """What a form asks for: a file, the algorithm that scores it, and how."""

    file: TemporaryUploadedFile
    algorithm: MLAlgorithm
    asked: Asked

    def at_once(self) -> Wanted:
        """The same, so that its rows can be told as predictions are: of many labels each one's probability."""
        every = self.asked.probabilities or len(self.algorithm.signature["labels"]) > 2
        return self._replace(asked=self.asked._replace(output_format=Format.PARQUET, probabilities=every))

    def made(self, grant: Grant) -> BatchJob:
        """The job."""
        return batches.create(self.file, self.algorithm, self.asked, actor=grant.actor, key_id=grant.key_id)


class RowsSerializer(RefusesRepeatedFields):
    """A file of rows, CSV or Parquet, also packed by gzip, and which algorithm of the endpoint answers them."""

    endpoint = serializers.CharField(max_length=63)
    file = SentFile(max_length=255)
    algorithm = serializers.CharField(required=False, default=None, max_length=128, trim_whitespace=False)
    version = serializers.CharField(required=False, default=None, max_length=128, trim_whitespace=False)
    status = OneOf(choices=Status.choices, required=False, default=None)
    encoding = OneOf(choices=sources.ENCODINGS, required=False, default=None)
    probabilities = serializers.BooleanField(default=False)
    log_requests = serializers.BooleanField(default=True)

    def wanted(self, endpoint: Endpoint) -> Wanted:
        """What the valid form asks of `endpoint`. Raises NotFound, AmbiguousAlgorithm and MalformedInput."""
        given: dict[str, Any] = self.validated_data
        selection = Selection(given["algorithm"], given["version"], given["status"])
        algorithm = selections.chosen(endpoint, selection)
        file, encoding, probabilities = given["file"], given["encoding"], given["probabilities"]
        found = recognition.recognised(
            file, Signature.from_json(algorithm.signature), encoding=encoding, probabilities=probabilities
        )
        output = given.get("output")
        asked = Asked(
            file_name=file.name,
            input_format=found,
            output_format=found if output is None else Format(output),
            encoding=encoding or "",
            probabilities=probabilities,
            log_requests=given["log_requests"],
        )
        return Wanted(file, algorithm, asked)


class AnsweredSerializer(serializers.Serializer[Any]):
    """A short file's rows as predictions give them, each with its number, and those that got no answer."""

    batch = serializers.IntegerField()
    rows = serializers.ListField(child=serializers.DictField())
    rejected = serializers.ListField(child=serializers.DictField())


class NewBatchSerializer(RowsSerializer):
    """What a batch job is asked with; its output is as the input by default."""

    output = OneOf(choices=Format.choices, required=False, default=None)


class BatchSerializer(serializers.ModelSerializer[BatchJob]):
    """A batch job: what it was asked with, how far it is, and where its files are."""

    endpoint = serializers.CharField(source="parent_endpoint.name")
    algorithm = serializers.CharField(source="parent_mlalgorithm.name")
    version = serializers.CharField(source="parent_mlalgorithm.version")
    rows_per_s = serializers.SerializerMethodField()
    remaining_s = serializers.SerializerMethodField()
    links = serializers.SerializerMethodField()

    class Meta:
        model = BatchJob
        fields = (
            "id",
            "state",
            "parent_endpoint",
            "endpoint",
            "parent_mlalgorithm",
            "algorithm",
            "version",
            "digest",
            "runtime",
            "file_name",
            "input_bytes",
            "input_format",
            "encoding",
            "output_format",
            "probabilities",
            "log_requests",
            "rows_total",
            "rows_done",
            "rows_rejected",
            "rows_per_s",
            "remaining_s",
            "error",
            "created_by",
            "created_at",
            "started_at",
            "ended_at",
            "result_bytes",
            "removed_at",
            "links",
        )
        read_only_fields = fields

    @extend_schema_field(_NUMBER)
    def get_rows_per_s(self, job: BatchJob) -> float | None:
        """Rows a second since it started; null where none is done."""
        return progress.pace(job, timezone.now()).rows_per_s

    @extend_schema_field(_NUMBER)
    def get_remaining_s(self, job: BatchJob) -> float | None:
        """Seconds that are left at that pace; null where nothing says so."""
        return progress.pace(job, timezone.now()).remaining_s

    @extend_schema_field(
        {"type": "object", "properties": {name: {"type": "string", "format": "uri"} for name in _LINKS}}
    )
    def get_links(self, job: BatchJob) -> dict[str, str]:
        """The addresses of the job, its result and its rejected rows, and where it is cancelled."""
        own = reverse("batch", args=[job.pk])
        request = self.context.get("request")
        address = own if request is None else request.build_absolute_uri(own)
        return {"self": address, **{name: f"{address}/{name}" for name in _LINKS[1:]}}


class RejectedSerializer(serializers.Serializer[Any]):
    """A row that got no answer: its number, from 0, its first line, from 1 (0 in Parquet), and what is wrong."""

    row = serializers.IntegerField()
    line = serializers.IntegerField()
    # A serializer has attributes of these names.
    field = serializers.CharField()
    reason = serializers.CharField()
