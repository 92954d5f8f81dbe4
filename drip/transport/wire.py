"""yagmail's connection, made safe: bounded answers, verified TLS, one login. The only home of yagmail.

Importing this module imports yagmail (50 ms): it is done when the first connection is opened. yagmail connects,
starts TLS and logs in; its `send()` is never called (it may deliver three copies and say that it sent none), and
nothing here knows what a message is.
"""

from __future__ import annotations

import re
import socket
import ssl
import sys
import threading
import urllib.error
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

if "dkim" in sys.modules:
    import yagmail
else:
    # It would load dkimpy and all of dnspython, half of a start, for signatures that drip makes itself.
    sys.modules["dkim"] = None  # type: ignore[assignment]  # seems not to be installed
    try:
        import yagmail
    finally:
        del sys.modules["dkim"]

from drip.core.settings import Security, SmtpSettings
from drip.transport.access import Access
from drip.transport.answers import Stage, Unusable, misconfigured
from drip.transport.replies import BLOCK, Answered, Garbled, ReplyReader

T = TypeVar("T")

_MECHANISMS = ("PLAIN", "LOGIN", "CRAM-MD5")
"""In this order: inside TLS the plainest works with most servers; servers that store hashes can't do CRAM-MD5."""
_FULL_NAME = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")


class Progress:
    """How far opening a connection got; kept outside of it, as a constructor that raises leaves nothing behind."""

    __slots__ = ("stage",)

    def __init__(self) -> None:
        self.stage = Stage.CONNECT


class Guarded:
    """Mixed in before the class yagmail connects with: what that does without limits or checks is done here."""

    sock: Any
    timeout: float
    esmtp_features: dict[str, str]

    def __init__(self, *args: Any, progress: Progress, tls: ssl.SSLContext | None, **kwargs: Any) -> None:
        above: Any = super()
        self._progress = progress
        self._tls = tls
        self._reader = ReplyReader()
        above.__init__(*args, **kwargs)

    def connect(self, *args: Any, **kwargs: Any) -> tuple[int, bytes]:
        """Connect and read the greeting; anything but 220 ends it."""
        above: Any = super()
        code, text = above.connect(*args, **kwargs)
        if code != 220:
            self._give_up()
            raise Answered(code, text)
        # Body and dot are two writes: with Nagle's algorithm each message would wait 44 ms for a delayed ACK.
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return code, text

    def getreply(self) -> tuple[int, bytes]:
        """The next answer, within the timeout as a whole and 10 kB."""
        return self.reply_within(self.timeout)

    def reply_within(self, seconds: float) -> tuple[int, bytes]:
        """The next answer, with a patience of its own."""
        if self._progress.stage is Stage.CONNECT:
            self._progress.stage = Stage.GREETING
        try:
            code, text = self._reader.read(self._socket(), seconds)
            if self._progress.stage is Stage.STARTTLS and self._reader.pending:
                raise Garbled("words between STARTTLS and TLS")  # someone in the middle put them there
        except OSError:
            self._give_up()
            raise
        return code, text

    def send(self, octets: bytes | str) -> None:
        """Send all of it, each block within the timeout as a whole; nothing while an unasked answer is waiting."""
        raw = octets.encode("utf-8") if isinstance(octets, str) else octets
        try:
            self.require_silence()
            for start in range(0, len(raw), BLOCK):
                self.sock.settimeout(self.timeout)
                self.sock.sendall(memoryview(raw)[start : start + BLOCK])
        except OSError:
            self._give_up()
            raise

    def require_silence(self) -> None:
        """Before anything is sent; raises OSError when there is no connection, or an answer nobody asked for."""
        self._socket()
        if self._reader.pending:
            raise Garbled("an answer nobody asked for")

    def received(self) -> tuple[int, bytes] | None:
        """The next answer, without waiting for it; None when it is not there as a whole. Raises OSError."""
        return self._reader.take()

    def receive(self) -> None:
        """Take in what the socket has; for a socket that waits for nothing. Raises OSError."""
        self._reader.receive(self._socket())

    def ehlo(self, name: str = "") -> tuple[int, bytes]:
        """EHLO with a name that is ours (for OAuth2 yagmail would say the client id); a refusal ends it."""
        above: Any = super()
        self._progress.stage = Stage.EHLO
        code, text = above.ehlo(local_name(self._socket()))
        if code != 250:
            raise Answered(code, text)
        return code, text

    def starttls(self, *_args: Any, **_kwargs: Any) -> tuple[int, bytes]:
        """STARTTLS with our context, whatever yagmail passes on; a server that does not offer it ends it."""
        above: Any = super()
        if "starttls" not in self.esmtp_features:
            raise Unusable(misconfigured("the server does not offer STARTTLS: check smtp.security and smtp.port"))
        self._progress.stage = Stage.STARTTLS
        code, text = above.starttls(context=self._tls)
        self._progress.stage = Stage.EHLO
        return code, text

    def login(self, user: str, password: str, **kwargs: Any) -> tuple[int, bytes]:
        """Log in with the one mechanism that is likeliest to work: each try counts as a failed login."""
        above: Any = super()
        self._ready_to_login()
        offered = self.esmtp_features["auth"].upper().split()
        chosen = next((mechanism for mechanism in _MECHANISMS if mechanism in offered), None)
        if chosen is None:
            raise Unusable(misconfigured(f"the server offers no login with a password (only {' '.join(offered)})"))
        self.esmtp_features["auth"] = chosen
        code, text = above.login(user, password, **kwargs)
        return code, text

    def docmd(self, cmd: str, args: str = "") -> tuple[int, bytes]:
        """Say a command and read the answer; the one to OAuth2's AUTH is looked at, which yagmail does not."""
        above: Any = super()
        if cmd != "AUTH" or not args.startswith("XOAUTH2 "):
            code, text = above.docmd(cmd, args)
            return code, text
        self._ready_to_login()
        code, text = above.docmd(cmd, args)
        if code == 334:  # the refusal in JSON; the code comes after an empty line
            code, text = above.docmd("")
        if code != 235:
            raise Answered(code, text)
        return code, text

    def quiet(self) -> bool:
        """Whether the server said nothing unasked and has not hung up."""
        return self.sock is not None and self._reader.quiet(self.sock)

    def quit_within(self, seconds: float) -> None:
        """Say QUIT, wait for the answer for a moment, and close; never raises for what a server does."""
        self.timeout = min(self.timeout, seconds)
        with suppress(OSError):
            self.docmd("QUIT")
        self._give_up()

    def _ready_to_login(self) -> None:
        library: Any = self
        library.ehlo_or_helo_if_needed()  # yagmail leaves it out after OAuth2's STARTTLS
        self._progress.stage = Stage.AUTH
        if not isinstance(self.sock, ssl.SSLSocket):
            raise Unusable(misconfigured("a password never goes over a plain connection: check smtp.security"))
        if not self.esmtp_features.get("auth", "").strip():
            raise Unusable(misconfigured("the server offers no login here: check smtp.port, or leave out smtp.user"))

    def _socket(self) -> Any:
        if self.sock is None:
            raise ConnectionError("the connection is closed")
        return self.sock

    def _give_up(self) -> None:
        closer: Any = self
        closer.close()


