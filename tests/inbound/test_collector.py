"""The mailbox is read beside the worker; what goes wrong is kept where `status` finds it, and the loop goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from drip.engine.reports import Taken
from drip.errors import Unavailable
from drip.inbound.collector import Collector
from drip.inbound.sources import Letter, MaildirSource
from drip.inbound.taking import Taker
from tests.inbound.post import EMAIL, PostOffice


def collector(
    post: PostOffice, source: object, told: Callable[[Taken], None] = lambda taken: None, grace: float = 3.0
) -> Collector:
    lab = post.lab
    taker = Taker(lab.store, lab.settings, post.reader, lambda: lab.now)
    return Collector(lab.store, source, taker, clock=lambda: lab.now, told=told, every=0.01, grace=grace)  # type: ignore[arg-type]


def test_it_reads_again_and_again(post: PostOffice, tmp_path: Path) -> None:
    box = tmp_path / "box"
    for name in ("new", "tmp"):
        (box / name).mkdir(parents=True)
    came = threading.Semaphore(0)
    with collector(post, MaildirSource(box), lambda taken: came.release()) as running:
        for name in ("failed-for-now", "postfix-user-unknown"):
            (box / "tmp" / name).write_bytes(post.sample(name))
            (box / "tmp" / name).rename(box / "new" / name)
            assert came.acquire(timeout=120)
        running.check()
    assert post.suppressed == {EMAIL: "bounce"}
    found = post.lab.store.reports.inbox()
    assert found is not None
    assert (found.read_at, found.error) == (post.lab.now, None)


class Failing:
    """A mailbox that fails, then works."""

    def __init__(self, times: int) -> None:
        self.left = times
        self.worked = threading.Event()

    @contextmanager
    def opened(self) -> Iterator[Iterable[Letter]]:
        if self.left:
            self.left -= 1
            raise Unavailable("imap.example.com:993 can't be read now: no route to host")
        yield []
        self.worked.set()


def test_an_error_is_kept_until_it_works_again(post: PostOffice) -> None:
    reports, source = post.lab.store.reports, Failing(2)
    reports.note_error("before", post.lab.now)
    post.lab.move("1h")
    reports.note_error("still", post.lab.now)
    found = reports.inbox()
    assert found is not None
    assert (found.error, found.error_at) != (None, post.lab.now)
    with collector(post, source):
        assert source.worked.wait(10)
    found = reports.inbox()
    assert found is not None
    assert found.error is None


def test_it_ends_while_a_server_does_not_answer(post: PostOffice) -> None:
    entered, release = threading.Event(), threading.Event()

    class Silent:
        @contextmanager
        def opened(self) -> Iterator[Iterable[Letter]]:
            entered.set()
            release.wait(30)
            yield []

    running = collector(post, Silent(), grace=0.01)
    with running:
        assert entered.wait(10)
    assert running.thread.is_alive()
    release.set()
    running.thread.join(10)
    assert not running.thread.is_alive()
