"""An opt-out holds whatever the program does afterwards: random sequences of everything that writes."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from drip.core.delivery import Outcome, OutcomeKind
from drip.core.policy import Send
from drip.core.sequence import Resubscribe, SequenceStatus
from drip.core.subscription import SubscriptionStatus, SuppressionReason
from drip.engine import people
from drip.engine.records import Claim, Marked
from drip.engine.results import Result
from drip.engine.sender import judge
from drip.engine.subscribe import Request, subscribe_many
from drip.engine.suppress import suppress
from drip.errors import DripError
from drip.store.invariants import broken_rules, violations
from tests.engine.test_plan_properties import OneThread
from tests.lab import START, a_sequence, a_step

EMAILS = ("ada@example.com", "bob@example.com", "eve@example.com")
SPELLINGS = {email: (email, email.upper(), email.title()) for email in EMAILS}
SLUGS = ("welcome", "other")
STEPS = (a_step("one"), a_step("two", "1h"), a_step("three", "1d"))

emails, slugs = st.sampled_from(EMAILS), st.sampled_from(SLUGS)


class OptOuts(RuleBasedStateMachine):
    """A worker that can be stopped between claim, mark and record, and everybody else who writes."""

    @initialize()
    def begin(self) -> None:
        self.lab = OneThread(1)
        self.opened = self.lab.store.opened()
        self.opened.__enter__()
        self.out: set[str] = set()
        self.sent_after: list[str] = []
        self.in_hand: list[tuple[Claim, int]] = []
        self.marked: list[tuple[Claim, int]] = []
        self.apply(steps=3, status=SequenceStatus.ACTIVE)
        self.lab.start()

    @rule(email=emails, slug=slugs, spelling=st.integers(0, 2))
    def subscribe(self, email: str, slug: str, spelling: int) -> None:
        request = Request(SPELLINGS[email][spelling], started_at=START)
        subscribe_many(self.lab.store, self.lab.settings, slug, [request, request], self.lab.now)

    @rule(email=emails, spelling=st.integers(0, 2))
    def opt_out(self, email: str, spelling: int) -> None:
        suppress(self.lab.store, SPELLINGS[email][spelling], SuppressionReason.UNSUBSCRIBED, self.lab.now)
        self.out.add(email)

    @rule(email=emails, slug=slugs, what=st.sampled_from(["pause", "resume", "cancel", "retry", "set"]))
    def manage(self, email: str, slug: str, what: str) -> None:
        store, config, now = self.lab.store, self.lab.settings, self.lab.now
        try:
            match what:
                case "pause":
                    people.pause(store, slug, email, now)
                case "resume":
                    people.resume(store, config, slug, email, now)
                case "cancel":
                    people.cancel(store, slug, email, now)
                case "retry":
                    people.retry(store, config, now)
                case _:
                    people.set_variables(store, config, slug, email, {"n": 1}, now)
        except DripError:
            pass

    @rule(sent=st.booleans())
    def resolve(self, sent: bool) -> None:
        for delivery in self.lab.store.deliveries.unknown():
            people.resolve(self.lab.store, self.lab.settings, delivery.id, sent=sent, now=self.lab.now)

    @rule(steps=st.integers(0, 3), status=st.sampled_from([SequenceStatus.ACTIVE] * 3 + [SequenceStatus.ARCHIVED]))
    def apply(self, steps: int, status: SequenceStatus) -> None:
        kept = STEPS[:steps]
        always = Resubscribe.ALWAYS
        self.lab.apply(*(a_sequence(*kept, id=slug, status=status, resubscribe=always) for slug in SLUGS))

    @rule()
    def wait(self) -> None:
        self.lab.move("2h")

    @rule()
    def claim(self) -> None:
        with self.lab.store.transaction():
            claims, _, _ = self.lab.ledger.claim(self.lab.now, 2)
        self.in_hand += [(claim, self.lab.catalogue.get(claim.sequence_id).revision) for claim in claims]

    @rule()
    def mark(self) -> None:
        for claim, revision in self.in_hand:
            decision = judge(self.lab.catalogue.get(claim.sequence_id), claim, self.lab.settings, self.lab.now)
            if isinstance(decision, Send):
                with self.lab.store.transaction():
                    (marked,) = self.lab.ledger.mark([Marked(claim, revision, b"")], self.lab.now)
                if marked and claim.email.lower() in self.out:
                    self.sent_after.append(claim.email)
                if marked:
                    self.marked.append((claim, revision))
                    continue
                decision = Outcome(OutcomeKind.NOT_MARKED)
            self._record(claim, decision, revision, marked=False)
        self.in_hand = []

    @rule(kind=st.sampled_from([kind for kind in OutcomeKind if kind is not OutcomeKind.NOT_MARKED]))
    def answer(self, kind: OutcomeKind) -> None:
        for claim, revision in self.marked:
            self._record(claim, Outcome(kind, 550, None, "answer"), revision, marked=True)
        self.marked = []

    @rule()
    def pass_begins(self) -> None:
        self.lab.ledger.begin(self.lab.now)

    @rule()
    def die(self) -> None:
        """The worker is gone; another sweeps, and the answers still come."""
        with self.lab.store.transaction():
            self.lab.ledger.take_back(self.lab.worker_id, self.lab.now)

    def _record(self, claim: Claim, outcome: object, revision: int, *, marked: bool) -> None:
        with self.lab.store.transaction():
            self.lab.ledger.record([Result(claim, outcome, revision, marked)], self.lab.now)  # type: ignore[arg-type]

    @invariant()
    def who_opted_out_stays_out(self) -> None:
        if not hasattr(self, "out"):
            return
        for email in self.out:
            entry = self.lab.store.suppressions.get(email)
            assert entry is not None
            assert entry.reason is SuppressionReason.UNSUBSCRIBED
            contact = self.lab.store.contacts.by_email(email)
            assert contact is None or self.lab.store.subscriptions.of_contact(contact.id) == []
        assert self.sent_after == []

    @invariant()
    def the_state_is_legal(self) -> None:
        if hasattr(self, "lab"):
            assert broken_rules(self.lab.store.database) == []

    def teardown(self) -> None:
        if not hasattr(self, "opened"):
            return
        try:
            assert violations(self.lab.store.database) == []
            for person in self.lab.store.overview.subscribers(limit=None):
                if person.email.lower() in self.out:
                    assert person.status in (SubscriptionStatus.CANCELLED, SubscriptionStatus.COMPLETED)
        finally:
            self.opened.__exit__(None, None, None)


OptOuts.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestOptOuts = OptOuts.TestCase
