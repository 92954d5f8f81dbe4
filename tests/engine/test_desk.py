"""Letters between their making and the mail server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from drip.core.delivery import Outcome, OutcomeKind
from drip.engine import desk as desk_module
from drip.engine.compose import Composer
from drip.engine.desk import Inbox, SendingDesk
from drip.engine.ledger import Ledger
from drip.engine.sender import Sender
from drip.errors import DatabaseUnavailable
from tests.engine.crowds import crowd
from tests.lab import Lab


@contextmanager
def desk_for(lab: Lab, count: int) -> Iterator[SendingDesk]:
    """A desk to which so many people were handed out."""
    crowd(lab, count)
    with lab.worker() as worker:
        inbox = Inbox()
        for claim in worker._claim(count):
            inbox.put(claim)
        composer = Composer(lab.settings, lab.store.secret())
        sender = Sender(lab.settings, worker._catalogue, composer, lambda: lab.now)
        yield SendingDesk(inbox, sender, worker._writer, worker._dispatch)


@pytest.mark.parametrize("age", [0.1, 1.9, 60.0])
def test_what_is_given_out_may_still_be_begun_after_a_quick_answer(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, age: float
) -> None:
    now = [1000.0]
    monkeypatch.setattr(desk_module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    with desk_for(lab, 1) as desk:
        assert desk.prepare()
        now[0] += age
        (letter,) = desk.take(1)
        now[0] += 0.5
        assert desk.still(letter), "else a connection is given up for it"
        now[0] += 2.0
        assert not desk.still(letter)
        assert [again.claim for again in desk.take(1)] == [letter.claim], "it is made anew"


def test_a_mark_that_failed_after_it_was_begun_is_not_tried_again_and_what_came_before_is_kept(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> list[bool]:
        raise DatabaseUnavailable("the server did not say whether it was done")

    with desk_for(lab, 2) as desk:
        first, second = desk.take(2)
        assert desk.try_mark([first]) == [True]
        desk.done(first, Outcome(OutcomeKind.SENT, 250, None, "queued"))
        with monkeypatch.context() as patched:
            patched.setattr(Ledger, "mark", broken)
            assert desk.try_mark([second]) == [False], "None would ask again, and nobody knows whether it is marked"
        assert second.lost
        assert not desk.holds
        assert lab.store.database.rows("SELECT state FROM delivery") == [("sent",)]
