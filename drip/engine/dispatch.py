"""Those who send: claims are handed out to them, and they say how it goes. Who is due is not known here."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from drip.core.delivery import Outcome, OutcomeKind
from drip.core.settings import Settings
from drip.engine.catalogue import Catalogue
from drip.engine.desk import Inbox, OneByOne, SendingDesk
from drip.engine.ports import Fleet, Store, Transport
from drip.engine.records import Claim
from drip.engine.report import Report
from drip.engine.sender import Sender
from drip.engine.writer import Writer
from drip.errors import Unavailable

if TYPE_CHECKING:
    from drip.engine.compose import Composer

IDLE = timedelta(seconds=30)
"""After which an unused connection is closed."""
LOST_IN_A_ROW = 4
"""Connections lost in a row that mean that the transport is down."""
LOOK_UP = 1.0
"""Seconds between two looks at whether something else than what is waited for has happened."""

_STOPPING = (OutcomeKind.DOWN, OutcomeKind.MISCONFIGURED, OutcomeKind.OUR_FAULT)


class Dispatch:
    """The threads that send for one worker; fulfils `engine.desk.Overseer`."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        transport: Transport,
        catalogue: Catalogue,
        writer: Writer,
        *,
        clock: Callable[[], datetime],
        halt: threading.Event,
    ) -> None:
        """`halt`, once it is set, keeps anything more from being begun; it is set here when there is trouble."""
        self._store = store
        self._settings = settings
        self._transport = transport
        self._catalogue = catalogue
        self._writer = writer
        self._clock = clock
        self._halt = halt
        self._composer: Composer | None = None
        self._inbox: Inbox = SimpleQueue()
        self._carriers: list[Fleet] = []
        self._threads: list[threading.Thread] = []
        self._changed = threading.Condition()
        self._in_flight = self._awaited = 0
        self._lost_in_a_row = 0
        self._report = Report()
        self._bug: BaseException | None = None
        self.unsettled = False
        """Whether claims were lost hold of since somebody last said that they were taken back."""

    def begin(self, report: Report) -> None:
        """A pass begins; trouble goes into its report."""
        self._report, self._lost_in_a_row = report, 0

    def hand_out(self, claims: Sequence[Claim]) -> None:
        """Have claims worked off, by more threads where there are not enough."""
        with self._changed:
            self._in_flight += len(claims)
        for claim in claims:
            self._inbox.put(claim)
        if self._composer is None:
            from drip.engine.compose import Composer

            self._composer = Composer(self._settings, self._store.secret())
        if not self._carriers and (fleet := self._transport.fleet()) is not None:
            self._start(self._composer, fleet)
        elif not self._carriers or isinstance(self._carriers[0], OneByOne):
            while len(self._carriers) < min(self._transport.connections, len(claims)):
                self._start(self._composer, OneByOne(self._transport.session()))
        for carrier in self._carriers:
            carrier.wake()

    def wait_for(self, left: int) -> bool:
        """Wait until at most so many claims are in flight; False when that takes longer than `LOOK_UP`.

        Raises:
            BaseException: what ended a thread that sends.
        """
        with self._changed:
            self._awaited = left
            came = self._changed.wait_for(lambda: self._in_flight <= left or self._bug is not None, timeout=LOOK_UP)
        if self._bug is not None:
            raise self._bug
        return came

    def close(self) -> None:
        """Begin nothing more, and wait until all threads have ended."""
        self._halt.set()
        for _ in self._threads:
            self._inbox.put(None)
        for thread in self._threads:
            thread.join()

    @property
    def halted(self) -> bool:
        """Whether nothing more is to be begun."""
        return self._halt.is_set()

    def look_at(self, outcome: Outcome) -> None:
        """Stop when an outcome says that the transport is in trouble."""
        if outcome.kind in _STOPPING:
            self.halt_for(outcome)
        if outcome.kind is not OutcomeKind.LOST:
            self._lost_in_a_row = 0
            return
        with self._changed:
            self._lost_in_a_row += 1
            lost = self._lost_in_a_row
        if lost >= LOST_IN_A_ROW:
            text = f"{lost} connections in a row were lost: {outcome.text}"
            self.halt_for(Outcome(OutcomeKind.DOWN, text=text))

    def lost_hold(self, error: Unavailable) -> None:
        """The database could not be used, and some claims could not be settled."""
        self.unsettled = True
        self._report.unavailable = error
        self.halt_for(Outcome(OutcomeKind.DOWN, text=error.message))

    def settled(self, count: int) -> None:
        """So many claims are written, or lost."""
        with self._changed:
            self._in_flight -= count
            # Woken more often, who waits would only take turns from those who send.
            if self._in_flight <= self._awaited:
                self._changed.notify_all()

    def halt_for(self, outcome: Outcome) -> None:
        """Begin nothing more; the first reason is the one that is reported."""
        with self._changed:
            if self._report.trouble is None:
                self._report.trouble = outcome
        self._halt.set()

    def _start(self, composer: Composer, carrier: Fleet) -> None:
        self._carriers.append(carrier)
        name = f"drip-sender-{len(self._threads) + 1}"
        thread = threading.Thread(target=self._work, args=(composer, carrier), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work(self, composer: Composer, carrier: Fleet) -> None:
        sender = Sender(self._settings, self._catalogue, composer, self._clock)
        desk = SendingDesk(self._inbox, sender, self._writer, self)
        try:
            with self._store.connected():
                while _has_work(desk, carrier):
                    carrier.carry(desk)
        except BaseException as error:
            with self._changed:
                self._bug = self._bug or error
                self._changed.notify_all()
            self._halt.set()
        finally:
            carrier.close()


def _has_work(desk: SendingDesk, carrier: Fleet) -> bool:
    while True:
        try:
            return desk.wait(IDLE)
        except Empty:
            carrier.rest()
