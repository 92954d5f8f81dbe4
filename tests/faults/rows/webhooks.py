"""Rows 23 and 24: webhooks reach no inner address, and every event arrives at least once, the same octets each time."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from random import Random
from unittest.mock import patch

from standardwebhooks import Webhook

import drip.notify.addresses
from drip.core.webhooks import PostState
from drip.engine.records import Post
from drip.notify.courier import Courier
from drip.notify.post import HttpPoster
from drip.store.webhooks import Webhooks
from tests.core.test_networks import INNER
from tests.faults.processes import Child, fork
from tests.faults.registry import Case, Control, Figures, Row
from tests.faults.rows.beside import mail_trial, post_inline
from tests.faults.trial import look_over
from tests.lab import Lab
from tests.notify.receiver import SECRET, Received, Receiver, Reply, receiving
from tests.notify.test_addresses import a_keys_endpoint
from tests.notify.test_courier import a_lab, http_poster

ADDRESSES = [address for address in INNER if ":" in address or address.count(".") == 3]
SPELLINGS = ("127.0.0.1", "127.1", "2130706433", "0177.0.0.1", "0x7f000001", "0", "localhost", "[::1]", "[::]",
             "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::1%lo]", "user:secret@127.0.0.1")  # fmt: skip
SHARE = 20
"""Inner addresses of a trial, of those that there are."""


def inner_trial(case: Case) -> Figures:
    """Names that resolve to inner addresses, at once or from the second look on, every spelling of loopback."""
    figures, random = Figures(trials=1), case.random
    dialled: list[tuple[str, int]] = []
    real = socket.create_connection

    def dial(address: tuple[str, int], *args: object, **given: object) -> socket.socket:
        dialled.append(address)
        if address[0] not in ("127.0.0.1", "::1"):
            raise ConnectionRefusedError(111, "not from here")
        return real(address, *args, **given)  # type: ignore[arg-type]

    with receiving() as canary, patch.object(socket, "create_connection", dial):
        for inner in random.sample(ADDRESSES, SHARE):
            answers = iter([*random.choice(([], ["8.8.8.8"])), *[inner] * 9])
            with _poster(answers) as poster:
                for _ in range(2):
                    answer = poster.post(a_keys_endpoint(f"https://hooks.example.com:{canary.port}/x"), "evt_1", b"{}")
                    figures.breach(answer.is_success, f"posted to {inner}")
                    figures.faults += 1
        for host in SPELLINGS:
            with _poster(None) as poster:
                poster.post(a_keys_endpoint(f"https://{host}:{canary.port}/x"), "evt_1", b"{}")
                figures.faults += 1
        inside = [address for address, _ in dialled if address != "8.8.8.8"]
        figures.breach(bool(inside), f"connected to {sorted(set(inside))[:5]}")
        figures.breach(canary.connections > 0, f"connected to loopback {canary.connections} times")
        canary.script = lambda received: Reply(307, {"location": f"http://127.0.0.1:{canary.port}/inner"})
        with _poster(iter(["127.0.0.1"] * 3), allow_private=True) as poster:
            poster.post(a_keys_endpoint(canary.url), "evt_1", b"{}")
        figures.breach(any(received.path == "/inner" for received in canary.got), "followed a redirect")
    return figures


@contextmanager
def _poster(answers: Iterator[str] | None, *, allow_private: bool = False) -> Iterator[HttpPoster]:
    given = {} if answers is None else {"resolve": lambda host, port: [next(answers)]}
    poster = HttpPoster(allow_private=allow_private, seconds=5, tls=_tls(), **given)
    try:
        yield poster
    finally:
        poster.close()


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()  # reading the system's authorities takes longer than a post


@contextmanager
def checked_at_creation_only() -> Iterator[None]:
    """The URL was looked at when it was set; whatever its name resolves to now is connected to."""
    with patch.object(drip.notify.addresses, "is_public", lambda address: True):
        yield


EVENTS = 12
"""Of a trial, told to two endpoints."""
KILLS = 3
MOODS = ("well", "500", "302", "429", "slow", "hangs up", "endless")


def courier_or_mail(case: Case) -> Figures:
    """Row 24's trials: after each round of the moods, one that looks at the mail."""
    rest = case.number % (len(MOODS) + 1)
    return mail_trial(case) if rest == len(MOODS) else courier_trial(replace(case, number=rest))


def courier_trial(case: Case) -> Figures:
    """Senders are killed in the middle while an endpoint misbehaves; then it is well, and all is there."""
    figures, random = Figures(trials=1), case.random
    mood = MOODS[case.number % len(MOODS)]
    log = case.folder / "posts.jsonl"
    with a_receiver(log, mood, random.getrandbits(32)) as port:
        url = f"http://127.0.0.1:{port}"
        with a_lab(case.folder, f"{url}/good", f"{url}/moody") as lab:
            for number in range(EVENTS):
                lab.subscribe(f"p{number}@example.com")
            wanted = {entry.id for entry in lab.store.events.entries(limit=1000) if entry.type == "sequence.subscribed"}
            now = lab.now
        for number in range(KILLS):
            figures.kills += _kill_one(case.folder, url, random, log, number)
        with a_lab(case.folder, f"{url}/good", f"{url}/moody") as lab:
            lab.now = now
            _until_all_is_told(lab, log)
            states = {row.state for row in lab.store.webhooks.deliveries()}
            figures.breach(states != {PostState.DELIVERED}, f"{mood}: left as {states}")
            look_over(lab.store.database, figures)
    figures.faults = EVENTS
    seen: dict[tuple[str, str], set[bytes]] = {}
    taken = set()
    for line in log.read_text().splitlines():
        post = json.loads(line)
        body, headers = base64.b64decode(post["body"]), post["headers"]
        if len(body) < int(headers["content-length"]):
            continue  # its sender was killed in the middle of it
        seen.setdefault((post["path"], headers["webhook-id"]), set()).add(body)
        if post["status"] == 200:
            taken.add((post["path"], headers["webhook-id"]))
        try:
            Webhook(SECRET).verify(body, headers)
        except Exception as error:
            figures.breaches.append(f"{mood}: a signature that is not accepted: {error}")
    for path in ("/good", "/moody"):
        missing = wanted - {event for at, event in taken if at == path}
        figures.lost += len(missing)
        figures.breach(bool(missing), f"{mood}: never taken by {path}: {len(missing)} of {len(wanted)}")
    different = [key for key, bodies in seen.items() if len(bodies) > 1]
    figures.breach(bool(different), f"{mood}: other octets the second time: {different[:3]}")
    return figures


