"""What no command does: for each rule of the checker, statements that break it."""

from __future__ import annotations

from dataclasses import replace

from drip.core.delivery import Outcome, OutcomeKind
from drip.core.subscription import SuppressionReason
from drip.engine import people
from drip.engine.suppress import suppress
from drip.store.database import Database
from tests.lab import DAY, Lab, a_sequence, a_step, accept


def a_full_store(lab: Lab) -> None:
    """People in every state, and deliveries in every state that outlives a worker."""
    steps = (a_step("one"), a_step("two", when="n > 1"), a_step("three", "1d"))
    lab.apply(a_sequence(*steps), a_sequence(a_step("only"), id="short"), a_sequence(a_step("x", "1d"), id="other"))
    lab.subscribe("done@example.com", "short")
    for name in ("active", "paused", "gone", "later", "doubt", "broken", "left"):
        lab.subscribe(f"{name}@example.com", variables={"n": 1})
    kinds = {
        "later@example.com": Outcome(OutcomeKind.DEFERRED, 451, None, "later"),
        "doubt@example.com": Outcome(OutcomeKind.UNKNOWN),
        "broken@example.com": Outcome(OutcomeKind.REFUSED, 554, None, "no"),
    }
    lab.transport.script = lambda envelope, content: kinds.get(envelope.recipient) or accept(envelope, content)
    for _ in range(3):
        lab.tick()
    people.pause(lab.store, "welcome", "paused@example.com", lab.now)
    people.cancel(lab.store, "welcome", "gone@example.com", lab.now)
    suppress(lab.store, "left@example.com", SuppressionReason.UNSUBSCRIBED, lab.now)
    lab.now += DAY / 2
    lab.settings = replace(lab.settings)


def _of(name: str) -> str:
    return f"(SELECT s.id FROM subscription s JOIN contact c ON c.id = s.contact_id WHERE c.email LIKE '{name}@%')"


_STEP = "(SELECT id FROM step WHERE key = '{}')"

DAMAGE: dict[str, tuple[str, ...]] = {
    "live people wait for a step, unless the sequence has none": (
        f"UPDATE subscription SET next_step_id = NULL, next_send_at = NULL WHERE id = {_of('active')}",
    ),
    "the step waited for is one of the sequence's, unless its delivery is on its way or unknown": (
        "UPDATE step SET position = NULL WHERE key = 'three'",
    ),
    "who waits for a step has a time, unless its delivery is unknown": (
        f"UPDATE subscription SET next_send_at = NULL WHERE id = {_of('active')}",
    ),
    "who waits for an unknown delivery has no time": (
        f"UPDATE subscription SET next_send_at = 5 WHERE id = {_of('doubt')}",
    ),
    "the step waited for has not been handled": (
        f"UPDATE subscription SET next_step_id = {_STEP.format('one')} WHERE id = {_of('active')}",
    ),
    "no suppressed address is in a sequence": (
        "INSERT INTO suppression (email_key, email, reason, added_at) VALUES ('active@example.com', 'a', 'manual', 0)",
    ),
    "what ended has nothing pending": (
        "PRAGMA ignore_check_constraints = 1",
        f"UPDATE subscription SET next_step_id = {_STEP.format('one')} WHERE id = {_of('gone')}",
    ),
    "only live people have deferred deliveries": (
        f"UPDATE delivery SET state = 'deferred', reason = 'retry' WHERE subscription_id = {_of('gone')}",
    ),
    "a deferred delivery is of the step waited for, or of a later one": (
        f"UPDATE delivery SET state = 'deferred', reason = 'window' WHERE subscription_id = {_of('active')}"
        f" AND step_id = {_STEP.format('one')}",
    ),
    "what is being sent has an owner": (
        f"UPDATE delivery SET state = 'sending', reason = NULL WHERE subscription_id = {_of('doubt')}",
    ),
    "an owner is a worker that has not ended": (f"UPDATE subscription SET owner = 99 WHERE id = {_of('active')}",),
    "one delivery per person and step": (
        "PRAGMA foreign_keys = 0",
        "CREATE TABLE copy AS SELECT * FROM delivery",
        "DROP TABLE delivery",
        "ALTER TABLE copy RENAME TO delivery",
        "INSERT INTO delivery SELECT * FROM delivery LIMIT 1",
    ),
    "a delivery is of a step of its sequence": (
        f"UPDATE delivery SET step_id = {_STEP.format('only')} WHERE subscription_id = {_of('active')}"
        f" AND step_id = {_STEP.format('one')}",
    ),
    "who failed has a delivery that failed": (
        f"UPDATE delivery SET state = 'sent', reason = NULL WHERE subscription_id = {_of('broken')}",
    ),
    "each state has its moment": (f"UPDATE subscription SET paused_at = NULL WHERE id = {_of('paused')}",),
    "one standing subscription per person and sequence": (
        "DROP INDEX subscription_once",
        "INSERT INTO subscription (sequence_id, contact_id, status, cancel_reason, cancelled_at, started_at, origin_at,"
        " created_at, updated_at) SELECT sequence_id, contact_id, 'cancelled', 'manual', 0, 0, 0, 0, 0"
        f" FROM subscription WHERE id = {_of('active')}",
    ),
    "a sequence has its newest revision": ("UPDATE sequence SET revision = 9",),
    "who has left has a suppression": ("DELETE FROM suppression",),
    "the first event of a subscription is its beginning": (
        f"DELETE FROM event WHERE type = 'sequence.subscribed' AND subscription_id = {_of('active')}",
    ),
    "how a subscription stands has its event": ("DELETE FROM event WHERE type = 'sequence.completed'",),
    "what became of a delivery has its event": ("DELETE FROM event WHERE type = 'step.skipped'",),
    "a message is told once": (
        "INSERT INTO event (type, at, sequence_id, subscription_id, step_id) SELECT type, at, sequence_id,"
        " subscription_id, step_id FROM event WHERE type = 'sequence.step.sent'",
    ),
    "the steps of a file are at 1, 2, 3": ("UPDATE step SET position = 7 WHERE key = 'two'",),
    "references lead somewhere": (
        "PRAGMA foreign_keys = 0",
        "DELETE FROM contact WHERE email = 'active@example.com'",
    ),
}
"""The rule -> the statements."""


def damage(database: Database, rule: str) -> None:
    """Break one rule; others may break with it."""
    for statement in DAMAGE[rule]:
        database.run(statement)
