"""The listening side: a thread for each connection, on loopback."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType

from tests.smtp_server.certificates import Certificate
from tests.smtp_server.channel import Channel, Gone
from tests.smtp_server.conversation import Conversation
from tests.smtp_server.log import Accepted, Log, Login
from tests.smtp_server.script import Fault, Phase, Script


@dataclass(frozen=True, slots=True)
class Features:
    """What the server offers and wants."""

    tls: bool = False
    """TLS from the first octet."""
    starttls: bool = False
    mechanisms: tuple[str, ...] = ()
    """Of PLAIN, LOGIN, XOAUTH2; anything else is offered and then refused. Empty: no login."""
    users: frozenset[tuple[str, str]] = frozenset()
    """Users and their passwords (for XOAUTH2: tokens)."""
    login_required: bool = False
    """MAIL without a login is answered 530."""
    plain_login: bool = False
    """Offers AUTH without TLS too, as a trap."""
    size: int | None = 10_240_000
    """SIZE; None does not offer it."""
    offers: tuple[str, ...] = ("PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "SMTPUTF8")
    """What else is offered, word for word."""
    answer_for_nobody: str | None = None
    """DATA without a recipient is answered 354, and its dot this; None refuses DATA."""
    host: str = "localhost"
    """What the server calls itself."""


class SmtpServer:
    """A server, started by `with` or `start()`; faults may be changed while it runs."""

    def __init__(
        self,
        *,
        faults: Iterable[str | Fault] = (),
        features: Features | None = None,
        certificate: Certificate | None = None,
        latency: float = 0.0,
        log: Path | None = None,
        spool: Path | None = None,
        fsync: bool = False,
        port: int = 0,
    ) -> None:
        """Args:
        faults: see `script.py`.
        certificate: needed for TLS and STARTTLS.
        latency: seconds before every answer.
        log: a file for the oracle; without one it is in memory only.
        spool: a folder for the accepted octets, as `SHA256.eml`.
        fsync: whether each line of the log is synced before the client is told.
        port: 0 is any free one.
        """
        self.features = features or Features()
        self.latency = latency
        self.log = Log(log, spool, fsync=fsync)
        self.tls_context = certificate.server_context() if certificate is not None else None
        self.stopping = threading.Event()
        self.whole_message = threading.Event()
        """Set when a message came in up to its dot, accepted or not; a test may wait for it and clear it."""
        self.went_wrong = threading.Event()
        """Set when a fault was met; its answer, if it has one, is on its way."""
        self.for_nobody: list[bytes] = []
        """What came in at DATA without a recipient."""
        self._script = Script([Fault.parse(fault) if isinstance(fault, str) else fault for fault in faults])
        self._reached: Counter[Phase] = Counter()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._channels: set[Channel] = set()
        self._listener = socket.create_server(("127.0.0.1", port), backlog=256)
        self.port: int = self._listener.getsockname()[1]

    @property
    def messages(self) -> list[Accepted]:
        """What was accepted, in order."""
        return self.log.messages

    @property
    def logins(self) -> list[Login]:
        """Every AUTH, in order."""
        return self.log.logins

    @property
    def connections(self) -> int:
        """How many there were so far."""
        return self.log.connections

    @property
    def plain_password(self) -> bool:
        """Whether a password was ever sent without TLS."""
        return any(not login.tls for login in self.logins)

    def script(self, *faults: str | Fault) -> None:
        """Put these faults in the place of the old ones; counting begins anew."""
        with self._lock:
            self._script = Script([Fault.parse(fault) if isinstance(fault, str) else fault for fault in faults])

    def fault(self, phase: Phase, argument: str) -> Fault | None:
        """What goes wrong here, now; counts the occurrence."""
        with self._lock:
            self._reached[phase] += 1
            return self._script.fault(phase, argument)

    def reached(self, phase: str) -> int:
        """How often a phase was reached so far, with a fault or without."""
        with self._lock:
            return self._reached[Phase(phase)]

    def pause(self) -> None:
        """The latency of one answer."""
        if self.latency:
            time.sleep(self.latency)

    def start(self) -> SmtpServer:
        """Begin to accept; returns itself."""
        self._run(self._accept, "smtp-server-accept")
        return self

    def stop(self) -> None:
        """Drop every connection and wait for the threads."""
        self.stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.hang_up()
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join(10)
        self.log.close()

    def hang_up(self) -> None:
        """End all conversations; new ones are accepted."""
        with self._lock:
            channels = list(self._channels)
        for channel in channels:
            with contextlib.suppress(OSError):
                channel.sock.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> SmtpServer:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    def _accept(self) -> None:
        while not self.stopping.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            channel = Channel(sock, self.stopping)
            with self._lock:
                self._channels.add(channel)
                self._threads = [thread for thread in self._threads if thread.is_alive()]
            self._run(partial(self._talk, channel), "smtp-server-connection")

    def _talk(self, channel: Channel) -> None:
        try:
            Conversation(self, channel, self.log.connection()).run()
        except Gone:
            pass
        finally:
            with self._lock:
                self._channels.discard(channel)
            channel.close()

    def _run(self, work: Callable[[], None], name: str) -> None:
        thread = threading.Thread(target=work, name=name, daemon=True)
        with self._lock:
            self._threads.append(thread)
        thread.start()