def _kill_one(folder: Path, url: str, random: Random, log: Path, number: int) -> bool:
    """Run a courier in a process of its own, and kill it a moment after a post has come."""
    before = _count(log)

    def work() -> None:
        with a_lab(folder, f"{url}/good", f"{url}/moody") as lab, _courier(lab, Random(number)) as courier:
            courier.finish(20)

    child = fork(work, folder / "errors.txt")
    deadline = time.monotonic() + 20
    while _count(log) <= before and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    time.sleep(random.random() * 0.05)
    killed = child.kill()
    with a_lab(folder, f"{url}/good", f"{url}/moody") as lab:
        lab.store.database.run("UPDATE webhook_delivery SET lease_until = 1 WHERE lease_until IS NOT NULL")
    return killed


def _courier(lab: Lab, random: Random) -> Courier:
    return Courier(lab.store, lambda: http_poster(0.5), clock=lambda: lab.now, random=random)


def _until_all_is_told(lab: Lab, log: Path) -> None:
    """Move the clock along the schedule; the endpoint is well from now on."""
    (log.parent / "well").touch()
    for _ in range(12):
        with _courier(lab, Random(1)) as courier:
            courier.finish(20)
        if {row.state for row in lab.store.webhooks.deliveries()} == {PostState.DELIVERED}:
            return
        lab.now += timedelta(hours=6)


def _count(log: Path) -> int:
    return log.read_bytes().count(b"\n") if log.exists() else 0


@contextmanager
def a_receiver(log: Path, mood: str, seed: int) -> Iterator[int]:
    """A receiver in a process of its own that writes down what came before it answers; gives its port."""
    reading, writing = os.pipe()

    def serve() -> None:
        os.close(reading)
        random = Random(seed)
        with receiving() as receiver, log.open("ab", buffering=0) as lines:
            receiver.script = _script(receiver, lines.write, mood, random, log.parent / "well")
            os.write(writing, b"%d\n" % receiver.port)
            signal.pause()

    child: Child = fork(serve, log.with_suffix(".errors"))
    os.close(writing)
    try:
        with os.fdopen(reading) as pipe:
            yield int(pipe.readline())
    finally:
        child.kill()


def _script(
    receiver: Receiver, write: Callable[[bytes], object], mood: str, random: Random, well: Path
) -> Callable[[Received], Reply]:
    replies = {
        "500": Reply(500),
        "302": Reply(302, {"location": "/elsewhere"}),
        "429": Reply(429, {"retry-after": "1"}),
        "slow": Reply(wait=0.7),
        "hangs up": Reply(200, {"content-length": "100"}),
        "endless": Reply(503, body=b"x" * 200_000),
    }

    def answer(received: Received) -> Reply:
        is_well = received.path == "/good" or well.exists() or random.random() < 0.3
        reply = Reply(wait=0.01) if is_well else replies.get(mood, Reply(wait=0.01))
        body = base64.b64encode(received.body).decode()
        line = {"path": received.path, "headers": received.headers, "body": body, "status": reply.status}
        write(json.dumps(line).encode() + b"\n")
        return reply

    return answer


@contextmanager
def record_then_post() -> Iterator[None]:
    """What is claimed counts as delivered: at most once."""
    claim = Webhooks.claim

    def claim_and_record(self: Webhooks, *args: object, **given: object) -> list[Post]:
        posts = claim(self, *args, **given)  # type: ignore[arg-type]
        for post in posts:
            self._database.run(
                "UPDATE webhook_delivery SET state = 'delivered', owner = NULL, lease_until = NULL,"
                " next_attempt_at = NULL WHERE id = ?",
                post.id,
            )
        return posts

    with patch.object(Webhooks, "claim", claim_and_record):
        yield


ROWS = [
    Row(
        number=23,
        promise="Webhooks reach no inner address",
        fault="names of every blocked range, rebinding, spellings of loopback, zones, logins, redirects",
        ci=20 * (2 * SHARE + len(SPELLINGS)),
        release=10_000,
        unit="posts",
        per_trial=2 * SHARE + len(SPELLINGS),
        trial=inner_trial,
        control=Control("checks at creation only", checked_at_creation_only, within=2, shows="connected to"),
    ),
    Row(
        number=24,
        promise="Webhooks arrive at least once, with equal octets",
        fault="500, 302, 429, slow, cut off, endless; kill -9 of the sender; no answer at all while mail goes out",
        ci=50,
        release=500,
        unit="kills",
        per_trial=KILLS - 1,
        table=len(MOODS) + 1,
        trial=courier_or_mail,
        control=Control("records, then posts", record_then_post, within=len(MOODS), shows="never taken"),
        more_controls=(Control("posts where it records", post_inline, within=1, shows="waited", trial=mail_trial),),
    ),
]
