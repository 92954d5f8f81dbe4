"""Webhook rows: made with their event, told apart by who wants them, claimed by one at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from drip.core.delivery import Outcome, OutcomeKind
from drip.core.events import PUBLIC_EVENTS, EventType
from drip.core.settings import Settings, WebhookEndpoint
from drip.core.subscription import SuppressionReason
from drip.core.webhooks import OLD_SECRET_LIVES, PostState
from drip.engine import people
from drip.engine.keys import create_key, revoke_key
from drip.engine.records import Event
from drip.engine.suppress import suppress
from drip.engine.webhooks import remove_webhook, replay, set_webhook
from drip.errors import Invalid, NotFound, Refused
from drip.store.store import Store
from tests.databases import database_at, refusals
from tests.lab import START, Lab, a_sequence, a_step, open_lab
from tests.notify.receiver import OTHER_SECRET, SECRET

URL = "https://app.example.com/hooks"


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with open_lab(tmp_path, webhooks=(WebhookEndpoint(URL, (SECRET,)),)) as lab:
        yield lab


def bodies(lab: Lab, event: str | None = None) -> list[dict[str, Any]]:
    """What is to be posted, oldest first."""
    rows = lab.store.database.rows("SELECT body FROM webhook_delivery ORDER BY id")
    found = [json.loads(body) for (body,) in rows]
    return [body for body in found if event in (None, body["event"])]


def test_the_five_events_and_no_other() -> None:
    assert {
        "sequence.subscribed",
        "sequence.step.sent",
        "sequence.step.failed",
        "sequence.completed",
        "sequence.cancelled",
    } == PUBLIC_EVENTS


def test_a_life_in_events(lab: Lab) -> None:
    lab.apply(a_sequence(a_step("one"), a_step("two", "1d")))
    lab.subscribe("Ada@Example.com", variables={"plan": "pro", "n": [1, None]})
    lab.tick()
    lab.move("1d")
    lab.tick()
    events = lab.store.events.entries(limit=10)
    told = [entry for entry in events if entry.type in PUBLIC_EVENTS]
    person = {
        "app": "lab",
        "sequence_id": "welcome",
        "subscription_id": 1,
        "contact_email": "Ada@example.com",
        "variables": {"plan": "pro", "n": [1, None]},
    }
    first, second = "2026-03-02T09:00:00.000Z", "2026-03-03T09:00:00.000Z"
    ids = [next(line for line in content.split(b"\r\n") if line.startswith(b"Message-ID: "))[12:].decode()
           for _, content in lab.transport.sent]  # fmt: skip
    wanted: list[dict[str, Any]] = [
        {"event": "sequence.subscribed", "ts": first},
        {"event": "sequence.step.sent", "ts": first, "step_id": 1, "step_key": "one", "position": 1,
         "message_id": ids[0]},
        {"event": "sequence.step.sent", "ts": second, "step_id": 2, "step_key": "two", "position": 2,
         "message_id": ids[1]},
        {"event": "sequence.completed", "ts": second},
    ]  # fmt: skip
    assert bodies(lab) == [{**fields, **person, "id": entry.id} for fields, entry in zip(wanted, told, strict=True)]
    keys = list(bodies(lab, "sequence.step.sent")[0])
    assert keys == ["event", "ts", "app", "id", "sequence_id", "subscription_id", "contact_email", "variables",
                    "step_id", "step_key", "position", "message_id"]  # fmt: skip
    assert ids[0].startswith("<")
    assert ids[0].endswith("@example.com>")


def test_a_failed_step_is_told_once_with_why(lab: Lab) -> None:
    lab.transport.script = lambda envelope, content: Outcome(OutcomeKind.DEFERRED, 451, None, "451 later")
    lab.apply(a_sequence(a_step("one")))
    lab.subscribe("ada@example.com")
    for _ in range(200):
        lab.tick()
        lab.move("1h")
    (failed,) = bodies(lab, "sequence.step.failed")
    assert (failed["step_id"], failed["step_key"], failed["position"]) == (1, "one", 1)
    assert (failed["error"], failed["smtp_code"], failed["attempts"]) == ("451 later", 451, 8)
    assert "message_id" not in failed


def test_a_failure_without_an_answer_has_no_code(lab: Lab) -> None:
    lab.apply(a_sequence(a_step("one", text="{{ 1 / zero }}")))
    lab.subscribe("ada@example.com", variables={"zero": 0})
    lab.tick()
    (failed,) = bodies(lab, "sequence.step.failed")
    assert failed["smtp_code"] is None
    assert failed["attempts"] == 0
    assert failed["error"]


@pytest.mark.parametrize(
    ("how", "reason", "detail"),
    [
        ("manual", "manual", None),
        (SuppressionReason.UNSUBSCRIBED, "unsubscribed", None),
        (SuppressionReason.BOUNCE, "bounced", None),
        (SuppressionReason.COMPLAINT, "complained", None),
        (SuppressionReason.MANUAL, "suppressed", None),
        ("stop_when", "manual", "stop_when"),
    ],
)
def test_the_five_reasons_of_an_end(lab: Lab, how: str | SuppressionReason, reason: str, detail: str | None) -> None:
    lab.apply(a_sequence(a_step("one"), stop_when="plan == 'paid'"))
    lab.subscribe("ada@example.com", variables={"plan": "paid" if how == "stop_when" else "free"})
    if isinstance(how, SuppressionReason):
        suppress(lab.store, "ada@example.com", how, lab.now)
    elif how == "manual":
        people.cancel(lab.store, "welcome", "ada@example.com", lab.now)
    else:
        lab.tick()
    (cancelled,) = bodies(lab, "sequence.cancelled")
    assert (cancelled["reason"], cancelled["detail"]) == (reason, detail)


def test_each_event_goes_to_each_endpoint_that_wants_it(tmp_path: Path) -> None:
    picky = WebhookEndpoint(URL + "2", (SECRET,), frozenset({"sequence.completed"}))
    endpoints = (WebhookEndpoint(URL, (SECRET,)), picky)
    with open_lab(tmp_path, webhooks=endpoints) as lab:
        key = create_key(lab.store, "app", lab.now).key
        set_webhook(lab.store, lab.settings, key, lab.now, url=URL)
        lab.apply(a_sequence(a_step("one")))
        lab.subscribe("ada@example.com")
        lab.tick()
        rows = lab.store.webhooks.deliveries()
        three = ("sequence.completed", "sequence.step.sent", "sequence.subscribed")
        assert {(row.event, row.url, row.key_id) for row in rows} == {
            *((event, URL, app) for event in three for app in (None, key.id)),
            ("sequence.completed", URL + "2", None),
        }
        assert len(rows) == 7
        assert {body["app"] for body in bodies(lab)} == {"lab", key.id}


def test_with_no_endpoint_nothing_is_made(tmp_path: Path) -> None:
    with open_lab(tmp_path) as lab:
        lab.apply(a_sequence(a_step("one")))
        lab.subscribe("ada@example.com")
        lab.tick()
        assert lab.store.webhooks.backlog().waiting == 0
        assert lab.store.database.value("SELECT COUNT(*) FROM webhook_endpoint") == 0


def test_rows_come_and_go_with_their_event(lab: Lab) -> None:
    lab.apply(a_sequence(a_step("one")))
    lab.subscribe("ada@example.com")

    class Broken(Exception):
        pass

    def halfway() -> None:
        with lab.store.transaction():
            lab.store.events.append([Event(EventType.COMPLETED, lab.now, 1, 1)])
            raise Broken

    with pytest.raises(Broken):
        halfway()
    assert [body["event"] for body in bodies(lab)] == ["sequence.subscribed"]


def test_a_row_names_its_own_event_also_between_others(lab: Lab) -> None:
    lab.apply(a_sequence(a_step("one")))
    lab.subscribe("ada@example.com")
    kinds = [EventType.PAUSED, EventType.COMPLETED, EventType.RESUMED, EventType.CANCELLED]
    lab.store.events.append(Event(kind, lab.now, 1, 1) for kind in kinds)
    rows = lab.store.database.rows("SELECT d.body, e.type FROM webhook_delivery d JOIN event e ON e.id = d.event_id")
    assert rows
    assert all(json.loads(body)["event"] == kind for body, kind in rows)
    ids = {entry.id for entry in lab.store.events.entries() if entry.type in PUBLIC_EVENTS}
    assert {body["id"] for body in bodies(lab)} == ids


def test_many_people_at_once(lab: Lab) -> None:
    lab.apply(a_sequence(a_step("one")))
    lab.crowd(1200)
    lab.store.events.append(Event(EventType.COMPLETED, lab.now, 1, number) for number in range(1, 1201))
    assert len(bodies(lab)) == 2400
    assert bodies(lab)[-1]["contact_email"] == "p1199@example.com"


def test_an_event_is_for_an_endpoint_once(lab: Lab) -> None:
    lab.apply(a_sequence(a_step("one")))
    lab.subscribe("ada@example.com")
    with pytest.raises(refusals()):
        lab.store.database.run("INSERT INTO webhook_delivery (event_id, endpoint_id, public_id, body, next_attempt_at)"
                               " SELECT event_id, endpoint_id, public_id, body, 1 FROM webhook_delivery")  # fmt: skip


def test_what_is_due_is_claimed_by_one_until_its_lease_is_over(lab: Lab) -> None:
    lab.apply(a_sequence(a_step("one")))
    for number in range(3):
        lab.subscribe(f"p{number}@example.com")
    awake = datetime.now(UTC)
    until = awake + timedelta(minutes=1)
    webhooks = lab.store.webhooks
    assert not webhooks.any_due(1, lab.now - timedelta(seconds=1), awake)
    first = webhooks.claim(1, "a", lab.now, awake, until, 2)
    second = webhooks.claim(1, "b", lab.now, awake, until, 2)
    assert ([post.id for post in first], [post.id for post in second]) == ([1, 2], [3])
    assert not webhooks.any_due(1, lab.now, awake)
    assert [post.id for post in webhooks.claim(1, "c", lab.now, until, until, 9)] == [1, 2, 3]
    # Whoever slept over it has nothing to say any more.
    how = {"next_attempt_at": None, "status": 200, "answer": None}
    assert not webhooks.record(first[0], "a", PostState.DELIVERED, lab.now, **how)  # type: ignore[arg-type]
    assert webhooks.record(first[0], "c", PostState.DELIVERED, lab.now, **how)  # type: ignore[arg-type]
    webhooks.release("c", [2, 3])
    assert webhooks.any_due(1, lab.now, awake)


@pytest.mark.sqlite
def test_what_is_due_is_found_by_its_index(lab: Lab) -> None:
    from drip.store.webhooks import _DUE

    plan = lab.store.database.rows(f"EXPLAIN QUERY PLAN SELECT 1 {_DUE} LIMIT 1", 1, 1, 1)
    assert "webhook_delivery_due" in str(plan)
    assert "SCAN" not in str(plan)


def test_a_replay_posts_the_same_again(lab: Lab) -> None:
    lab.apply(a_sequence(a_step("one")))
    lab.subscribe("ada@example.com")
    (row,) = lab.store.webhooks.deliveries()
    with pytest.raises(Refused, match="waits"):
        replay(lab.store, ["1"], lab.now)
    (post,) = lab.store.webhooks.claim(1, "a", lab.now, START, datetime.now(UTC), 1)
    lab.store.webhooks.record(post, "a", PostState.DEAD, lab.now, next_attempt_at=None, status=500, answer="no")
    for names, every in ((["1"], False), ([row.event_id], False), ([], True)):
        (again,) = replay(lab.store, names, lab.now, all_dead=every)
        assert (again.state, again.attempts, again.next_attempt_at) == (PostState.WAITING, 0, lab.now)
        (same,) = lab.store.webhooks.claim(1, "a", lab.now, START, datetime.now(UTC), 1)
        assert (same.body, same.public_id) == (post.body, post.public_id)
        lab.store.webhooks.record(same, "a", PostState.DEAD, lab.now, next_attempt_at=None, status=500, answer="no")
    for unknown in ("99", "evt_" + "0" * 26, "x", "9" * 30):
        with pytest.raises(NotFound):
            replay(lab.store, [unknown], lab.now)


def test_an_endpoint_that_left_drip_yaml_is_given_up(lab: Lab) -> None:
    lab.apply(a_sequence(a_step("one")))
    lab.subscribe("ada@example.com")
    settings = Settings(lab.folder, lab.folder / "drip.yaml", lab.settings.sender, "lab")
    other = Store(database_at(lab.folder / "drip.db"), settings)
    with other.opened():
        assert other.endpoints.any()
        other.endpoints.retire_undeclared(lab.now)
        assert not other.endpoints.any()
        (row,) = other.webhooks.deliveries()
        assert (row.state, row.answer) == (PostState.DEAD, "the endpoint is no longer in drip.yaml")
    # It comes back with the file.
    assert [endpoint.url for endpoint in lab.store.endpoints.all()] == [URL]


class TestKeysWebhooks:
    def test_a_secret_is_made_and_told_once(self, lab: Lab) -> None:
        key = create_key(lab.store, "app", lab.now).key
        done = set_webhook(lab.store, lab.settings, key, lab.now, url=URL)
        assert done.new_secret is not None
        assert done.endpoint.secrets == (done.new_secret,)
        again = set_webhook(lab.store, lab.settings, key, lab.now, url=URL + "/other")
        assert (again.new_secret, again.endpoint.secrets) == (None, (done.new_secret,))
        assert again.endpoint.url == URL + "/other"

    def test_a_replaced_secret_signs_for_another_day(self, lab: Lab) -> None:
        key, now = create_key(lab.store, "app", lab.now).key, datetime.now(UTC)
        set_webhook(lab.store, lab.settings, key, now, url=URL, secret=SECRET)
        done = set_webhook(lab.store, lab.settings, key, now, secret=OTHER_SECRET)
        assert done.endpoint.secrets == (OTHER_SECRET, SECRET)
        earlier = now - OLD_SECRET_LIVES
        lab.store.database.run("UPDATE webhook_endpoint SET old_secret_until = ? WHERE key_id = ?",
                               int(earlier.timestamp() * 1000), key.id)  # fmt: skip
        endpoint = lab.store.endpoints.of_key(key.id)
        assert endpoint is not None
        assert endpoint.secrets == (OTHER_SECRET,)

    def test_what_can_not_be_set(self, lab: Lab) -> None:
        key = create_key(lab.store, "app", lab.now).key
        with pytest.raises(Refused, match="no webhook yet"):
            set_webhook(lab.store, lab.settings, key, lab.now, secret=SECRET)
        with pytest.raises(Invalid, match="whsec_ and base64") as caught:
            set_webhook(lab.store, lab.settings, key, lab.now, url=URL, secret="hunter2")
        assert "hunter2" not in str(caught.value) + str(caught.value.hint)
        with pytest.raises(Invalid, match="not https"):
            set_webhook(lab.store, lab.settings, key, lab.now, url="http://example.com/")
        assert lab.store.endpoints.of_key(key.id) is None

    @pytest.mark.parametrize("how", ["remove", "revoke"])
    def test_what_waits_for_an_endpoint_that_is_taken_away_is_dead(self, lab: Lab, how: str) -> None:
        key = create_key(lab.store, "app", lab.now).key
        set_webhook(lab.store, lab.settings, key, lab.now, url=URL + "/key")
        lab.apply(a_sequence(a_step("one")))
        lab.subscribe("ada@example.com")
        if how == "remove":
            assert remove_webhook(lab.store, key, lab.now)
            assert not remove_webhook(lab.store, key, lab.now)
        else:
            assert revoke_key(lab.store, key.id, lab.now)[1]
        lab.subscribe("bob@example.com")
        states = {(row.key_id, row.state) for row in lab.store.webhooks.deliveries()}
        assert states == {(key.id, PostState.DEAD), (None, PostState.WAITING)}
        assert len(lab.store.webhooks.deliveries()) == 3
        if how == "remove":
            set_webhook(lab.store, lab.settings, key, lab.now, url=URL + "/again")
            lab.subscribe("eve@example.com")
            assert lab.store.webhooks.deliveries(limit=1)[0].url == URL + "/again"


def test_old_deliveries_are_forgotten(lab: Lab) -> None:
    lab.apply(a_sequence(a_step("one")))
    for _ in range(2):
        lab.subscribe(f"{lab.now.timestamp():.0f}@example.com")
        (post,) = lab.store.webhooks.claim(1, "a", lab.now, START, datetime.now(UTC), 1)
        lab.store.webhooks.record(post, "a", PostState.DELIVERED, lab.now, next_attempt_at=None, status=200, answer="")
        lab.move("10d")
    assert lab.store.webhooks.prune(START + timedelta(days=5), 100) == 1
    assert [row.id for row in lab.store.webhooks.deliveries()] == [2]
