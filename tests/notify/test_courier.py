"""The courier on real databases and servers: at least once, equal octets, nobody waits for a dead endpoint."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace as replaced
from datetime import timedelta
from pathlib import Path
from random import Random

import pytest

from drip.core.settings import Settings, WebhookEndpoint
from drip.core.webhooks import WAITS, Answer, PostState
from drip.engine.keys import create_key
from drip.engine.records import Endpoint, Post
from drip.engine.webhooks import replay, set_webhook
from drip.errors import DatabaseUnavailable
from drip.notify.courier import Courier, Poster
from drip.notify.post import HttpPoster
from drip.store.store import Store
from drip.store.webhooks import Webhooks
from tests.databases import database_at
from tests.lab import START, Lab, a_sequence, a_step, open_lab
from tests.notify.receiver import OTHER_SECRET, SECRET, Received, Receiver, Reply, receiving, saying

PATIENCE = 60.0
"""Seconds for what will come, however busy the machine is."""


def http_poster(seconds: float = PATIENCE) -> HttpPoster:
    return HttpPoster(allow_private=True, seconds=seconds)


def courier(lab: Lab, make_poster: Callable[[], Poster] = http_poster, store: Store | None = None) -> Courier:
    return Courier(store or lab.store, make_poster, clock=lambda: lab.now, random=Random(7), grace=PATIENCE)


def post_due(lab: Lab, make_poster: Callable[[], Poster] = http_poster) -> None:
    """What `run --once` does at its end."""
    with courier(lab, make_poster) as sender:
        assert sender.finish(PATIENCE)


@contextmanager
def a_lab(folder: Path, *urls: str) -> Iterator[Lab]:
    with open_lab(folder, webhooks=tuple(WebhookEndpoint(url, (SECRET,)) for url in urls)) as lab:
        lab.apply(a_sequence(a_step("one")))
        yield lab


def test_a_life_arrives_signed_and_in_order(tmp_path: Path, receiver: Receiver) -> None:
    with a_lab(tmp_path, receiver.url) as lab:
        lab.subscribe("ada@example.com")
        post_due(lab)
        lab.tick()
        post_due(lab)
        assert receiver.events == ["sequence.subscribed", "sequence.step.sent", "sequence.completed"]
        assert [received.id for received in receiver.got] == [entry.id for entry in lab.store.events.entries()][1:]
        assert all(received.verified()["id"] == received.id for received in receiver.got)
        post_due(lab)
        assert len(receiver.got) == 3
        assert {row.state for row in lab.store.webhooks.deliveries()} == {PostState.DELIVERED}


def test_what_happened_to_one_person_is_told_one_after_the_other(tmp_path: Path, receiver: Receiver) -> None:
    at_once: Counter[int] = Counter()
    most: Counter[int] = Counter()
    lock = threading.Lock()

    def script(received: Received) -> Reply:
        who = received.verified()["subscription_id"]
        with lock:
            at_once[who] += 1
            most[who] = max(most[who], at_once[who])
            everybody.add(sum(count > 0 for count in at_once.values()))
        time.sleep(0.05)
        with lock:
            at_once[who] -= 1
        return Reply()

    everybody: set[int] = set()
    receiver.script = script
    with a_lab(tmp_path, receiver.url) as lab:
        for number in range(12):
            lab.subscribe(f"p{number}@example.com")
        lab.tick()
        post_due(lab)
    assert len(receiver.got) == 36
    assert set(most.values()) == {1}
    assert max(everybody) > 1  # people are told of side by side
    for who in most:
        told = [event["event"] for event in map(Received.verified, receiver.got) if event["subscription_id"] == who]
        assert told == ["sequence.subscribed", "sequence.step.sent", "sequence.completed"]


def test_while_it_runs_it_finds_what_is_due_by_itself(tmp_path: Path, receiver: Receiver) -> None:
    with a_lab(tmp_path, receiver.url) as lab, courier(lab):
        lab.subscribe("ada@example.com")
        assert receiver.wait_for(1)[0].verified()["contact_email"] == "ada@example.com"


def test_with_nothing_due_no_poster_is_made(tmp_path: Path) -> None:
    made = []

    def make_poster() -> Poster:
        made.append(1)
        raise AssertionError

    with a_lab(tmp_path, "http://127.0.0.1:9/") as lab:
        post_due(lab, make_poster)
    assert made == []


def test_the_schedule_to_its_end_and_a_replay(tmp_path: Path, receiver: Receiver) -> None:
    receiver.script = lambda received: Reply(500, body=b"out of order")
    with a_lab(tmp_path, receiver.url) as lab:
        lab.subscribe("ada@example.com")
        for tries, wait in enumerate(WAITS, 1):
            post_due(lab)
            post_due(lab)
            (row,) = lab.store.webhooks.deliveries()
            assert (row.state, row.attempts, row.status, row.answer) == (PostState.WAITING, tries, 500, "out of order")
            assert row.next_attempt_at is not None
            assert abs(row.next_attempt_at - (lab.now + wait)) <= wait * 0.1
            lab.now = row.next_attempt_at - timedelta(milliseconds=1)
            post_due(lab)
            assert len(receiver.got) == tries, "not before its time"
            lab.now = row.next_attempt_at
        post_due(lab)
        (row,) = lab.store.webhooks.deliveries()
        assert (row.state, row.attempts, row.next_attempt_at) == (PostState.DEAD, 10, None)
        assert lab.now - START > timedelta(days=2.9)
        lab.move("30d")
        post_due(lab)
        assert len(receiver.got) == 10

        receiver.script = lambda received: Reply(204, body=b"")
        replay(lab.store, [], lab.now, all_dead=True)
        post_due(lab)
        (row,) = lab.store.webhooks.deliveries()
        assert (row.state, row.status) == (PostState.DELIVERED, 204)
        assert len({(received.id, received.body) for received in receiver.got}) == 1
        assert len(receiver.got) == 11
        # The timestamp is that of the attempt, so that every one is accepted.
        assert all(received.verified() for received in receiver.got)


def test_410_ends_an_endpoint(tmp_path: Path, receiver: Receiver) -> None:
    receiver.script = lambda received: Reply(410)
    with a_lab(tmp_path, receiver.url) as lab, receiving() as other:
        key = create_key(lab.store, "app", lab.now).key
        set_webhook(lab.store, _private(lab), key, lab.now, url=other.url, secret=SECRET)
        for name in ("ada", "bob", "eve"):
            lab.subscribe(f"{name}@example.com")
        post_due(lab)
        assert len(receiver.got) == 1
        assert len(other.got) == 3
        states = Counter((row.url, row.state) for row in lab.store.webhooks.deliveries())
        assert states == {(receiver.url, PostState.DEAD): 3, (other.url, PostState.DELIVERED): 3}
        lab.subscribe("zoe@example.com")
        post_due(lab)
        assert (len(receiver.got), len(other.got)) == (1, 4)
        (disabled,) = [endpoint for endpoint in lab.store.endpoints.all() if endpoint.disabled_at]
        assert lab.store.endpoints.enable(disabled.id)
        receiver.script = lambda received: Reply()
        lab.subscribe("kim@example.com")
        post_due(lab)
        assert len(receiver.got) == 2


@pytest.mark.parametrize(
    ("reply", "seconds"),
    [
        (Reply(429, {"retry-after": "90"}), 90),
        (Reply(503, {"retry-after": "90"}), 90),
        (Reply(502), 4.5),
        (Reply(504), 4.5),
    ],
)
def test_a_busy_endpoint_is_left_alone(tmp_path: Path, receiver: Receiver, reply: Reply, seconds: float) -> None:
    receiver.script = lambda received: reply
    with a_lab(tmp_path, receiver.url) as lab:
        for name in ("ada", "bob", "eve"):
            lab.subscribe(f"{name}@example.com")
        for _ in range(3):
            post_due(lab)
        assert len(receiver.got) == 1, "the others were not even tried"
        receiver.script = lambda received: Reply()
        lab.now += timedelta(seconds=seconds - 0.1)
        post_due(lab)
        assert len(receiver.got) == 1
        lab.now += timedelta(seconds=2)
        post_due(lab)
        assert len(receiver.got) == 4


@contextmanager
def a_dead_endpoint() -> Iterator[tuple[str, list[int], threading.Event]]:
    """One that takes posts and says nothing until the event is set; its URL, a list that grows per connection."""
    over = threading.Event()

    def silence(connection: socket.socket) -> None:
        over.wait(10 * PATIENCE)

    with saying(silence) as (url, came):
        try:
            yield url, came, over
        finally:
            over.set()


def test_a_dead_endpoint_among_live_ones_delays_none(tmp_path: Path, receiver: Receiver) -> None:
    with (
        a_dead_endpoint() as (dead, came, over),
        receiving() as other,
        a_lab(tmp_path, dead, receiver.url, other.url) as lab,
    ):
        for number in range(40):
            lab.subscribe(f"p{number}@example.com")
        with courier(lab, lambda: http_poster(10 * PATIENCE)):
            receiver.wait_for(40)
            other.wait_for(40)
            assert len(came) == 1, "a failing endpoint has one thread, which still waits"
            over.set()


def test_a_dead_endpoint_holds_up_the_end_of_a_run_for_one_try(tmp_path: Path) -> None:
    with a_dead_endpoint() as (dead, came, _), a_lab(tmp_path, dead) as lab:
        for number in range(20):
            lab.subscribe(f"p{number}@example.com")
        post_due(lab, lambda: http_poster(1.0))
        assert len(came) == 1


def test_both_secrets_of_drip_yaml_sign(tmp_path: Path, receiver: Receiver) -> None:
    with open_lab(tmp_path, webhooks=(WebhookEndpoint(receiver.url, (SECRET, OTHER_SECRET)),)) as lab:
        lab.apply(a_sequence(a_step("one")))
        lab.subscribe("ada@example.com")
        post_due(lab)
        assert receiver.got[0].verified(SECRET) == receiver.got[0].verified(OTHER_SECRET)


def test_couriers_on_one_file_never_post_the_same(tmp_path: Path, receiver: Receiver) -> None:
    receiver.script = lambda received: Reply(wait=0.005)
    with a_lab(tmp_path, receiver.url) as lab:
        lab.crowd(150)
        stores = [Store(database_at(tmp_path / "drip.db"), lab.settings) for _ in range(4)]
        couriers = [courier(lab, store=store) for store in stores]
        for one in couriers:
            one.__enter__()
        receiver.wait_for(150)
        for one in couriers:
            assert one.finish(PATIENCE)
            one.__exit__(None, None, None)
        assert set(Counter(received.id for received in receiver.got).values()) == {1}
        assert len(receiver.got) == 150


KILLED = """
import sys
from datetime import datetime
from pathlib import Path
from drip.notify.courier import Courier
from tests.notify.test_courier import a_lab, courier
with a_lab(Path(sys.argv[1]), sys.argv[2]) as lab, courier(lab) as one:
    one.finish(60)
