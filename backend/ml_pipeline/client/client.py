"""`Client`: the REST API as methods, each a thin call."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Self, TypeAlias

from ml_pipeline.client import connection, payloads, uploads
from ml_pipeline.client.abtests import ABTests
from ml_pipeline.client.alerts import Alerts
from ml_pipeline.client.batches import Batches
from ml_pipeline.client.connection import Connection
from ml_pipeline.client.monitoring import Monitoring
from ml_pipeline.client.receivers import Receivers
from ml_pipeline.errors import AmbiguousAlgorithm, NotFound

Record: TypeAlias = dict[str, Any]
REGISTER_TIMEOUT_S = 600.0
_JSON = {"Content-Type": "application/json"}


class Client(Monitoring):
    """A server's REST API. Methods raise Refused, NotReachable or ForeignReply; records are as docs/api.md has them.

    No request is repeated by itself: a prediction is logged, and sent twice it would be logged twice. An algorithm is
    named by endpoint and version, and by `algorithm`, its name, where several share a version: NotFound and
    AmbiguousAlgorithm say what fits.

    `abtests` has the methods of A/B tests, `batches` those of files of rows, `receivers` those of whom events are told,
    `alerts` those of alerts and their rules.

    A change takes `wait_s`, 0 to 60: it returns when every live serving process serves it, or when the time is over.
    Its record then has `served`, whether all do, and `serving`, how many of how many; where not all do, `created` and
    `changed` are None, since the server does not say.
    """

    def __init__(self, url: str | None = None, api_key: str | None = None, timeout_s: float = 60) -> None:
        """`url` and `api_key` are by default those of ML_PIPELINE_URL and ML_PIPELINE_API_KEY. Raises InvalidInput."""
        self._connection = Connection(url, api_key, timeout_s)
        self.abtests = ABTests(self._connection)
        self.batches = Batches(self._connection)
        self.receivers = Receivers(self._connection)
        self.alerts = Alerts(self._connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self._connection.url!r})"

    def close(self) -> None:
        """Closes the connections; the client is of no use afterwards."""
        self._connection.close()

    # Predictions

    def predict(
        self,
        endpoint: str,
        rows: Any,
        *,
        algorithm: str | None = None,
        version: str | None = None,
        status: str | None = None,
        alias: str | None = None,
        unit: str | None = None,
        probabilities: bool = False,
    ) -> Any:
        """One reply for a mapping (or a Series), a list of replies for a list of mappings or a DataFrame.

        NaN, NaT and NA are sent as null. A list is one request, all or nothing. A DataFrame is sent in parts of at
        most 10,000 rows and 10 MB, each all or nothing: when one fails, the parts before it are answered and logged,
        and the error says so. Raises InvalidInput for a value that JSON cannot say, before anything is sent.
        """
        address = connection.path(f"{endpoint}@{alias}" if alias else endpoint, "predict")
        query = _given(algorithm=algorithm, version=version, status=status, unit=unit)
        if probabilities:
            query["probabilities"] = "1"
        row = payloads.single(rows)
        if row is not None:
            return self._post(address, payloads.document(row), query)
        parts = list(payloads.parts(rows)) if payloads.is_frame(rows) else [payloads.whole(rows)]
        replies: list[Record] = []
        for part in parts:
            with payloads.told_of_earlier_parts(part):
                replies += self._post(address, part.body, query)
        return replies

    def feedback(self, request_id: str, value: Any) -> Record:
        """What became of the true outcome `value` of one request: `accepted`, or `unchanged` when known."""
        body = payloads.document({"feedback": value})
        address = connection.path("mlrequests", request_id)
        return self._record("PUT", address, content=body, headers=_JSON)

    def feedback_all(self, items: Any) -> Record:
        """Counts of `accepted` and `unchanged`, and what is `unknown` and `invalid`.

        `items` is a list of mappings or a DataFrame with `request_id` and `feedback`, sent in parts of 10,000. Good
        items are kept although others are not.
        """
        total: Record = {"accepted": 0, "unchanged": 0, "unknown": [], "invalid": []}
        for part in list(payloads.parts(items)):
            with payloads.told_of_earlier_parts(part):
                reply = self._post(connection.path("mlrequests", "feedback"), part.body, {})
            shifted = [{**one, "row": one["row"] + part.first} for one in reply.pop("invalid")]
            total["invalid"] += shifted
            for name, count in reply.items():
                total[name] += count
        return total

    # The registry

    def register(
        self,
        endpoint: str,
        name: str,
        version: str,
        artifact: Any,
        *,
        sample: Any = None,
        reference: Any = None,
        label_column: str | None = None,
        description: str | None = None,
        owner: str | None = None,
        metrics: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
        labels: Iterable[Any] | None = None,
        signature: Mapping[str, Any] | None = None,
        algorithm: str | None = None,
        output: Mapping[str, str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        wait_s: float | None = None,
    ) -> Record:
        """The algorithm's record, and in it `created`: False when the same was registered before. Takes up to 600 s.

        `artifact` is the path of an .onnx, .skops or .zip, the folder of a bundle, a pair of file name and bytes, a
        fitted scikit-learn object or an ONNX ModelProto; `sample` and `reference` are paths of a .csv or .parquet, or
        DataFrames. `output` chooses an ONNX model's output: `name`, and `activation`, softmax or sigmoid, where it
        gives scores. `metadata` holds whatever else the route's `metadata` may hold. Raises InvalidArtifact and
        InvalidInput for what cannot be sent.
        """
        known = _given(
            description=description,
            owner=owner,
            metrics=metrics,
            tags=tags,
            labels=None if labels is None else list(labels),
            signature=signature,
            label_column=label_column,
            algorithm=algorithm,
            output=output,
        )
        about = {**(metadata or {}), **known}
        data = {"endpoint": endpoint, "name": name, "version": version, "metadata": payloads.metadata(about)}
        with contextlib.ExitStack() as opened:
            files = {"artifact": uploads.artifact(artifact, opened)}
            for field, source in _given(sample=sample, reference=reference).items():
                files[field] = uploads.table(field, source, opened)
            address = connection.path("mlalgorithms")
            answer = self._connection.change("POST", address, wait_s, REGISTER_TIMEOUT_S, data=data, files=files)
        return connection.told(answer, "created")

    def algorithms(self, endpoint: str | None = None, **filters: str | None) -> list[Record]:
        """The algorithms that fit `endpoint` and the list's filters (`name`, `version`, `status`, …), newest first."""
        return self._connection.pages(connection.path("mlalgorithms"), _given(endpoint=endpoint, **filters))

    def move(
        self,
        endpoint: str,
        version: str,
        status: str,
        *,
        algorithm: str | None = None,
        reason: str = "",
        wait_s: float | None = None,
    ) -> Record:
        """The algorithm's step into `status`, and in it `changed`: False when it was there already."""
        one = self._algorithm(endpoint, version, algorithm)
        return self.move_by_id(one["id"], status, reason=reason, wait_s=wait_s)

    def move_by_id(self, algorithm_id: int, status: str, *, reason: str = "", wait_s: float | None = None) -> Record:
        """As `move`, by the id that the algorithm's record has. Needs no scope to read."""
        body = {"parent_mlalgorithm": algorithm_id, "status": status, "reason": reason}
        return self._step(connection.path("mlalgorithmstatuses"), body, wait_s)

    def promote(
        self,
        endpoint: str,
        version: str,
        *,
        algorithm: str | None = None,
        reason: str = "",
        wait_s: float | None = None,
    ) -> Record:
        """The algorithm's step into production, and `changed` in it. Serving processes follow within a second."""
        return self.move(endpoint, version, "production", algorithm=algorithm, reason=reason, wait_s=wait_s)

    def archive(
        self,
        endpoint: str,
        version: str,
        *,
        algorithm: str | None = None,
        reason: str = "",
        wait_s: float | None = None,
    ) -> Record:
        """The algorithm's step into the archive, and `changed` in it: its history stays, it answers no more."""
        one = self._algorithm(endpoint, version, algorithm)
        return self._step(connection.path("mlalgorithms", one["id"], "archive"), {"reason": reason}, wait_s)

    def rollback(self, endpoint: str, reason: str = "", *, wait_s: float | None = None) -> Record:
        """The step into production of the algorithm that was there before."""
        address = connection.path("endpoints", endpoint, "rollback")
        return connection.told(self._connection.change("POST", address, wait_s, json={"reason": reason}))

    def history(self, endpoint: str, at: str | datetime | None = None, limit: int | None = None) -> Any:
        """The endpoint's steps, newest first, at most `limit`; with `at`, one object: what was in production then."""
        address = connection.path("endpoints", endpoint, "history")
        if at is None:
            return self._connection.pages(address, {}, limit)
        moment = at.isoformat() if isinstance(at, datetime) else at
        return self._record("GET", address, params={"at": moment})

    def events(self, limit: int | None = None, **filters: str | None) -> list[Record]:
        """Who changed what, when, from where, newest first; `filters`: action, subject, actor, team, since, until."""
        return self._connection.pages(connection.path("events"), _given(**filters), limit)

    def alias(
        self, endpoint: str, alias: str, version: str, *, algorithm: str | None = None, wait_s: float | None = None
    ) -> Record:
        """The alias, which names that algorithm now."""
        one = self._algorithm(endpoint, version, algorithm)
        address = connection.path("endpoints", endpoint, "aliases", alias)
        return connection.told(self._connection.change("PUT", address, wait_s, json={"parent_mlalgorithm": one["id"]}))

    def unalias(self, endpoint: str, alias: str) -> None:
        """Takes the alias away."""
        self._connection.ask("DELETE", connection.path("endpoints", endpoint, "aliases", alias))

    def tag(self, endpoint: str, version: str, name: str, value: str = "", *, algorithm: str | None = None) -> Record:
        """The tag, which has that value now."""
        one = self._algorithm(endpoint, version, algorithm)
        address = connection.path("mlalgorithms", one["id"], "tags", name)
        return self._record("PUT", address, json={"value": value})

    def untag(self, endpoint: str, version: str, name: str, *, algorithm: str | None = None) -> None:
        """Takes the tag away."""
        one = self._algorithm(endpoint, version, algorithm)
        self._connection.ask("DELETE", connection.path("mlalgorithms", one["id"], "tags", name))

    def ready(self) -> Record:
        """What `/readyz` says, `ready` true or false. Needs no API key."""
        return self._record("GET", "/readyz", answers=(503,))

    def _record(self, method: str, address: str, **content: Any) -> Record:
        value: Record = self._connection.ask(method, address, **content).value
        return value

    def _post(self, address: str, body: bytes, query: Mapping[str, str]) -> Any:
        return self._connection.ask("POST", address, content=body, headers=_JSON, params=query).value

    def _step(self, address: str, body: Mapping[str, Any], wait_s: float | None) -> Record:
        return connection.told(self._connection.change("POST", address, wait_s, json=body), "changed")

    def _algorithm(self, endpoint: str, version: str, name: str | None) -> Record:
        found = self.algorithms(endpoint, **_given(version=version, name=name))
        wanted = (
            f"version {version!r} under {endpoint!r}" if name is None else f"{name!r} {version!r} under {endpoint!r}"
        )
        if not found:
            raise NotFound(f"There is no {wanted}.")
        if len(found) > 1:
            names = ", ".join(sorted(one["name"] for one in found))
            raise AmbiguousAlgorithm(f"Several algorithms are {wanted}: {names}. Name one by `algorithm`.")
        one: Record = found[0]
        return one


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
