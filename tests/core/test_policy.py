from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drip.core.delivery import Reason
from drip.core.policy import Cancel, Decision, Defer, Fail, Send, Skip, decide, is_stale, merged_variables
from drip.core.schedule import is_open
from drip.core.sequence import INHERIT, SendWindow, Sequence, Step, Variable
from drip.core.subscription import CancelReason
from tests import strategies

DAY = timedelta(days=1)
NOW = datetime(2026, 6, 1, 18, 30, tzinfo=UTC)  # a Monday, 20:30 in Madrid
MADRID = ZoneInfo("Europe/Madrid")
OFFICE = SendWindow(frozenset(range(5)), time(9), time(18))
TOMORROW = datetime(2026, 6, 2, 7, tzinfo=UTC)  # 09:00 in Madrid

SEQUENCE = Sequence("s", "S", stop_when="plan == 'pro'", stale_after=DAY, send_window=OFFICE)
STEP = Step("a", DAY, when="ready")


def decided(
    sequence: Sequence = SEQUENCE,
    step: Step = STEP,
    *,
    suppressed: bool = False,
    late: timedelta = timedelta(0),
    **variables: Any,
) -> Decision:
    return decide(
        step,
        sequence,
        variables=variables,
        suppressed=suppressed,
        due_at=NOW - late,
        now=NOW,
        local=MADRID,
        default_stale_after=7 * DAY,
    )


def test_each_rule_goes_before_the_next() -> None:
    late = 2 * DAY
    assert decided(suppressed=True, late=late, plan="pro") == Cancel(CancelReason.SUPPRESSED)
    assert decided(late=late, plan="pro") == Cancel(CancelReason.STOPPED)
    assert decided(late=late) == Skip(Reason.STALE)
    assert decided() == Skip(Reason.WHEN)
    assert decided(ready=True) == Defer(Reason.WINDOW, TOMORROW)
    assert decided(step=replace(STEP, send_window=None), ready=True) == Send()


def test_a_sequence_without_rules_sends() -> None:
    assert decided(Sequence("s", "S"), Step("a", DAY)) == Send()


@pytest.mark.parametrize(
    ("sequence", "step", "late", "expected"),
    [
        (replace(SEQUENCE, stop_when="plan > 3"), STEP, timedelta(0), "fail"),
        (replace(SEQUENCE, stop_when="plan =="), STEP, timedelta(0), "fail"),
        (SEQUENCE, replace(STEP, when="1 / 0"), timedelta(0), "fail"),
        (SEQUENCE, replace(STEP, when="1 / 0"), 2 * DAY, "skip"),  # stale goes before `when`
    ],
)
def test_a_condition_that_goes_wrong_fails_the_step(
    sequence: Sequence, step: Step, late: timedelta, expected: str
) -> None:
    decision = decided(sequence, step, late=late, plan="free")
    if expected == "fail":
        assert isinstance(decision, Fail)
        assert decision.reason is Reason.CONDITION
        assert decision.text
    else:
        assert decision == Skip(Reason.STALE)


@pytest.mark.parametrize(
    ("stale_after", "default", "late", "stale"),
    [
        (INHERIT, 7 * DAY, 7 * DAY, False),  # not longer ago than that
        (INHERIT, 7 * DAY, 7 * DAY + timedelta(milliseconds=1), True),
        (INHERIT, None, 999 * DAY, False),
        (None, 7 * DAY, 999 * DAY, False),  # the sequence says: never
        (DAY, None, 2 * DAY, True),
        (DAY, 7 * DAY, 2 * DAY, True),
        (timedelta(0), None, timedelta(0), False),
        (DAY, 7 * DAY, -DAY, False),  # due in the future
    ],
)
def test_what_is_too_late_to_send(stale_after: Any, default: timedelta | None, late: timedelta, stale: bool) -> None:
    sequence = Sequence("s", "S", stale_after=stale_after)
    assert is_stale(sequence, due_at=NOW - late, now=NOW, default=default) is stale


@given(strategies.moments, strategies.windows, strategies.zones)
def test_what_is_deferred_is_sent_when_its_time_has_come(now: datetime, hours: SendWindow, local: ZoneInfo) -> None:
    def at(moment: datetime) -> Decision:
        return decide(
            Step("a", DAY, send_window=hours),
            Sequence("s", "S"),
            variables={},
            suppressed=False,
            due_at=moment,
            now=moment,
            local=local,
            default_stale_after=None,
        )

    decision = at(now)
    if isinstance(decision, Defer):
        assert decision.until > now
        assert not is_open(hours, now, local)
        assert at(decision.until) == Send()
    else:
        assert decision == Send()


@given(st.booleans(), st.booleans(), st.booleans())
def test_variables_of_the_subscription_go_before_the_contacts_and_those_before_defaults(
    default: bool, contact: bool, subscription: bool
) -> None:
    sequence = Sequence("s", "S", variables={"x": Variable(default="default" if default else None)})
    merged = merged_variables(
        sequence, {"x": "contact"} if contact else {}, {"x": "subscription"} if subscription else {}
    )
    wanted = [
        name for name, given in (("subscription", subscription), ("contact", contact), ("default", default)) if given
    ]
    assert merged == ({"x": wanted[0]} if wanted else {})


def test_merging_changes_none_of_its_sources() -> None:
    contact, subscription = {"a": 1}, {"b": 2}
    assert merged_variables(Sequence("s", "S"), contact, subscription) == {"a": 1, "b": 2}
    assert (contact, subscription) == ({"a": 1}, {"b": 2})
