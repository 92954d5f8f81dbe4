"""Posts what is due, beside the worker: one thread owns the database, as many as need be wait for endpoints.

An endpoint that is slow or dead holds up nobody: each has its own share of the threads, and a failing one has one.
What happened to one person is told one after the other, so that it arrives in order as long as it arrives.
Mail is never waited for or delayed; what can't be recorded now is kept and recorded later. HTTP and signatures load
with the first post.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from queue import Empty, SimpleQueue
from random import Random
from typing import Protocol
from uuid import uuid4

from drip.core.webhooks import Answer, judge
from drip.engine.ports import Store
from drip.engine.records import Endpoint, Post
from drip.errors import DatabaseUnavailable

LEASE = timedelta(seconds=60)
"""How long a claim stands: well over the 15 seconds that a post may take."""
STARTS_WITHIN = 30.0
"""Seconds after its claim that a post may begin; a process that slept longer gives it up."""
POLL = 0.5
"""Seconds between two looks for what is due."""
SHARE = 8
"""Posts to one endpoint side by side, while it answers well."""
THREADS = 64
"""Posts side by side in all."""
KEEP = timedelta(days=30)
"""How long what was delivered is kept, to be looked at and replayed."""
PRUNE_EVERY = 3600.0
"""Seconds."""
PRUNED_AT_ONCE = 1000


class Poster(Protocol):
    """What makes one post."""

    def post(self, endpoint: Endpoint, public_id: str, body: bytes) -> Answer:
        """Post, and say what came of it; an exception is a bug."""
        ...

    def close(self) -> None:
        """Close what is kept open."""
        ...


@dataclass(slots=True)
class _Lane:
    """One endpoint's share of the threads."""

    slots: int = 1
    """Posts that may be made side by side: one more for each success, one alone after a failure."""
    busy: int = 0
    failed: bool = False
    """Whether its last post failed."""


@dataclass(frozen=True, slots=True)
class _Job:
    post: Post
    endpoint: Endpoint
    begin_by: float
    """Of the monotonic clock."""

    @property
    def line(self) -> tuple[int, int] | None:
        """Posts of one line are made one after the other; None: at any time."""
        who = self.post.subscription_id
        return None if who is None else (self.endpoint.id, who)


@dataclass(frozen=True, slots=True)
class _Done:
    job: _Job
    answer: Answer | None
    """None: it was not posted."""