"""


@pytest.mark.parametrize("killed_at", ["before the answer", "after the answer"])
def test_killed_between_post_and_record_it_arrives_again_with_equal_octets(
    tmp_path: Path, receiver: Receiver, killed_at: str
) -> None:
    with a_lab(tmp_path, receiver.url) as lab:
        lab.subscribe("ada@example.com")
        process: list[subprocess.Popen[bytes]] = []
        killed = threading.Event()

        def kill(received: Received) -> Reply:
            if killed_at == "before the answer":
                os.kill(process[0].pid, signal.SIGKILL)
            else:
                threading.Timer(0.0, os.kill, (process[0].pid, signal.SIGKILL)).start()
            return Reply()

        if killed_at == "after the answer":
            # The database is locked, so that the answer comes and can't be recorded.
            receiver.script = lambda received: _lock_and(lab, kill, received, killed)
        else:
            receiver.script = kill
        root = Path(__file__).parents[2]
        process.append(subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path), receiver.url], cwd=root))
        receiver.wait_for(1)
        assert process[0].wait(PATIENCE) == -signal.SIGKILL
        killed.set()
        receiver.script = lambda received: Reply()
        post_due(lab)
        assert len(receiver.got) == 1, "its lease still runs"
        lab.store.database.run("UPDATE webhook_delivery SET lease_until = 1")
        post_due(lab)
        first, second = receiver.got
        assert (first.id, first.body) == (second.id, second.body)
        assert lab.store.webhooks.deliveries()[0].state is PostState.DELIVERED


def _lock_and(lab: Lab, kill: Callable[[Received], Reply], received: Received, killed: threading.Event) -> Reply:
    locked = threading.Event()

    def hold() -> None:
        database = database_at(lab.folder / "drip.db")
        with database.connected(), database.transaction():
            locked.set()
            killed.wait(PATIENCE)

    threading.Thread(target=hold, daemon=True).start()
    assert locked.wait(PATIENCE)
    threading.Timer(0.5, kill, (received,)).start()
    return Reply()


class Recorder:
    """A poster without a net."""

    def __init__(self, answer: Answer | BaseException = Answer(200, "ok")) -> None:  # noqa: B008
        self.posted: list[str] = []
        self._answer = answer

    def post(self, endpoint: Endpoint, public_id: str, body: bytes) -> Answer:
        self.posted.append(public_id)
        if isinstance(self._answer, BaseException):
            raise self._answer
        return self._answer

    def close(self) -> None:
        """Nothing is open."""


def test_what_can_not_be_recorded_now_is_recorded_later_and_not_posted_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, failures = Webhooks.record, [1, 1, 1]

    def record(self: Webhooks, post: Post, *args: object, **given: object) -> bool:
        if failures:
            failures.pop()
            raise DatabaseUnavailable("the disk is full")
        return real(self, post, *args, **given)  # type: ignore[arg-type]

    monkeypatch.setattr(Webhooks, "record", record)
    monkeypatch.setattr("drip.notify.courier.POLL", 0.05)
    recorder = Recorder()
    with a_lab(tmp_path, "https://example.com/") as lab:
        lab.subscribe("ada@example.com")
        post_due(lab, lambda: recorder)
        assert len(recorder.posted) == 1
        assert lab.store.webhooks.deliveries()[0].state is PostState.DELIVERED


def test_a_bug_is_raised_not_hidden(tmp_path: Path) -> None:
    with a_lab(tmp_path, "https://example.com/") as lab:
        lab.subscribe("ada@example.com")
        sender = courier(lab, lambda: Recorder(KeyError("a bug")))
        with pytest.raises(KeyError, match="a bug"), sender:
            sender.finish(5)
        # What was claimed is not lost.
        assert lab.store.webhooks.backlog().waiting == 1


def test_the_end_gives_back_what_was_not_posted(tmp_path: Path, receiver: Receiver) -> None:
    receiver.script = lambda received: Reply(wait=0.3)
    with a_lab(tmp_path, receiver.url) as lab:
        for number in range(30):
            lab.subscribe(f"p{number}@example.com")
        with courier(lab):
            receiver.wait_for(3)
        rows = lab.store.webhooks.deliveries()
        assert Counter(row.state for row in rows)[PostState.DELIVERED] == len(receiver.got)
        assert lab.store.database.value("SELECT COUNT(*) FROM webhook_delivery WHERE owner IS NOT NULL") == 0


def test_mail_does_not_wait_for_a_dead_endpoint(tmp_path: Path) -> None:
    with a_dead_endpoint() as (dead, came, over), a_lab(tmp_path, dead) as lab:
        lab.crowd(300)
        with courier(lab, lambda: http_poster(10 * PATIENCE)):
            while not came:
                time.sleep(0.01)
            assert lab.tick().counts["sent"] == 300
            assert {row.attempts for row in lab.store.webhooks.deliveries()} == {0}, "its first post still waits"
            assert len(came) == 1
            over.set()


def _private(lab: Lab) -> Settings:
    return replaced(lab.settings, webhooks_allow_private=True)
