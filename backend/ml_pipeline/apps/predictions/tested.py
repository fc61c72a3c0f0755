"""Tested predictions: requests that a running A/B test answers, each row by the arm of its unit.

An arm that fails costs no client his answer: the champion answers in its place, and the fault counts against the arm.
What all arms answer of one request is committed together, and told as one reply.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

from ml_pipeline.apps.ml.algorithm import Algorithm
from ml_pipeline.apps.ml.decoding import Decoded
from ml_pipeline.apps.ml.records import Records
from ml_pipeline.apps.predictions.calls import Call
from ml_pipeline.apps.predictions.journal import Answer
from ml_pipeline.apps.predictions.routing import Place, Route, Trial
from ml_pipeline.apps.predictions.writers import Entry
from ml_pipeline.errors import MLPipelineError
from ml_pipeline.metrics.traces import Part

# A challenger has this share of the deadline, so that the champion has time left to answer in its place.
CHALLENGERS_SHARE = 0.5


class Tested:
    """A request to a test from its decoding until it is finished; then it has a `reply`, or an `error`.

    Whoever changes it holds `lock`.
    """

    __slots__ = (
        "_answers",
        "asked",
        "attempts",
        "champion",
        "deadline",
        "entries",
        "error",
        "failures",
        "ids",
        "is_counted",
        "is_finished",
        "is_over",
        "latest",
        "lock",
        "parts",
        "ran",
        "replies",
        "reply",
        "route",
        "rows",
        "size",
        "started",
        "trial",
        "waiter",
    )

    def __init__(self, call: Call, trial: Trial, champion: Algorithm) -> None:
        # As it would be asked without a test: of the champion.
        self.asked, self.trial = call, trial
        self.champion, self.rows, self.waiter = champion, call.rows, call.waiter
        # Before any answer: where there is no unit, the arm follows from the id.
        self.ids = call.request_ids()
        # When somebody should look after it: first for the sake of challengers, then for good.
        self.latest = call.deadline
        self.deadline = call.started + CHALLENGERS_SHARE * (call.deadline - call.started)
        self.lock = threading.Lock()
        self.attempts: list[Attempt] = []
        # Of the rows that were answered; and of those at which a challenger failed.
        self.entries: list[Entry] = []
        self.failures: list[Entry] = []
        # By position: what the test has to count of the rows.
        self._answers: dict[int, Answer] = {}
        self.replies = [b""] * len(self.ids)
        self.is_over = False
        self.is_finished = self.is_counted = False
        self.parts: Sequence[Part] = ()
        self.ran: tuple[float, float] | None = None
        # What its client is told is counted as of the algorithm that answered, or failed, at the first of its rows.
        self.route, self.size, self.started = trial.champion, call.size, call.started
        self.error: MLPipelineError | None = None
        self.reply = b""

    def shares(self) -> list[tuple[int | None, list[int], list[str]]]:
        """Each arm that has rows of it: its number, their positions, and the digests of their units."""
        unit = self.asked.question.unit
        if unit is not None:
            arm, digest = self.trial.place(unit)
            return [(arm, list(range(len(self.ids))), [digest] * len(self.ids))]
        found: dict[int | None, tuple[list[int], list[str]]] = {}
        for position, request_id in enumerate(self.ids):
            place: Place = self.trial.place(request_id)
            positions, digests = found.setdefault(place.arm, ([], []))
            positions.append(position)
            digests.append(place.digest)
        return [(arm, *share) for arm, share in found.items()]

    def by_champion(self, arm: int | None, positions: list[int], digests: list[str]) -> Attempt:
        """The champion's attempt at these rows of `arm`."""
        rows = self.rows.at(positions)
        champion = self.trial.champion
        return Attempt(self, arm, positions, digests, rows=rows, route=champion, algorithm=self.champion)

    def replace(self, attempt: Attempt, *, counts: bool = True) -> Attempt:
        """The champion's attempt, one of its own now in the place of `attempt`; it `counts` as the arm's failure."""
        attempt.is_replaced = True
        stand_in = self.by_champion(attempt.arm if counts else None, attempt.positions, attempt.digests)
        self.attempts[self.attempts.index(attempt)] = stand_in
        return stand_in

    @property
    def answers(self) -> list[Answer]:
        """What the test has to count, in the order of the rows: those of one arm before another's would look as if
        units were not assigned in the shares of the plan."""
        return [self._answers[position] for position in sorted(self._answers)]

    def count(self, attempt: Attempt, answers: list[Answer]) -> None:
        """The test has to count `answers` of the rows of `attempt`; nothing, where they are in no arm any more."""
        if answers:
            self._answers.update(zip(attempt.positions, answers, strict=True))

    def others(self, attempt: Attempt) -> list[Attempt]:
        """The champion's attempts at all other rows, which nobody is told the answers of when `attempt` fails: were
        the rows of its arm alone to fail, units would not be assigned in the shares of the plan."""
        found = [one for one in self.attempts if one is not attempt]
        for one in found:
            one.is_done = True
        return [self.by_champion(one.arm, one.positions, one.digests) for one in found]

    def gather(self, attempt: Attempt, entries: list[Entry], answers: list[Answer]) -> bool:
        """Whether that was the last of its attempts to be answered; the reply is made then."""
        attempt.is_done = True
        self.entries += entries
        self.count(attempt, answers)
        if not all(one.is_done for one in self.attempts):
            return False
        self.end()
        self.reply = b"[" + b",".join(self.replies) + b"]" if self.asked.is_listed else self.replies[0]
        return True

    def end(self) -> None:
        """Nothing more is told or counted of it, but for what went wrong."""
        self.is_over = True
        if self.attempts:
            self.route, self.ran = self.attempts[0].route, self.attempts[0].ran
        # They know it, too, and should be gone with it at once.
        self.attempts.clear()


