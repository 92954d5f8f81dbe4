"""Projects in a certain state, from a bare one to a busy one: what tests and pictures begin with."""

from __future__ import annotations

import math

from drip.core.moments import to_milliseconds
from tests.tui.room import CONFIG, NURTURE, WELCOME, Room

ONBOARDING = """\
name: Onboarding
status: active
steps:
  - {id: welcome, delay: 0, subject: Welcome on board, body: Hi.}
  - {id: invite, delay: 1d, at: "10:00", subject: Invite your team, body: Together.}
  - {id: how-is-it-going, delay: 3d, at: "10:00", subject: How is it going?, body: Tell us.}
  - {id: upgrade, delay: 1w, subject: Your plan, body: More room.}
"""
PEOPLE = ("ada", "grace", "katherine", "hedy", "radia", "joan", "mary", "annie", "dorothy", "evelyn")


def make_bare(room: Room) -> None:
    """A drip.yaml and nothing else."""
    room.write("drip.yaml", CONFIG)


def make_files(room: Room) -> None:
    """Two sequence files; nothing is applied."""
    make_bare(room)
    room.write("sequences/welcome.yaml", WELCOME)
    room.write("sequences/nurture.yaml", NURTURE)


def make_room(room: Room) -> None:
    """They, applied."""
    make_files(room)
    room.apply()


def make_lively(room: Room) -> None:
    """People in every state but unknown."""
    make_room(room)
    room.subscribe("ada@example.com", name="Ada", variables={"plan": "free", "timezone": "America/New_York"})
    room.subscribe("grace@example.com", name="Grace")
    room.tick()
    room.move("2h")
    for name in ("paul", "carl", "fay"):
        room.subscribe(f"{name}@example.com", name=name.title())
    room.sql("UPDATE subscription SET status = 'paused', paused_at = updated_at WHERE id = 3")
    room.sql(
        "UPDATE subscription SET status = 'cancelled', cancel_reason = 'manual', cancelled_at = updated_at,"
        " next_step_id = NULL, next_send_at = NULL WHERE id = 4"
    )
    room.sql("UPDATE subscription SET status = 'failed', next_send_at = NULL WHERE id = 5")
    room.sql(
        "INSERT INTO delivery (subscription_id, step_id, state, reason, attempts, at, revision, code, answer)"
        " SELECT id, next_step_id, 'failed', 'refused', 1, updated_at, 1, 554, '5.7.1 not wanted here'"
        " FROM subscription WHERE id = 5"
    )
    room.subscribe("kate@example.com", name="Kate")


def make_unknown(room: Room) -> None:
    """And one whose fate nobody knows: kate's first step."""
    make_lively(room)
    room.sql("UPDATE subscription SET next_send_at = NULL WHERE id = 6")
    room.sql(
        "INSERT INTO delivery (subscription_id, step_id, state, reason, attempts, claim, at, revision)"
        " SELECT id, next_step_id, 'unknown', 'no_answer', 1, claim, updated_at, 1 FROM subscription WHERE id = 6"
    )


def make_busy(room: Room) -> None:
    """Three sequences, some hundred people, a day of sends, a worker at work, a few troubles."""
    make_files(room)
    room.write("sequences/onboarding.yaml", ONBOARDING)
    room.apply()
    for slug in ("welcome", "onboarding"):
        for number in range(60):
            name = PEOPLE[number % len(PEOPLE)]
            suffix = "" if number < len(PEOPLE) else f"+{number}"
            room.subscribe(f"{name}{suffix}@example.com", slug, name=name.title())
    room.subscribe("ada@example.com", "nurture")
    room.tick()
    room.sql("UPDATE delivery SET answer = '2.0.0 Ok: queued' WHERE state = 'sent'")
    _spread(room)
    _trouble(room)
    at = to_milliseconds(room.now)
    room.sql(
        "INSERT INTO worker (machine, pid, birth, started_at, lease_until) VALUES ('lab', 1, '', ?, ?)",
        *(at, at + 60_000),
    )


def _spread(room: Room) -> None:
    """Sends over the last day, and what is to come over the next week."""
    at = to_milliseconds(room.now)
    for row_id, subscription in room.sql("SELECT id, subscription_id FROM delivery WHERE state = 'sent'"):
        ago = int(23 * 3_600_000 * abs(math.sin(row_id * 1.7)))
        room.sql("UPDATE delivery SET at = ? WHERE id = ?", at - ago, row_id)
        due = int(6.5 * 86_400_000 * abs(math.sin(row_id * 2.3)))
        room.sql(
            "UPDATE subscription SET next_send_at = ?, last_sent_at = ? WHERE id = ?", at + due, at - ago, subscription
        )


def _trouble(room: Room) -> None:
    for state, reason, code, answer, ids in (
        ("failed", "refused", 554, "5.7.1 not wanted here", (7, 31)),
        ("unknown", "no_answer", None, None, (12,)),
        ("deferred", "temporary", 451, "4.7.1 try again later", (3, 44, 50)),
    ):
        for row_id in ids:
            room.sql(
                "INSERT INTO delivery (subscription_id, step_id, state, reason, attempts, claim, at, revision, code,"
                " answer) SELECT id, next_step_id, ?, ?, 1, claim, ?, 1, ?, ? FROM subscription WHERE id = ?",
                *(state, reason, to_milliseconds(room.now) - 600_000, code, answer, row_id),
            )
        if state != "deferred":
            status = "failed" if state == "failed" else "active"
            for row_id in ids:
                room.sql("UPDATE subscription SET status = ?, next_send_at = NULL WHERE id = ?", status, row_id)
    room.sql("UPDATE subscription SET status = 'paused', paused_at = updated_at WHERE id IN (15, 16, 70)")
    room.sql(
        "UPDATE subscription SET status = 'cancelled', cancel_reason = 'unsubscribed', cancelled_at = updated_at,"
        " next_step_id = NULL, next_send_at = NULL WHERE id IN (20, 21, 80)"
    )
