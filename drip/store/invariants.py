"""What must be true of every database, whatever happened to it. Reads only; what breaks a rule is a bug, or damage."""

from __future__ import annotations

from dataclasses import dataclass

from drip.store.database import Database

MOST = 100
"""Violations reported per rule."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing that can't be."""

    rule: str
    """The rule's name."""
    what: str
    """The rows it is about."""


# Each query gives the rows that break the rule, as one column of text. `who` names a subscription.
_WHO = "'subscription ' || s.id || ' (' || c.email || ' in ' || q.slug || ')'"
_FROM = (
    " FROM subscription s JOIN contact c ON c.id = s.contact_id JOIN sequence q ON q.id = s.sequence_id"
    " LEFT JOIN delivery d ON d.subscription_id = s.id AND d.step_id = s.next_step_id"
    " LEFT JOIN step t ON t.id = s.next_step_id"
)

# Older events may have been forgotten by `drip db prune`.
_SINCE = "(SELECT COALESCE(MAX(CAST(m.value AS BIGINT)), 0) FROM meta m WHERE m.name = 'events_since')"

RULES: dict[str, str] = {
    "live people wait for a step, unless the sequence has none": f"""
        SELECT {_WHO} {_FROM} WHERE s.status IN ('active', 'paused') AND s.next_step_id IS NULL
            AND EXISTS (SELECT 1 FROM step t2 WHERE t2.sequence_id = s.sequence_id AND t2.position IS NOT NULL)""",
    "the step waited for is one of the sequence's, unless its delivery is on its way or unknown": f"""
        SELECT {_WHO} || ', step ' || t.key {_FROM} WHERE s.status IN ('active', 'paused')
            AND s.next_step_id IS NOT NULL AND (t.sequence_id <> s.sequence_id OR t.position IS NULL)
            AND COALESCE(d.state, '') NOT IN ('sending', 'unknown')""",
    "who waits for a step has a time, unless its delivery is unknown": f"""
        SELECT {_WHO} {_FROM} WHERE s.status IN ('active', 'paused') AND s.next_step_id IS NOT NULL
            AND s.next_send_at IS NULL AND COALESCE(d.state, '') <> 'unknown'""",
    "who waits for an unknown delivery has no time": f"""
        SELECT {_WHO} {_FROM} WHERE s.status = 'active' AND d.state = 'unknown' AND s.next_send_at IS NOT NULL""",
    "the step waited for has not been handled": f"""
        SELECT {_WHO} || ', delivery ' || d.id || ' is ' || d.state {_FROM}
            WHERE s.status IN ('active', 'paused') AND d.state NOT IN ('deferred', 'sending', 'unknown')""",
    "no suppressed address is in a sequence": f"""
        SELECT {_WHO} {_FROM} WHERE s.status IN ('active', 'paused', 'failed') AND s.replaced = 0
            AND EXISTS (SELECT 1 FROM suppression x WHERE x.email_key = c.email_key)""",
    "what ended has nothing pending": f"""
        SELECT {_WHO} {_FROM} WHERE s.status IN ('completed', 'cancelled')
            AND (s.next_step_id IS NOT NULL OR s.next_send_at IS NOT NULL)""",
    "only live people have deferred deliveries": """
        SELECT 'delivery ' || d.id || ' of subscription ' || s.id || ', which is ' || s.status
            FROM delivery d JOIN subscription s ON s.id = d.subscription_id
            WHERE d.state = 'deferred' AND s.status IN ('completed', 'cancelled')""",
    "a deferred delivery is of the step waited for, or of a later one": """
        SELECT 'delivery ' || d.id || ' of subscription ' || s.id || ', step ' || t.key
            FROM delivery d JOIN subscription s ON s.id = d.subscription_id JOIN step t ON t.id = d.step_id
            LEFT JOIN step n ON n.id = s.next_step_id
            WHERE d.state = 'deferred' AND s.status IN ('active', 'paused', 'failed')
                AND (t.position IS NULL OR n.rank IS NULL OR t.rank < n.rank)""",
    "what is being sent has an owner": """
        SELECT 'delivery ' || d.id || ' of subscription ' || s.id
            FROM delivery d JOIN subscription s ON s.id = d.subscription_id
            WHERE d.state = 'sending' AND s.owner IS NULL""",
    "an owner is a worker that has not ended": """
        SELECT 'subscription ' || s.id || ', worker ' || s.owner FROM subscription s
            WHERE s.owner IS NOT NULL
                AND NOT EXISTS (SELECT 1 FROM worker w WHERE w.id = s.owner AND w.ended_at IS NULL)""",
    "one delivery per person and step": """
        SELECT 'subscription ' || subscription_id || ', step ' || step_id || ': ' || COUNT(*)
            FROM delivery GROUP BY subscription_id, step_id HAVING COUNT(*) > 1""",
    "a delivery is of a step of its sequence": """
        SELECT 'delivery ' || d.id FROM delivery d JOIN subscription s ON s.id = d.subscription_id
            JOIN step t ON t.id = d.step_id WHERE t.sequence_id <> s.sequence_id""",
    "who failed has a delivery that failed": f"""
        SELECT {_WHO} {_FROM} WHERE s.status = 'failed' AND s.next_step_id IS NOT NULL AND t.position IS NOT NULL
            AND NOT EXISTS (SELECT 1 FROM delivery f WHERE f.subscription_id = s.id AND f.state = 'failed')""",
    "each state has its moment": f"""
        SELECT {_WHO} || ', ' || s.status {_FROM} WHERE (s.status = 'paused' AND s.paused_at IS NULL)
            OR (s.status = 'completed' AND s.completed_at IS NULL)
            OR (s.status = 'cancelled' AND s.cancelled_at IS NULL)""",
    "one standing subscription per person and sequence": """
        SELECT 'contact ' || contact_id || ' in sequence ' || sequence_id || ': ' || COUNT(*)
            FROM subscription WHERE replaced = 0 GROUP BY contact_id, sequence_id HAVING COUNT(*) > 1""",
    "a sequence has its newest revision": """
        SELECT q.slug FROM sequence q
            WHERE NOT EXISTS (SELECT 1 FROM revision r WHERE r.sequence_id = q.id AND r.number = q.revision)""",
    "who has left has a suppression": """
        SELECT 'contact ' || c.id || ' (' || c.email || ') is ' || c.status FROM contact c WHERE c.status <> 'active'
            AND NOT EXISTS (SELECT 1 FROM suppression x WHERE x.email_key = c.email_key)""",
    "the first event of a subscription is its beginning": f"""
        SELECT {_WHO} {_FROM} WHERE COALESCE((SELECT e.type FROM event e WHERE e.subscription_id = s.id
            ORDER BY e.id LIMIT 1), '') <> 'sequence.subscribed' AND s.created_at >= {_SINCE}""",
    "how a subscription stands has its event": f"""
        SELECT {_WHO} || ', ' || s.status {_FROM} WHERE s.status IN ('completed', 'cancelled', 'paused')
            AND NOT EXISTS (SELECT 1 FROM event e WHERE e.subscription_id = s.id AND e.type = CASE s.status
                WHEN 'completed' THEN 'sequence.completed' WHEN 'cancelled' THEN 'sequence.cancelled'
                ELSE 'subscription.paused' END)
            AND COALESCE(s.completed_at, s.paused_at, s.cancelled_at) >= {_SINCE}""",
    "what became of a delivery has its event": f"""
        SELECT 'delivery ' || d.id || ' of subscription ' || d.subscription_id || ' is ' || d.state FROM delivery d
            WHERE d.state IN ('sent', 'skipped', 'unknown', 'failed') AND COALESCE(d.reason, '') <> 'restored'
                AND NOT EXISTS (
                SELECT 1 FROM event e WHERE e.subscription_id = d.subscription_id AND e.step_id = d.step_id
                    AND (e.type = CASE d.state WHEN 'sent' THEN 'sequence.step.sent' WHEN 'skipped' THEN 'step.skipped'
                        WHEN 'unknown' THEN 'step.unknown' ELSE 'sequence.step.failed' END
                    OR (d.state IN ('sent', 'failed') AND e.type = 'step.resolved'))) AND d.at >= {_SINCE}""",
    "a message is told once": """
        SELECT 'subscription ' || e.subscription_id || ', step ' || e.step_id || ': ' || COUNT(*) FROM event e
            WHERE e.type = 'sequence.step.sent' AND e.subscription_id IS NOT NULL
            GROUP BY e.subscription_id, e.step_id HAVING COUNT(*) > 1""",
    "the steps of a file are at 1, 2, 3": """
        SELECT q.slug FROM sequence q JOIN step t ON t.sequence_id = q.id AND t.position IS NOT NULL
            WHERE q.source = 'file' GROUP BY q.id HAVING MIN(t.position) <> 1 OR MAX(t.position) <> COUNT(*)""",
}
"""What must be true -> a query for what breaks it."""


def violations(database: Database) -> list[Violation]:
    """Everything that is damaged or can't be; empty when all is well."""
    return [Violation(rule, what) for rule, what in database.damage(MOST)] + broken_rules(database)


def broken_rules(database: Database) -> list[Violation]:
    """What can't be, as far as the rows say: for who looks after every step, where all is looked over at the end."""
    return [
        Violation(rule, str(what))
        for rule, query in RULES.items()
        for (what,) in database.rows(f"{query} LIMIT {MOST}")
    ]
