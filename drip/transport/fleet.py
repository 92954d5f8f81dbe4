"""Many conversations led by one thread: whoever can go on goes on, and their marks are made together.

What is said is in `conversation.py`. Connections are opened by threads of their own, as that takes its time.
"""

from __future__ import annotations

import select
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from drip.engine.ports import Desk
from drip.transport.conversation import QUIT_SECONDS, Ask, Conversation, Say, Talk
from drip.transport.replies import BLOCK

HOLD = 0.005
"""Seconds that results may wait for marks to share a transaction with."""
MOST = 500
"""Messages marked together at the most."""
SPARE = 0.05
"""Seconds of waiting for the servers that are remembered as time to spare: in it each message has its own commit, so
that the answers do not come all at once and then wait for each other. Where time is short a group shares one."""
PATIENCE, MOMENT = 0.05, 0.001
"""Seconds that something else is done while somebody else writes, and of sleep when there is nothing else."""
QUICK = 0.5
"""Seconds for the answer to a dot, up to which somebody may wait behind it."""
_LATER = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class _Lane:
    """One conversation, with the message it is at."""

    __slots__ = (
        "awaits",
        "conversation",
        "deadline",
        "due",
        "marked_at",
        "parcel",
        "quick",
        "saying",
        "talk",
        "unsent",
        "upcoming",
    )

    def __init__(self, conversation: Conversation) -> None:
        self.conversation = conversation
        self.parcel: Any = None
        self.upcoming: Any = None
        """The parcel that comes next on this connection, when its first words may go with a dot."""
        self.talk: Any = None
        self.saying: Any = None
        self.unsent: memoryview | None = None
        """What is still to be sent; None while an answer is waited for."""
        self.awaits = select.POLLIN
        """What its socket is watched for while something is still to be sent."""
        self.deadline = self.due = 0.0
        """When it is given up if nothing comes, and when something is to be done about it; by the monotonic clock."""
        self.marked_at = 0.0
        self.quick = False
        """Whether the last dot was answered soon."""

    def wait(self, seconds: float) -> None:
        """Something must come within so many."""
        self.deadline = self.due = time.monotonic() + seconds
        if self.upcoming is not None:
            self.due = min(self.deadline, self.marked_at + QUICK)


