"""The life of algorithms under several endpoints, step by step, in the product and in the oracle at once.

Run in a process of its own, on the database that its environment names (see `lives`).
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import constant_models
from django.db import connection, transaction
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as some
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from life_oracle import STATUSES, Asked, Kind, Oracle, Refused, Step
from registered import OPERATOR, algorithm, team

from ml_pipeline.apps.endpoints import aliases, endpoints, registrations, statuses
from ml_pipeline.apps.endpoints.models import Endpoint, EndpointAlias, MLAlgorithm, MLAlgorithmStatus, MLRequest
from ml_pipeline.apps.events import revisions
from ml_pipeline.apps.ml.algorithm import Algorithm
from ml_pipeline.apps.ml.decoding import Decoded
from ml_pipeline.apps.ml.records import Records
from ml_pipeline.apps.predictions import assembly
from ml_pipeline.apps.predictions.calls import Question
from ml_pipeline.apps.predictions.doors.turns import Turns
from ml_pipeline.apps.predictions.doors.waiters import ThreadWaiter
from ml_pipeline.apps.predictions.models import JournalBatch
from ml_pipeline.apps.predictions.routing import Selection
from ml_pipeline.errors import MLPipelineError
from ml_pipeline.wire import replies

STEPS = 50
DIGESTS = constant_models.add_three(registrations.store())
# The data plane as a server has it: it hears of every change of this process when it is committed.
SERVICE = assembly.exchange().service
KINDS = [Kind(name, version) for name in "ab" for version in "12"]
INSTANT = timedelta(microseconds=1)
NAMES = some.sampled_from(("left", "left", "right", "middle"))
ALIASES = some.sampled_from(("x", "y"))
ASKED = some.builds(
    Asked,
    algorithm=some.sampled_from((None, None, "a", "b", "c")),
    version=some.sampled_from((None, None, "1", "2", "3")),
    status=some.sampled_from((None, None, None, *STATUSES)),
    alias=some.sampled_from((None, None, None, "x", "y", "z")),
)


class OneRow:
    """A body with one row."""

    def decode(self, algorithm: Algorithm) -> Decoded:
        return Decoded(Records.of(algorithm.signature.rows([{"x": 1.5}]), algorithm.signature.names), listed=False)


class Life(RuleBasedStateMachine):
    """Every rule does one thing in both, and compares what is told; after each step all that is stored is compared."""

    registered = Bundle("registered")

    def __init__(self) -> None:
        super().__init__()
        empty()
        self.oracle = Oracle()
        self.rows: dict[tuple[str, Kind], MLAlgorithm] = {}
        self.moments: dict[str, list[datetime]] = {}
        self.answered = 0

    @initialize(target=registered, lefts=some.integers(0, 3), rights=some.integers(0, 2))
    def begin(self, lefts: int, rights: int) -> Any:
        return multiple(*(self.add(name, 0) for name in ("left",) * lefts + ("right",) * rights))

    @rule(name=NAMES, is_new=some.booleans())
    def create_or_delete(self, name: str, is_new: bool) -> None:
        if is_new:
            agree(lambda: endpoints.create(name, team(), actor="ann") and None, lambda: self.oracle.create(name))
        else:
            agree(
                lambda: endpoints.delete(endpoints.named(name, OPERATOR), actor="ann"), lambda: self.oracle.delete(name)
            )

    @rule(target=registered, name=NAMES, at=some.integers(0, len(KINDS) - 1))
    def register(self, name: str, at: int) -> Any:
        full = all((name, kind) in self.rows for kind in KINDS)
        return multiple() if full else self.add(name, at)

    def add(self, name: str, at: int) -> tuple[str, Kind]:
        """The first algorithm, from place `at` on, that is not registered there, registered."""
        kind = next(kind for kind in KINDS[at:] + KINDS[:at] if (name, kind) not in self.rows)
        digest = DIGESTS[KINDS.index(kind) % len(DIGESTS)]
        with transaction.atomic():
            self.rows[name, kind] = algorithm(
                kind.version, name, name=kind.name, artifact_digest=digest, signature=constant_models.SIGNATURE
            )
            revisions.raise_revision()
        self.oracle.register(name, kind)
        return name, kind

    @rule(one=registered, status=some.sampled_from(STATUSES))
    def move(self, one: tuple[str, Kind], status: str) -> None:
        agree(
            lambda: statuses.move(self.rows[one], status, actor="ann").changed, lambda: self.oracle.move(*one, status)
        )

    @rule(one=registered)
    def promote(self, one: tuple[str, Kind]) -> None:
        agree(
            lambda: statuses.promote(self.rows[one], actor="ann").changed, lambda: self.oracle.move(*one, "production")
        )

    @rule(one=registered)
    def archive(self, one: tuple[str, Kind]) -> None:
        agree(lambda: statuses.archive(self.rows[one], actor="ann").changed, lambda: self.oracle.move(*one, "archived"))

    @rule(one=registered)
    def take_out_of_the_archive(self, one: tuple[str, Kind]) -> None:
        if self.oracle.endpoints[one[0]].statuses[one[1]] == "archived":
            self.move(one, "testing")

    @rule(name=NAMES)
    def roll_back(self, name: str) -> None:
        agree(
            lambda: kind_of(statuses.roll_back(endpoints.named(name, OPERATOR), actor="ann").parent_mlalgorithm),
            lambda: self.oracle.roll_back(name),
        )

    @rule(one=registered, other=registered)
    def promote_in_turn_and_roll_back(self, one: tuple[str, Kind], other: tuple[str, Kind]) -> None:
        self.promote(one)
        self.promote(other)
        self.roll_back(one[0])

    @rule(one=registered, alias=ALIASES, elsewhere=some.one_of(some.none(), some.none(), NAMES))
    def put_alias(self, one: tuple[str, Kind], alias: str, elsewhere: str | None) -> None:
        name = elsewhere or one[0]
        agree(
            lambda: aliases.put(endpoints.named(name, OPERATOR), alias, self.rows[one], actor="ann").created,
            lambda: self.oracle.put_alias(name, alias, *one),
        )

    @rule(one=registered, alias=ALIASES)
    def remove_alias(self, one: tuple[str, Kind], alias: str) -> None:
        agree(
            lambda: aliases.remove(endpoints.named(one[0], OPERATOR), alias, actor="ann"),
            lambda: self.oracle.remove_alias(one[0], alias),
        )

    @rule(name=NAMES, asked=ASKED)
    def predict(self, name: str, asked: Asked) -> None:
        agree(lambda: self.answer(name, asked), lambda: self.oracle.predict(name, asked))
        assert MLRequest.objects.count() == self.answered

    @rule(one=registered, narrowed=some.tuples(*[some.booleans()] * 3), alias=some.none() | ALIASES)
    def predict_by_what_fits_one(
        self, one: tuple[str, Kind], narrowed: tuple[bool, bool, bool], alias: str | None
    ) -> None:
        name, kind = one
        fitting = (*kind, self.oracle.endpoints[name].statuses[kind])
        given = [text if wanted else None for text, wanted in zip(fitting, narrowed, strict=True)]
        self.predict(name, Asked(*given, alias))

    @rule(one=registered)
    def predict_by_every_alias(self, one: tuple[str, Kind]) -> None:
        for alias in self.oracle.endpoints[one[0]].aliases:
            self.predict(one[0], Asked(alias=alias))

    def answer(self, name: str, asked: Asked) -> Kind:
        """Who answered, having checked that it was that one and that the log has it."""
        waiter = ThreadWaiter(SERVICE, Turns(), ExitStack())
        call = SERVICE.begin(OPERATOR, Question(name, Selection(*asked)), OneRow(), waiter, time.monotonic())
        waiter.finished(call)
        if call.error is not None:
            raise call.error
        reply = json.loads(call.reply)
        assert isinstance(reply, dict)
        kind = Kind(reply["algorithm"], reply["version"])
        assert reply["endpoint"] == name
        assert reply["probability"] == constant_models.PROBABILITIES[KINDS.index(kind) % len(DIGESTS)]
        logged = MLRequest.objects.get(pk=UUID(reply["request_id"]))
        assert (logged.parent_mlalgorithm_id, logged.outcome) == (self.rows[name, kind].pk, "ok")
        assert logged.revision == revisions.current()
        self.answered += 1
        return kind

    @rule(one=registered, start=some.integers(0, 3))
    def look_back_at_every_fourth_moment(self, one: tuple[str, Kind], start: int) -> None:
        name = one[0]
        endpoint = endpoints.named(name, OPERATOR)
        after = [change.production for change in self.oracle.endpoints[name].changes]
        for at in range(start, len(after), 4):
            moment = self.moments[name][at]
            assert in_production_at(endpoint, moment - INSTANT) == (after[at - 1] if at else None)
            assert in_production_at(endpoint, moment) == after[at]

    @invariant()
    def everything_stored_is_as_the_contract_has_it(self) -> None:
        assert set(Endpoint.objects.values_list("name", flat=True)) == set(self.oracle.endpoints)
        named = EndpointAlias.objects.values_list(
            "parent_endpoint__name", "name", "parent_mlalgorithm__name", "parent_mlalgorithm__version"
        )
        assert {(name, alias): Kind(*kind) for name, alias, *kind in named} == {
            (name, alias): kind
            for name, endpoint in self.oracle.endpoints.items()
            for alias, kind in endpoint.aliases.items()
        }
        stored = list(stored_steps())
        for name, endpoint in self.oracle.endpoints.items():
            own = [one for one in stored if one.endpoint == name]
            by_moment = [(moment, list(group)) for moment, group in itertools.groupby(own, lambda one: one.created_at)]
            self.moments[name] = [moment for moment, _ in by_moment]
            assert self.moments[name] == sorted(set(self.moments[name]))
            history = [[one.step for one in group] for _, group in by_moment]
            assert history == [change.steps for change in endpoint.changes]
            active = [one.step for one in own if one.is_active]
            assert sorted(active) == sorted(endpoint.statuses.items())
            in_production = [one.step.kind for one in own if one.is_in_production]
            assert in_production == ([] if endpoint.production is None else [endpoint.production])


class StoredStep(NamedTuple):
    endpoint: str
    step: Step
    created_at: datetime
    is_active: bool
    is_in_production: bool


def stored_steps() -> Iterator[StoredStep]:
    """The history of every endpoint, in its order."""
    about = ("parent_mlalgorithm__parent_endpoint__name", "parent_mlalgorithm__name", "parent_mlalgorithm__version")
    rows = MLAlgorithmStatus.objects.order_by("pk")
    for name, kind, version, status, created_at, active_of, production_of in rows.values_list(
        *about, "status", "created_at", "active_of", "production_of"
    ):
        step = Step(Kind(kind, version), status)
        yield StoredStep(name, step, created_at, active_of is not None, production_of is not None)


def in_production_at(endpoint: Endpoint, moment: datetime) -> Kind | None:
    step = statuses.production_at(endpoint, moment)
    return kind_of(step.parent_mlalgorithm) if step else None


def kind_of(row: MLAlgorithm) -> Kind:
    return Kind(row.name, row.version)


def agree(product: Callable[[], Any], contract: Callable[[], Any]) -> None:
    """Both tell the same, or refuse it with the same code."""
    told, wanted = outcome(product), outcome(contract)
    assert told == wanted, f"told {told}, the contract has {wanted}"


def outcome(act: Callable[[], Any]) -> Any:
    try:
        return act()
    except Refused as refused:
        return f"refused: {refused.code}"
    except MLPipelineError as error:
        return f"refused: {replies.reply_to(error).code}"


def empty() -> None:
    """Nothing is left of the run before; no function of the product deletes what has a history."""
    with transaction.atomic(), connection.cursor() as cursor:
        # MySQL looks at each row by itself, and steps refer to steps.
        MLAlgorithmStatus.objects.update(previous_production=None)
        for model in (MLRequest, JournalBatch, EndpointAlias, MLAlgorithmStatus, MLAlgorithm, Endpoint):
            cursor.execute(f"DELETE FROM {model._meta.db_table}")
        revisions.raise_revision()


def run(lives: int) -> None:
    """So many lives of STEPS steps, the same ones every time. Raises when product and contract part."""
    repeatable = settings(
        max_examples=lives,
        stateful_step_count=STEPS,
        derandomize=True,
        deadline=None,
        print_blob=True,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    SERVICE.start()
    try:
        run_state_machine_as_test(Life, settings=repeatable)
    finally:
        SERVICE.drain()
        SERVICE.close()
