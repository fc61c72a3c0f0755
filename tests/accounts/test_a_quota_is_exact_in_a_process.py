"""A quota is exact in one process, and what processes let through together follows what they tell each other."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from ml_pipeline.apps.accounts.quotas import Known, Meter, Quota
from ml_pipeline.errors import QuotaExceeded

TEN = Quota("key 'a'", 10, None)
TODAY = date(2026, 1, 31)


class Clock:
    """A time that goes on when it is told to."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s

    def time(self) -> datetime:
        return datetime(2026, 1, 31, 12, tzinfo=UTC) + timedelta(seconds=self.now_s)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def meter(clock: Clock) -> Meter:
    return Meter(clock, clock.time)


def passes(meter: Meter, *quotas: Quota) -> bool:
    try:
        meter.admit(quotas)
    except QuotaExceeded:
        return False
    return True


def test_no_second_sees_more_requests_than_the_quota(meter: Meter, clock: Clock) -> None:
    let_through = []
    for tick in range(4_000):
        clock.now_s = tick / 1_000
        if passes(meter, TEN):
            let_through.append(clock.now_s)
    assert all(later - earlier >= 1 for earlier, later in zip(let_through, let_through[10:], strict=False))
    # Nothing is held back that may go.
    assert len(let_through) == 40


def test_whoever_is_refused_is_told_when_to_come_again(meter: Meter, clock: Clock) -> None:
    for _ in range(10):
        meter.admit([TEN])
    clock.now_s = 0.25
    with pytest.raises(QuotaExceeded) as refused:
        meter.admit([TEN])
    assert refused.value.retry_after_s == 1
    clock.now_s += refused.value.retry_after_s
    meter.admit([TEN])


def test_a_refused_request_counts_for_nobody(meter: Meter, clock: Clock) -> None:
    key, team = Quota("key 'a'", 100, None), Quota("team 't'", 1, None)
    assert [passes(meter, key, team) for _ in range(5)] == [True, False, False, False, False]
    clock.now_s = 0.5
    assert sum(passes(meter, key) for _ in range(200)) == 99


def test_rows_are_counted_to_the_last_one_and_begin_anew_with_the_day(meter: Meter, clock: Clock) -> None:
    quota = Quota("key 'a'", None, 100)
    meter.take([quota], 60)
    with pytest.raises(QuotaExceeded) as refused:
        meter.take([quota], 41)
    assert refused.value.details["left"] == 40
    assert refused.value.retry_after_s == 12 * 3600
    meter.take([quota], 40)
    clock.now_s = 12.0 * 3600
    meter.take([quota], 100)


def test_rows_that_others_report_are_not_left(meter: Meter) -> None:
    quota = Quota("key 'a'", None, 100)
    meter.take([quota], 10)
    uses = meter.used()
    # Ten of ours and seventy of others.
    meter.learn(Known(TODAY, {quota.subject: 80}, {}), uses)
    with pytest.raises(QuotaExceeded) as refused:
        meter.take([quota], 21)
    assert refused.value.details["left"] == 20
    meter.take([quota], 20)
    assert meter.used()[quota.subject].rows == {TODAY: 20}


def test_what_is_asked_for_while_a_report_is_written_stays_to_be_reported(meter: Meter) -> None:
    quota = Quota("key 'a'", None, 100)
    meter.take([quota], 10)
    uses = meter.used()
    meter.take([quota], 5)
    meter.learn(Known(TODAY, {quota.subject: 10}, {}), uses)
    with pytest.raises(QuotaExceeded):
        meter.take([quota], 86)
    meter.take([quota], 85)


@pytest.mark.parametrize(
    ("others", "in_ten_seconds"),
    [((), 100), ((2.0,), 80), ((10.0,), 50), ((3.0, 3.0), 40), ((100.0, 100.0, 100.0), 25)],
)
def test_what_others_do_not_use_is_ours_and_a_fair_part_in_any_case(
    meter: Meter, clock: Clock, others: tuple[float, ...], in_ten_seconds: int
) -> None:
    meter.learn(Known(TODAY, {}, {TEN.subject: others}), {})
    let_through = 0
    for tick in range(10_000):
        clock.now_s = tick / 1_000
        let_through += passes(meter, TEN)
    assert let_through == pytest.approx(in_ten_seconds, abs=3)


def test_two_processes_that_ask_for_all_they_can_come_to_share(clock: Clock) -> None:
    meters = [Meter(clock, clock.time) for _ in range(2)]
    let_through = [0, 0]
    for tick in range(60_000):
        clock.now_s = tick / 1_000
        if tick % 2_000 == 0:
            rates = [meter.used().get(TEN.subject) for meter in meters]
            for meter, other in zip(meters, reversed(rates), strict=True):
                meter.learn(Known(TODAY, {}, {TEN.subject: (other.rate_per_s,)} if other else {}), {})
        for number, meter in enumerate(meters):
            let_through[number] += passes(meter, TEN)
    # Two seconds in which neither knew of the other, then half each.
    assert let_through == [pytest.approx(310, abs=10)] * 2