class SmtpFleet:
    """Fulfils `engine.ports.Fleet`; all but `wake` is for one thread."""

    def __init__(self, conversations: Sequence[Conversation]) -> None:
        self._lanes = [_Lane(conversation) for conversation in conversations]
        self._free = list(self._lanes)
        self._turning: list[_Lane] = []
        """Those that have ended a message, and know which is next."""
        self._stranded: deque[Any] = deque()
        """Parcels whose connection takes longer than it was thought."""
        self._marking: list[_Lane] = []
        self._asking_since: float | None = None
        """Since when those that are to be marked wait for somebody else who writes."""
        self._spare = 0.0
        """Seconds that were spent waiting for the servers, and not yet on commits."""
        self._finished: list[tuple[Any, Any]] | None = None
        """What is for the desk after the dots; None when it can be told at once."""
        self._waiting: dict[int, _Lane] = {}
        """By the socket's number: those that wait to be able to send or receive."""
        self._connecting: set[_Lane] = set()
        self._connected: deque[tuple[_Lane, Any, BaseException | None]] = deque()
        self._poll = select.poll()
        self._ear, self._bell = socket.socketpair()
        self._ear.setblocking(False)
        self._bell.setblocking(False)
        self._poll.register(self._ear, select.POLLIN)

    def carry(self, desk: Desk[Any]) -> None:
        """Hand over what the desk gives; see `engine.ports.Fleet.carry`."""
        try:
            while True:
                self._load(desk)
                if self._marking:
                    # Whoever can join them without waiting, does.
                    if len(self._marking) >= self._most or not self._lead_on(desk, 0):
                        self._mark(desk)
                elif self._waiting or self._connecting:
                    self._wait(desk)
                else:
                    desk.flush()
                    return
        except BaseException:
            self._abandon()
            raise

    def wake(self) -> None:
        """The desk has something again; may be called from any thread."""
        with suppress(OSError):  # it has been rung already, or nobody listens any more
            self._bell.send(b"\0")

    def close(self) -> None:
        """End all connections for good."""
        self.rest()
        self._bell.close()
        self._ear.close()

    def rest(self) -> None:
        """End all connections politely, within two seconds in all; never raises for what a server does."""
        deadline = time.monotonic() + QUIT_SECONDS
        for lane in self._lanes:
            lane.conversation.quit(max(0.0, deadline - time.monotonic()))

    def _load(self, desk: Desk[Any]) -> None:
        while self._turning:
            lane = self._turning.pop()
            upcoming, lane.upcoming = lane.upcoming, None
            if desk.still(upcoming):
                self._begin(desk, lane, upcoming)
            else:
                lane.conversation.drop()
                self._free.append(lane)
        while self._free and (parcels := self._take(desk, len(self._free))):
            for parcel in parcels:
                self._begin(desk, self._free.pop(), parcel)

    def _take(self, desk: Desk[Any], count: int) -> list[Any]:
        """The next parcels, first those that have waited in vain: connections that are never free get them too."""
        parcels: list[Any] = []
        while self._stranded and len(parcels) < count:
            if desk.still(parcel := self._stranded.popleft()):
                parcels.append(parcel)
        return [*parcels, *desk.take(count - len(parcels))]

    def _begin(self, desk: Desk[Any], lane: _Lane, parcel: Any) -> None:
        lane.parcel = parcel
        lane.talk = lane.conversation.message(parcel.envelope, parcel.content)
        self._go_on(desk, lane, None)

    def _look_ahead(self, desk: Desk[Any]) -> None:
        """Choose what comes next on those that are to be marked; where others are free, it is for them."""
        if self._free:
            return
        asked = [lane for lane in self._marking if lane.upcoming is None]
        taking = [lane for lane in asked if lane.quick and lane.conversation.takes_next]
        for lane, parcel in zip(taking, self._take(desk, len(taking)), strict=False):
            lane.upcoming = parcel
            lane.conversation.announce(parcel.envelope, parcel.content)

    def _mark(self, desk: Desk[Any]) -> None:
        self._look_ahead(desk)
        if (allowed := self._allowed(desk)) is None:
            if not desk.prepare():
                time.sleep(MOMENT)
            return
        marking, self._marking = self._marking, []
        # Nothing but the dots comes between the commit and the dots.
        finished = self._finished = []
        now = time.monotonic()
        for lane, may_go in zip(marking, allowed, strict=True):
            lane.marked_at = now
            self._go_on(desk, lane, may_go)
        self._finished = None
        for parcel, outcome in finished:
            desk.done(parcel, outcome)

    def _allowed(self, desk: Desk[Any]) -> Sequence[bool] | None:
        """Whether each may be sent; None for a while where somebody else writes."""
        parcels = [lane.parcel for lane in self._marking]
        now = time.monotonic()
        if self._asking_since is None:
            self._asking_since = now
        patient = now - self._asking_since > PATIENCE
        allowed = desk.mark(parcels) if patient else desk.try_mark(parcels)
        self._spare = max(0.0, self._spare - (time.monotonic() - now))
        if allowed is not None:
            self._asking_since = None
        return allowed

    def _go_on(self, desk: Desk[Any], lane: _Lane, came: Any, error: BaseException | None = None) -> None:
        """Lead one conversation as far as it goes without waiting."""
        talk: Talk = lane.talk
        while True:
            try:
                want = talk.send(came) if error is None else talk.throw(error)
            except StopIteration as end:
                parcel, lane.parcel, lane.talk = lane.parcel, None, None
                lane.quick = time.monotonic() - lane.marked_at < QUICK
                (self._free if lane.upcoming is None else self._turning).append(lane)
                if self._finished is None:
                    desk.done(parcel, end.value)
                else:
                    self._finished.append((parcel, end.value))
                return
            came = error = None
            if want is Ask.MARK:
                self._marking.append(lane)
                return
            if want is Ask.CONNECT:
                self._connect(lane)
                return
            try:
                if isinstance(want, Say):
                    lane.conversation.wire.require_silence()
                    lane.saying, lane.unsent = want, memoryview(want.octets)
                    lane.wait(lane.conversation.wire.timeout)
                    done = self._send(lane)
                else:
                    lane.unsent = None
                    lane.wait(want.seconds)
                    came = self._hear(lane)
                    done = came is not None
            except OSError as failure:
                error = failure
                continue
            if not done:
                self._park(lane)
                return

    def _send(self, lane: _Lane) -> bool:
        """Send what the socket takes; whether that is all."""
        wire = lane.conversation.wire
        while lane.unsent:
            try:
                sent = wire.sock.send(lane.unsent[:BLOCK])
            except _LATER as later:
                # In the middle of a handshake TLS has to hear something before it can go on.
                lane.awaits = select.POLLIN if isinstance(later, ssl.SSLWantReadError) else select.POLLOUT
                return False
            lane.saying.taken += sent
            lane.unsent = lane.unsent[sent:]
            lane.wait(wire.timeout)
        return True

    def _hear(self, lane: _Lane) -> tuple[int, bytes] | None:
        """The answer, if it is there."""
        wire = lane.conversation.wire
        answer: tuple[int, bytes] | None = wire.received()
        # What TLS has deciphered already shows on no socket.
        while answer is None and isinstance(wire.sock, ssl.SSLSocket) and wire.sock.pending():
            wire.receive()
            answer = wire.received()
        return answer

    def _park(self, lane: _Lane) -> None:
        number = lane.conversation.wire.sock.fileno()
        self._waiting[number] = lane
        self._poll.register(number, select.POLLIN if lane.unsent is None else lane.awaits)

    def _unpark(self, number: int) -> _Lane:
        self._poll.unregister(number)
        return self._waiting.pop(number)

    def _wait(self, desk: Desk[Any]) -> None:
        while not (led := self._lead_on(desk, 0)) and desk.prepare():
            pass
        if not led and not self._lead_on(desk, self._patience(desk)):
            desk.flush()
        now = time.monotonic()
        if due := [number for number, lane in self._waiting.items() if lane.due <= now]:
            # Who answered while we could not listen, at a long commit or asleep, was not silent.
            answered = {number for number, _ in self._poll.poll(0)}
            for number in due:
                if number not in answered:
                    self._look_after(desk, number, now)

    def _look_after(self, desk: Desk[Any], number: int, now: float) -> None:
        lane = self._waiting[number]
        if lane.upcoming is not None:
            self._stranded.append(lane.upcoming)
            lane.upcoming, lane.due = None, lane.deadline
        if lane.deadline <= now:
            self._go_on(desk, self._unpark(number), None, TimeoutError("no answer in time"))

    def _lead_on(self, desk: Desk[Any], seconds: float) -> bool:
        """Lead on whoever can go on, or will within so many seconds; whether anybody could."""
        begun = time.monotonic()
        ready = self._poll.poll(seconds * 1000)
        if seconds:
            self._spare = min(SPARE, self._spare + time.monotonic() - begun)
        for number, _ in ready:
            if len(self._marking) >= self._most:
                break  # the others stay ready
            if number == self._ear.fileno():
                self._hear_bell(desk)
            else:
                self._resume(desk, self._unpark(number))
        return bool(ready)

    @property
    def _most(self) -> int:
        """Messages that may be marked together; who waits for somebody else who writes waits with all that come."""
        return 1 if self._spare > 0 and self._asking_since is None else MOST

    def _patience(self, desk: Desk[Any]) -> float:
        """Seconds that an answer may be waited for now."""
        if desk.holds:
            return HOLD
        now = time.monotonic()
        return max(0.0, min((lane.due for lane in self._waiting.values()), default=now + 60.0) - now)

    def _resume(self, desk: Desk[Any], lane: _Lane) -> None:
        came: Any = None
        try:
            if lane.unsent is not None:
                done = self._send(lane)
            else:
                with suppress(*_LATER):
                    lane.conversation.wire.receive()
                came = self._hear(lane)
                done = came is not None
        except OSError as error:
            self._go_on(desk, lane, None, error)
            return
        if done:
            self._go_on(desk, lane, came)
        else:
            self._park(lane)

    def _connect(self, lane: _Lane) -> None:
        self._connecting.add(lane)
        threading.Thread(target=self._open, args=(lane,), name="drip-connect", daemon=True).start()

    def _open(self, lane: _Lane) -> None:
        try:
            wire = lane.conversation.connect()
            wire.sock.settimeout(0)
            self._connected.append((lane, wire, None))
        except BaseException as error:
            self._connected.append((lane, None, error))
        self.wake()

    def _hear_bell(self, desk: Desk[Any]) -> None:
        with suppress(BlockingIOError):
            self._ear.recv(4096)
        while self._connected:
            lane, wire, error = self._connected.popleft()
            self._connecting.discard(lane)
            if lane.talk is not None:
                self._go_on(desk, lane, wire, error)
            elif wire is not None:
                wire.close()

    def _abandon(self) -> None:
        """Give every message up before its dot, or without its answer; those that connect are left behind."""
        for number in list(self._waiting):
            self._unpark(number)
        for lane in self._lanes:
            talk: Talk | None = lane.talk
            lane.talk = lane.parcel = lane.upcoming = None
            if talk is not None:
                talk.close()
        self._stranded.clear()
        self._asking_since = None
        self._marking, self._turning, self._finished = [], [], None
        self._free = [lane for lane in self._lanes if lane not in self._connecting]
