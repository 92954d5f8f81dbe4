"""Row 24, the other half: mail waits for no webhook.

By how much a slow endpoint slows mail down is measured in `tests/benchmarks/bench_webhooks.py`: that is no matter of
yes and no. Here an endpoint answers nothing until all mail is out, so that whoever waits for it waits in vain.
"""

from __future__ import annotations

import os
import signal
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from unittest.mock import patch

from drip.engine.results import Fact
from drip.engine.worker import Worker
from tests.faults.processes import Child, fork
from tests.faults.registry import Case, Figures
from tests.faults.trial import Trial, a_trial, run_drip
from tests.notify.receiver import SECRET, Received, Reply, receiving

DUE = 20
SECONDS = 10.0
"""In which at least one message more must go out; it takes a hundredth of that."""


def mail_trial(case: Case) -> Figures:
    """No post is answered until the mail server has every message."""
    figures = Figures(trials=1, faults=1)
    posts, free = case.folder / "posts.txt", case.folder / "free"
    with a_trial(case, due=DUE, connections=case.random.randint(1, 4), latency=0.002) as one:
        with _holding(posts, free) as port:
            url = f"http://127.0.0.1:{port}/hooks"
            with (one.folder / "drip.yaml").open("a") as config:
                config.write(f"webhooks:\n  - {{url: '{url}', secret: {SECRET}}}\n")
            child = run_drip(one, "run", "--once")
            sent = _sent_without_a_pause(one, child)
            _one_post_has_come(posts, time.monotonic() + SECONDS)
            figures.breach(not posts.exists(), "no webhook was posted beside the mail")
            figures.breach(sent < DUE, f"mail waited for webhooks: {sent} of {DUE} were sent, then none")
            free.touch()
            code = child.wait()
            figures.breach(code != 0, f"exit code {code}: {one.errors.read_text()[-300:]}")
        figures.breach(_untold(one) > 0 and sent == DUE, f"{_untold(one)} events were not told")
        one.look_over(figures)
    return figures


def _sent_without_a_pause(one: Trial, child: Child) -> int:
    """How many messages the server has when all are sent, the process has ended, or nothing went on."""
    sent, deadline = 0, time.monotonic() + SECONDS
    while sent < DUE and time.monotonic() < deadline and child.poll() is None:
        time.sleep(0.005)
        if (now := one.accepted()) > sent:
            sent, deadline = now, time.monotonic() + SECONDS
    return one.accepted()


def _one_post_has_come(posts: Path, deadline: float) -> None:
    while not posts.exists() and time.monotonic() < deadline:
        time.sleep(0.005)


def _untold(one: Trial) -> int:
    with one.project().opened() as store:
        return int(store.database.value("SELECT COUNT(*) FROM webhook_delivery WHERE state <> 'delivered'"))


@contextmanager
def _holding(posts: Path, free: Path) -> Iterator[int]:
    """A receiver in a process of its own that answers nobody before the file `free` is there; gives its port."""
    reading, writing = os.pipe()

    def answer(received: Received) -> Reply:
        with posts.open("a") as lines:
            lines.write(f"{received.id}\n")
        while not free.exists():
            time.sleep(0.005)
        return Reply()

    def serve() -> None:
        os.close(reading)
        with receiving() as receiver:
            receiver.script = answer
            os.write(writing, b"%d\n" % receiver.port)
            signal.pause()

    child = fork(serve, posts.with_suffix(".errors"))
    os.close(writing)
    try:
        with os.fdopen(reading) as pipe:
            yield int(pipe.readline())
    finally:
        child.kill()


@contextmanager
def post_inline() -> Iterator[None]:
    """Whoever records an outcome posts it, and waits for the answer."""
    note = Worker._note

    def note_and_post(self: Worker, fact: Fact) -> None:
        note(self, fact)
        url = self._store.endpoints.all()[0].url
        with suppress(OSError):
            urllib.request.urlopen(urllib.request.Request(url, b"{}", {"webhook-id": "evt_0"}), timeout=SECONDS)

    with patch.object(Worker, "_note", note_and_post):
        yield