class Attempt(Call):
    """The rows of one arm in a tested request, asked of that arm, or of the champion in its place.

    The rows that the client gets have the ids that were made before; what an arm failed at before the champion stood in
    is logged under ids of its own.
    """

    __slots__ = ("arm", "digests", "is_done", "is_replaced", "positions", "test_id", "tested")

    def __init__(
        self,
        tested: Tested,
        arm: int | None,
        positions: list[int],
        digests: list[str],
        *,
        rows: Records,
        route: Route,
        algorithm: Algorithm,
    ) -> None:
        asked = tested.asked
        super().__init__(
            Decoded(rows, asked.is_listed),
            asked.question,
            route=route,
            revision=asked.revision,
            signature=algorithm.signature,
            grant=asked.grant,
            rule=asked.rule,
            waiter=asked.waiter,
            since=asked.started,
            deadline_s=tested.latest - asked.started,
        )
        self.tested, self.positions, self.digests = tested, positions, digests
        # What does not count was asked in the test all the same, and is told what the test's other answers are told.
        self.arm, self.test_id = arm, tested.trial.test_id
        if self.is_challenger:
            self.deadline = tested.deadline
        # Answered; or another answers in its place, or nobody does for the sake of another arm.
        self.is_done = self.is_replaced = False

    @property
    def is_challenger(self) -> bool:
        """Whether the champion can stand in for it."""
        return self.route is not self.tested.trial.champion

    def request_ids(self) -> Sequence[str]:
        """See `Call`."""
        if self.error is not None and self.is_challenger:
            return super().request_ids()
        return [self.tested.ids[position] for position in self.positions]

    def tell(self, replies: list[bytes]) -> None:
        """See `Call`."""
        for position, reply in zip(self.positions, replies, strict=True):
            self.tested.replies[position] = reply

    def counted(self, now: float, *, failed: bool) -> list[Answer]:
        """What its test has to count of it."""
        if self.arm is None:
            return []
        latency_us = round((now - self.started) * 1e6)
        # The champion in a challenger's place: the challenger failed.
        failed = failed or (self.arm > 0 and not self.is_challenger)
        return [Answer(self.tested.trial.test_id, digest, self.arm, int(failed), latency_us) for digest in self.digests]
