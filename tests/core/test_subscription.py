from __future__ import annotations

from itertools import product

import pytest

from drip.core.sequence import Resubscribe
from drip.core.subscription import (
    CANCEL_FOR,
    LIVE,
    CancelReason,
    SubscriptionStatus,
    SuppressionReason,
    may_resubscribe,
)

ALLOWED = {
    (Resubscribe.AFTER_COMPLETION, SubscriptionStatus.COMPLETED, None),
    (Resubscribe.ALWAYS, SubscriptionStatus.COMPLETED, None),
    (Resubscribe.ALWAYS, SubscriptionStatus.CANCELLED, CancelReason.MANUAL),
    (Resubscribe.ALWAYS, SubscriptionStatus.CANCELLED, CancelReason.STOPPED),
}

COMBINATIONS = [
    (rule, status, reason)
    for rule, status, reason in product(Resubscribe, SubscriptionStatus, [None, *CancelReason])
    if (reason is None) or status is SubscriptionStatus.CANCELLED
]


@pytest.mark.parametrize(("rule", "status", "reason"), COMBINATIONS)
def test_only_a_final_subscription_that_its_person_did_not_end_is_started_again(
    rule: Resubscribe, status: SubscriptionStatus, reason: CancelReason | None
) -> None:
    assert may_resubscribe(rule, status, reason) == ((rule, status, reason) in ALLOWED)


def test_every_suppression_has_a_reason_to_cancel_with_that_never_allows_another_start() -> None:
    assert set(CANCEL_FOR) == set(SuppressionReason)
    for reason in CANCEL_FOR.values():
        assert not may_resubscribe(Resubscribe.ALWAYS, SubscriptionStatus.CANCELLED, reason)


def test_what_is_live_is_all_that_is_not_final() -> None:
    assert set(SubscriptionStatus) - set(LIVE) == {SubscriptionStatus.COMPLETED, SubscriptionStatus.CANCELLED}
