"""Random sequences, people in random places, random edits: the plan's word on each person is what apply does."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime, time, timedelta
from functools import cache
from pathlib import Path
from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drip.core.delivery import Outcome, OutcomeKind
from drip.core.policy import Send
from drip.core.sequence import DelayFrom, SendWindow, SequenceStatus, Step
from drip.core.sequence import Sequence as EmailSequence
from drip.core.subscription import SubscriptionStatus
from drip.engine import people
from drip.engine.catalogue import Catalogue
from drip.engine.ledger import Ledger
from drip.engine.plan import SequencePlan, StepPlan
from drip.engine.recompute import Move, keeps_everybody, recompute
from drip.engine.records import Marked
from drip.engine.results import Result
from drip.engine.sender import judge
from drip.engine.subscribe import Request, subscribe_many
from drip.store.invariants import broken_rules, violations
from drip.store.migrate import ensure_schema
from drip.store.sqlite import SqliteDatabase
from drip.store.store import Store
from tests.lab import DAY, Lab, a_sequence, a_step

ANSWERS = [OutcomeKind.SENT] * 5 + [
    *(OutcomeKind.DEFERRED, OutcomeKind.REFUSED, OutcomeKind.UNKNOWN, OutcomeKind.LOST, OutcomeKind.DOWN)
]
KEYS = ["a", "b", "c", "d", "e", "f"]

delays = st.sampled_from(["0", "1h", "1d", "3d", "36h"])
windows = st.sampled_from(
    [None, SendWindow(frozenset(range(5)), time(9), time(17)), SendWindow(opens=time(22), closes=time(6))]
)
zones = st.sampled_from([None, "Europe/Madrid", "Asia/Tokyo", "America/New_York"])


@st.composite
def some_steps(draw: st.DrawFn) -> tuple[Step, ...]:
    keys = draw(st.lists(st.sampled_from(KEYS), unique=True, max_size=4))
    return tuple(
        a_step(
            *(key, draw(delays)),
            at=draw(st.sampled_from([None, None, time(9), time(23, 30)])),
            send_window=draw(st.just("inherit") | windows),
            when=draw(st.sampled_from([None, None, None, "n > 2"])),
        )
        for key in keys
    )


@st.composite
def some_sequences(draw: st.DrawFn) -> EmailSequence:
    return a_sequence(
        *draw(some_steps()),
        status=draw(st.sampled_from([SequenceStatus.ACTIVE] * 3 + [SequenceStatus.DRAFT])),
        delay_from=draw(st.sampled_from(DelayFrom)),
        send_window=draw(windows),
        timezone=draw(zones),
        stale_after=draw(st.sampled_from([None, 2 * DAY])),
    )


class InMemory(SqliteDatabase):
    """A database in memory that is born with the schema: making it takes as long as what is tried in it."""

    def __init__(self) -> None:
        super().__init__(None)

    def connect(self) -> None:
        if not self.is_connected:
            super().connect()
            self.peewee.connection().deserialize(_schema())


@cache
def _schema() -> bytes:
    database = SqliteDatabase(None)
    with database.connected():
        ensure_schema(database)
        image: bytes = database.peewee.connection().serialize()
        return image


class OneThread(Lab):
    """A lab without threads: the ledger is driven by hand, on a database in memory."""

    def __init__(self, seed: int) -> None:
        super().__init__(Path("."))
        self.store = Store(InMemory())
        self.random = Random(seed)

    def start(self) -> None:
        with self.store.transaction():
            self.worker_id = self.store.claims.register("here", 1, "1", self.now, self.now + 1000 * DAY)
        self.catalogue = Catalogue(self.store)
        self.ledger = Ledger(self.store, self.settings, self.catalogue, self.worker_id, self.random)
        self.ledger.begin(self.now)

    def deal(self) -> None:
        """A batch, with random answers; some messages stay on their way."""
        with self.store.transaction():
            claims, _, _ = self.ledger.claim(self.now, 100)
        results = []
        for claim in claims:
            stored = self.catalogue.get(claim.sequence_id)
            decision = judge(stored, claim, self.settings, self.now)
            marked = False
            if isinstance(decision, Send):
                decision = Outcome(self.random.choice(ANSWERS), 450, None, "answer")
                if decision.kind is not OutcomeKind.LOST:
                    with self.store.transaction():
                        (marked,) = self.ledger.mark([Marked(claim, stored.revision, b"")], self.now)
                    if self.random.random() < 0.1:
                        continue
            results.append(Result(claim, decision, stored.revision, marked))
        with self.store.transaction():
            self.ledger.record(results, self.now)

    def disturb(self, email: str) -> None:
        """Something a person or an operator does."""
        status = self.person(email).status
        match self.random.randrange(8):
            case 0 if status is SubscriptionStatus.ACTIVE:
                people.pause(self.store, "welcome", email, self.now)
            case 1 if status is SubscriptionStatus.PAUSED:
                people.resume(self.store, self.settings, "welcome", email, self.now)
            case 2 if status is not SubscriptionStatus.COMPLETED:
                people.cancel(self.store, "welcome", email, self.now)
            case 3:
                people.retry(self.store, self.settings, self.now, slug="welcome", email=email)
            case 4:
                zone = self.random.choice(["Asia/Tokyo", "America/New_York", None])
                people.set_variables(self.store, self.settings, "welcome", email, {"timezone": zone}, self.now)
            case 5:
                for delivery in self.store.deliveries.unknown()[:1]:
                    sent = self.random.random() < 0.5
                    people.resolve(self.store, self.settings, delivery.id, sent=sent, now=self.now)

    def rows(self) -> dict[int, tuple[str, str | None, int | None]]:
        found = self.store.database.rows(
            "SELECT s.id, s.status, t.key, s.next_send_at FROM subscription s LEFT JOIN step t ON t.id = s.next_step_id"
        )
        return {row_id: (status, key, due) for row_id, status, key, due in found}


def check_edit(lab: OneThread, after: EmailSequence) -> None:
    stored = lab.store.sequences.by_slug("welcome")
    assert stored is not None
    foretold: dict[int, Move] = {
        move.person.id: move for move in recompute(lab.store, stored, after, lab.settings.timezone)
    }
    before = lab.rows()
    planned = lab.plan(after)
    assert lab.rows() == before
    lab.apply(after)
    now_sends = lab.store.sequences.by_slug("welcome")
    assert now_sends is not None
    due_now = affected = 0
    for row_id, (status, key, due) in lab.rows().items():
        if row_id not in foretold:
            assert (status, key, due) == before[row_id]
            continue
        if keeps_everybody(stored.sequence, after):
            # Also who waits out of the order: for a step in doubt, that was settled as not sent.
            assert (status, key, due) == before[row_id]
        else:
            move = foretold[row_id]
            assert (key, due) == (move.way.now, None if move.due_at is None else _ms(move.due_at))
            assert status == ("completed" if move.way.completes else before[row_id][0])
        is_due = status == "active" and now_sends.sends and due is not None and due <= _ms(lab.now)
        old = before[row_id][2]
        was_due = stored.sends and old is not None and old <= _ms(lab.now)
        becomes_due = is_due and not (was_due and before[row_id][1] == key)
        due_now += becomes_due
        affected += becomes_due or (status, key, due) != before[row_id]
    if stored.sends and not now_sends.sends:
        affected = len(foretold)  # nobody is sent anything any more
    assert (planned.due_now, planned.affected) == (due_now, affected)
    assert planned.changes or (due_now, affected) == (0, 0)
    for sequence in planned.sequences:
        check_others(sequence, {row_id: before[row_id] for row_id in foretold}, lab.rows())
        for step in sequence.steps:
            check_words(step, {row_id: before[row_id] for row_id in foretold}, lab.rows())
    assert [one for one in lab.plan(after).sequences if not one.empty] == []


Rows = dict[int, tuple[str, str | None, int | None]]


def check_words(step: StepPlan, before: Rows, now: Rows) -> None:
    """What the plan said of those who waited for one step, against where each of them is."""
    waiting = [row_id for row_id, (_, key, _) in before.items() if key == step.edit.key]
    kept = [(before[row_id][2], now[row_id][2]) for row_id in waiting if now[row_id][1] == step.edit.key]
    both = [(old, new) for old, new in kept if old is not None and new is not None]
    later, earlier = sum(new > old for old, new in both), sum(new < old for old, new in both)
    said = step.people
    assert (said.waiting, said.later, said.earlier) == (len(waiting), later, earlier)
    assert said.shifts == Counter(timedelta(seconds=round((new - old) / 1000)) for old, new in both if new != old)
    assert said.unchanged == len(kept) - later - earlier
    assert sum(said.held.values()) <= said.unchanged
    completed = [row_id for row_id in waiting if now[row_id][0] == "completed"]
    moved = [row_id for row_id in waiting if row_id not in completed and now[row_id][1] != step.edit.key]
    assert said.completes == len(completed)
    assert said.go_on_to == Counter(now[row_id][1] or "" for row_id in moved)


def check_others(sequence: SequencePlan, before: Rows, now: Rows) -> None:
    """What the plan said of those whose own step was not touched, and whose time was all the same."""
    edited = {step.edit.key for step in sequence.steps}
    found: Counter[timedelta] = Counter()
    for row_id, (_, key, old) in before.items():
        new = now[row_id][2]
        if key not in edited and key is not None and now[row_id][1] == key and old and new and old != new:
            found[timedelta(seconds=round((new - old) / 1000))] += 1
    assert sequence.others.shifts == found


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    versions=st.lists(some_sequences(), min_size=2, max_size=5),
    hours=st.lists(st.sampled_from([0, 1, 24, 80, 200]), min_size=5, max_size=5),
    seed=st.integers(0, 2**32),
)
def test_what_plan_says_of_each_person_is_what_apply_does(
    versions: list[EmailSequence], hours: list[int], seed: int
) -> None:
    lab = OneThread(seed)
    with lab.store.opened():
        lab.apply(replace(versions[0], status=SequenceStatus.ACTIVE))
        lab.start()
        emails = [f"p{number}@example.com" for number in range(12)]
        starts = [lab.now + timedelta(hours=lab.random.choice([-100, -5, 0, 0, 0, 30])) for _ in emails]
        people = zip(emails, starts, strict=True)
        requests = [Request(email, variables={"n": n}, started_at=start) for n, (email, start) in enumerate(people)]
        subscribe_many(lab.store, lab.settings, "welcome", requests, lab.now)
        for after, wait in zip(versions[1:], hours, strict=False):
            for _ in range(4):
                lab.deal()
                lab.disturb(lab.random.choice(emails))
                assert broken_rules(lab.store.database) == []
                lab.move(f"{wait}h")
            check_edit(lab, after)
            assert broken_rules(lab.store.database) == []
        assert violations(lab.store.database) == []
        assert (
            lab.store.database.rows("SELECT 1 FROM delivery GROUP BY subscription_id, step_id HAVING COUNT(*) > 1")
            == []
        )
