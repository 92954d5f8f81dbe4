"""Letters between their making and the mail server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from drip.engine import desk as desk_module
from drip.engine.compose import Composer
from drip.engine.desk import Inbox, SendingDesk
from drip.engine.sender import Sender
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