class Courier:
    """Use as a context manager: entering starts the thread, leaving stops it."""

    def __init__(
        self,
        store: Store,
        make_poster: Callable[[], Poster],
        *,
        clock: Callable[[], datetime],
        random: Random | None = None,
        grace: float = 3.0,
    ) -> None:
        """
        Args:
            make_poster: called when there is something to be posted, not before.
            clock: the moment as schedules see it; leases and signatures use the real one.
            grace: seconds that posts in hand are waited for at the end.
        """
        self._store = store
        self._make_poster = make_poster
        self._clock = clock
        self._random = random or Random()
        self._grace = grace
        self._owner = uuid4().hex
        self._poster: Poster | None = None
        self._lanes: dict[int, _Lane] = {}
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._done: SimpleQueue[_Done | None] = SimpleQueue()
        self._posting: list[threading.Thread] = []
        self._in_hand: dict[int, _Job] = {}
        self._lines: dict[tuple[int, int], deque[_Job]] = {}
        """Who waits behind a post that is being made."""
        self._unrecorded: list[_Done] = []
        self._pruned = float("-inf")
        self._halt = threading.Event()
        self._finishing = threading.Event()
        self._nothing_left = threading.Event()
        self._broken: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="drip-courier", daemon=True)

    def __enter__(self) -> Courier:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._halt.set()
        self._done.put(None)
        self._thread.join()
        if exc[0] is None:
            self.check()

    def check(self) -> None:
        """Raise what broke the courier, if anything did."""
        if self._broken is not None:
            raise self._broken

    def finish(self, seconds: float, *, given_up: Callable[[], bool] = lambda: False) -> bool:
        """Post what is due now, each at most once; whether nothing was left.

        Args:
            seconds: it takes no longer.
            given_up: asked now and then; True ends it.
        """
        self._finishing.set()
        self._done.put(None)
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0 and not given_up():
            if self._nothing_left.wait(min(left, POLL)):
                return True
        return False

    def _run(self) -> None:
        try:
            with self._store.connected():
                with suppress(DatabaseUnavailable):
                    self._store.endpoints.retire_undeclared(self._clock())
                while not self._halt.is_set() and self._broken is None:
                    self._round()
                self._end()
        except BaseException as error:
            self._broken = error
        finally:
            self._nothing_left.set()
            for _ in self._posting:
                self._jobs.put(None)
            if self._poster is not None and not self._in_hand:
                self._poster.close()

    def _round(self) -> None:
        """Record what came back, and hand out what is due."""
        finishing = self._finishing.is_set()
        try:
            handed_out = self._look(finishing)
        except DatabaseUnavailable:
            # What came back is still in `_unrecorded`; what is due stays due.
            self._halt.wait(POLL)
            return
        if finishing and not handed_out and not self._in_hand and not self._unrecorded:
            self._nothing_left.set()
        self._collect(POLL)

    def _look(self, finishing: bool) -> int:
        now = self._clock()
        wanted = [] if self._halt.is_set() else self._wanted(now, finishing)
        prunes = time.monotonic() - self._pruned > PRUNE_EVERY
        if not wanted and not self._unrecorded:
            return 0
        with self._store.transaction():
            self._record(now)
            if prunes:
                self._store.webhooks.prune(now - KEEP, PRUNED_AT_ONCE)
            jobs = self._claim(wanted, now)
        # Only what is committed counts.
        self._unrecorded.clear()
        if prunes:
            self._pruned = time.monotonic()
        for job in jobs:
            self._hand_out(job)
        return len(jobs)

    def _wanted(self, now: datetime, finishing: bool) -> list[Endpoint]:
        """The endpoints that something is due for, and that have a free slot."""
        awake = self._store.awake()
        wanted = []
        for endpoint in self._store.endpoints.all():
            lane = self._lanes.setdefault(endpoint.id, _Lane())
            held = endpoint.disabled_at or (endpoint.held_until and endpoint.held_until > now)
            if held or lane.busy >= lane.slots or (finishing and lane.failed):
                continue
            if self._store.webhooks.any_due(endpoint.id, now, awake):
                wanted.append(endpoint)
        return wanted

    def _claim(self, wanted: list[Endpoint], now: datetime) -> list[_Job]:
        awake, begin_by = self._store.awake(), time.monotonic() + STARTS_WITHIN
        free = THREADS - len(self._in_hand)
        jobs: list[_Job] = []
        for endpoint in wanted:
            lane = self._lanes[endpoint.id]
            limit = min(lane.slots - lane.busy, free - len(jobs))
            if limit <= 0:
                continue
            posts = self._store.webhooks.claim(endpoint.id, self._owner, now, awake, awake + LEASE, limit)
            jobs += [_Job(post, endpoint, begin_by) for post in posts]
        return jobs

    def _hand_out(self, job: _Job) -> None:
        self._in_hand[job.post.id] = job
        self._lanes[job.endpoint.id].busy += 1
        if self._poster is None:
            self._poster = self._make_poster()
        if len(self._posting) < len(self._in_hand):
            thread = threading.Thread(
                target=self._post, args=(self._poster,), name=f"drip-post-{len(self._posting) + 1}", daemon=True
            )
            self._posting.append(thread)
            thread.start()
        if job.line is None:
            self._jobs.put(job)
        elif job.line in self._lines:
            self._lines[job.line].append(job)
        else:
            self._lines[job.line] = deque()
            self._jobs.put(job)

    def _post(self, poster: Poster) -> None:
        while (job := self._jobs.get()) is not None:
            answer = None
            try:
                if time.monotonic() < job.begin_by and not self._halt.is_set():
                    answer = poster.post(job.endpoint, job.post.public_id, job.post.body)
            except BaseException as error:
                self._broken = self._broken or error
            self._done.put(_Done(job, answer))

    def _collect(self, seconds: float) -> None:
        """Wait for something to come back, and take all that has."""
        try:
            done = self._done.get(timeout=seconds)
            while True:
                if done is not None:
                    self._take(done)
                done = self._done.get_nowait()
        except Empty:
            return

    def _take(self, done: _Done) -> None:
        del self._in_hand[done.job.post.id]
        if (line := done.job.line) is not None:
            if self._lines[line]:
                self._jobs.put(self._lines[line].popleft())
            else:
                del self._lines[line]
        lane = self._lanes[done.job.endpoint.id]
        lane.busy -= 1
        if done.answer is not None:
            lane.failed = not done.answer.is_success
            lane.slots = 1 if lane.failed else min(lane.slots + 1, SHARE)
        self._unrecorded.append(done)

    def _record(self, now: datetime) -> None:
        for done in self._unrecorded:
            if done.answer is None:
                self._store.webhooks.release(self._owner, [done.job.post.id])
            else:
                self._record_answer(done.job, done.answer, now)

    def _record_answer(self, job: _Job, answer: Answer, now: datetime) -> None:
        post, endpoint = job.post, job.endpoint
        verdict = judge(answer, post.attempts + 1, now, jitter=self._random.uniform(-1, 1))
        self._store.webhooks.record(
            *(post, self._owner, verdict.state, now),
            next_attempt_at=verdict.next_attempt_at,
            status=answer.status,
            answer=answer.text or None,
        )
        if verdict.disables:
            self._store.endpoints.disable(endpoint.id, "the endpoint was disabled: it said 410 Gone", now)
        if verdict.hold_until is not None:
            self._store.endpoints.hold(endpoint.id, verdict.hold_until)

    def _end(self) -> None:
        """Wait a little for what is in hand, record it, and give back the rest when its lease runs out."""
        deadline = time.monotonic() + self._grace
        while self._in_hand and (left := deadline - time.monotonic()) > 0:
            self._collect(left)
        if not self._unrecorded:
            return
        # What can't be recorded is posted once more when its lease has run out: the receiver knows it by its id.
        with suppress(DatabaseUnavailable), self._store.transaction():
            self._record(self._clock())