class _Client(yagmail.Client):  # type: ignore[misc]  # yagmail has no types
    """yagmail, connecting with our class and without an afterlife."""

    oauth2_token = ""

    @property
    def connection(self) -> Any:
        return _guarded(super().connection)

    def get_oauth_string(self, user: str, oauth2_info: dict[str, Any]) -> str:
        """The token got before connecting."""
        return self.oauth2_token

    def __del__(self) -> None:
        """Nothing: yagmail would say QUIT, and wait for the answer, while memory is cleaned up."""


@cache
def _guarded(base: Any) -> Any:
    return type(f"Guarded{base.__name__}", (Guarded, base), {})


def connect(settings: SmtpSettings, access: Access, progress: Progress) -> Any:
    """A connection, ready for MAIL FROM: an object with smtplib's low-level calls, and those of `Guarded`.

    Raises:
        OSError, ValueError: it could not be had; `progress` says how far it got.
    """
    user = access.user
    seconds = settings.timeout.total_seconds()
    client = _Client(
        {user or "": user or ""},  # as a plain text, a user without an @ would become one at gmail.com
        settings.password or "",  # None would ask the keyring, then the terminal
        host=settings.host,
        port=settings.port,
        smtp_ssl=settings.security is Security.TLS,
        smtp_starttls=settings.security is Security.STARTTLS,
        smtp_skip_login=user is None,
        soft_email_validation=False,
        timeout=seconds,
        local_hostname="localhost",  # never said, see `Guarded.ehlo`; without it smtplib asks the DNS
        progress=progress,
        tls=access.tls,
        **({"context": access.tls} if settings.security is Security.TLS else {}),
    )
    client.set_logging(None)  # its constructor sends a logger to stderr
    if access.oauth2 is not None:
        progress.stage = Stage.AUTH
        _prepare_oauth2(client, dict(access.oauth2), settings.oauth2_file, seconds)
        progress.stage = Stage.CONNECT
    try:
        client.login()
        client.smtp.ehlo_or_helo_if_needed()  # without STARTTLS and login nobody has said it yet
    except BaseException:
        if client.smtp is not None:
            client.smtp.close()
        raise
    return client.smtp


def _prepare_oauth2(client: _Client, oauth2: dict[str, str], file: Path | None, seconds: float) -> None:
    client.oauth2_file = file
    client.credentials = oauth2
    # Before connecting: a token server that does not answer must not keep a mail server waiting.
    client.oauth2_token = within(seconds, lambda: _fresh_token(client.user, oauth2))


def _fresh_token(user: str, oauth2: dict[str, str]) -> str:
    try:
        return str(yagmail.Client.get_oauth_string(user, oauth2))
    except urllib.error.HTTPError as error:
        with error:
            if error.code not in (400, 401, 403):
                raise ConnectionError(f"the token server answered {error.code}") from error
            hint = "authorise it again"
            raise Unusable(
                misconfigured(f"the token server refused smtp.oauth2_file ({error.code}): {hint}")
            ) from error
    except (KeyError, ValueError) as error:
        raise ConnectionError("the token server gave no token") from error


def within(seconds: float, work: Callable[[], T]) -> T:
    """What `work` returns or raises, if it does so in time; else it is left behind in a thread of its own.

    Raises:
        TimeoutError: it took longer than `seconds`.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True, name="drip-oauth2")
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError("no answer in time")
    return results[0]


def local_name(sock: socket.socket) -> str:
    """What we call ourselves: this machine's full name, or the address we speak from (RFC 5321, section 4.1.4)."""
    name = socket.gethostname()
    if _FULL_NAME.fullmatch(name):
        return name
    address = str(sock.getsockname()[0]).partition("%")[0]
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"
