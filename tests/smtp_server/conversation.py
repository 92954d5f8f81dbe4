"""One SMTP conversation as RFC 5321 has it, with the script's faults in their places."""

from __future__ import annotations

import base64
import binascii
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.smtp_server.channel import Channel, Gone, reply
from tests.smtp_server.log import Login
from tests.smtp_server.script import Action, Fault, Phase

if TYPE_CHECKING:
    from tests.smtp_server.server import SmtpServer


@dataclass(slots=True)
class Transaction:
    """What MAIL and RCPT said so far."""

    sender: str
    options: str
    recipients: list[str] = field(default_factory=list)


class Conversation:
    """Talks with one client until one of the two has enough."""

    def __init__(self, server: SmtpServer, channel: Channel, number: int) -> None:
        self._server = server
        self._channel = channel
        self._number = number
        self._transaction: Transaction | None = None
        self._logged_in = False

    def run(self) -> None:
        """Talk.

        Raises:
            Gone: always, when it is over.
        """
        self._meet(Phase.CONNECT, b"")
        if self._server.features.tls:
            self._handshake()
        self._step(Phase.BANNER, 220, f"{self._server.features.host} ESMTP test")
        while True:
            line = self._channel.line()
            verb, _, argument = line.decode("utf-8", "surrogateescape").partition(" ")
            handler = getattr(self, f"_{verb.lower()}", None) if verb.isalpha() else None
            if handler is None or verb.lower() not in _VERBS:
                self._channel.say(502, "5.5.2 not known here")
                continue
            handler(argument.strip())

    def _ehlo(self, argument: str) -> None:
        self._transaction = None
        self._step(Phase.EHLO, 250, "\n".join([self._server.features.host, *self._offers()]), argument)

    _helo = _ehlo

    def _offers(self) -> list[str]:
        features = self._server.features
        offers = list(features.offers)
        if features.size is not None:
            offers.append(f"SIZE {features.size}")
        if features.starttls and not self._channel.tls:
            offers.append("STARTTLS")
        if features.mechanisms and (self._channel.tls or features.plain_login):
            offers.append("AUTH " + " ".join(features.mechanisms))
        return offers

    def _starttls(self, _argument: str) -> None:
        if not self._server.features.starttls or self._channel.tls:
            self._channel.say(503, "5.5.1 not offered")
            return
        if self._step(Phase.STARTTLS, 220, "2.0.0 go ahead"):
            self._handshake()
            self._transaction = None

    def _handshake(self) -> None:
        self._meet(Phase.HANDSHAKE, b"")
        context = self._server.tls_context
        if context is None:
            raise Gone
        self._channel.start_tls(context)

    def _auth(self, argument: str) -> None:
        mechanism, _, initial = argument.partition(" ")
        try:
            user, password = self._credentials(mechanism.upper(), initial)
        except (ValueError, binascii.Error):
            self._channel.say(501, "5.5.2 can't read that")
            return
        right = (user, password) in self._server.features.users
        fault = self._server.fault(Phase.AUTH, user)
        accepted = right and (fault is None or fault.action is not Action.REPLY or fault.text.startswith("2"))
        self._server.log.login(
            Login(self._number, mechanism.upper(), user, password, accepted, self._channel.tls, time.time())
        )
        if fault is None and not right and mechanism.upper() == "XOAUTH2":
            self._channel.say(334, base64.b64encode(b'{"status":"400"}').decode())
            self._channel.line()
        usual = reply(235, "2.7.0 welcome") if right else reply(535, "5.7.8 wrong user or password")
        self._logged_in = self._answer(fault, usual) and right

    def _credentials(self, mechanism: str, initial: str) -> tuple[str, str]:
        if mechanism == "LOGIN":
            user = base64.b64decode(initial or self._ask("VXNlcm5hbWU6")).decode()
            return user, base64.b64decode(self._ask("UGFzc3dvcmQ6")).decode()
        raw = base64.b64decode(initial or self._ask("")).decode()
        if mechanism == "PLAIN":
            _, user, password = raw.split("\0")
            return user, password
        if mechanism == "XOAUTH2":
            found = re.fullmatch("user=(.*)\1auth=Bearer (.*)\1\1", raw)
            if found is not None:
                return found[1], found[2]
        raise ValueError(mechanism)

    def _ask(self, challenge: str) -> str:
        self._channel.say(334, challenge)
        return self._channel.line().decode()

    def _mail(self, argument: str) -> None:
        found = re.fullmatch(r"(?i)FROM:\s*<([^>]*)>(.*)", argument)
        if found is None:
            self._channel.say(501, "5.5.4 syntax: MAIL FROM:<address>")
        elif self._server.features.login_required and not self._logged_in:
            self._channel.say(530, "5.7.0 authentication required")
        elif self._transaction is not None:
            self._channel.say(503, "5.5.1 nested MAIL")
        elif self._step(Phase.MAIL, 250, "2.1.0 sender ok", found[1]):
            self._transaction = Transaction(found[1], found[2].strip())

    def _rcpt(self, argument: str) -> None:
        found = re.fullmatch(r"(?i)TO:\s*<([^>]*)>(.*)", argument)
        if found is None:
            self._channel.say(501, "5.5.4 syntax: RCPT TO:<address>")
        elif self._transaction is None:
            self._channel.say(503, "5.5.1 need MAIL")
        elif self._step(Phase.RCPT, 250, "2.1.5 recipient ok", found[1]):
            self._transaction.recipients.append(found[1])

    def _data(self, _argument: str) -> None:
        transaction = self._transaction
        if transaction is None or not transaction.recipients:
            self._data_for_nobody()
            return
        recipient = transaction.recipients[0]
        if not self._step(Phase.DATA, 354, "go ahead", recipient):
            return
        self._channel.some()
        self._meet(Phase.BODY, b"", recipient)
        content = self._channel.content()
        self._transaction = None
        self._server.whole_message.set()
        usual = reply(250, f"2.0.0 queued as {self._number}-{len(self._server.log.messages) + 1}")
        fault = self._server.fault(Phase.DOT, recipient)
        if fault is not None and fault.action not in _GOES_ON:
            self._answer(fault, usual)
            return
        if fault is not None and fault.action is Action.DELAY:
            self._server.stopping.wait(fault.seconds)
        self._server.log.accept(
            content,
            transaction.sender,
            transaction.recipients,
            self._number,
            transaction.options,
            self._channel.tls,
        )
        after = self._server.fault(Phase.AFTER_DOT, recipient)
        self._answer(after or (fault if fault is not None and fault.action is not Action.DELAY else None), usual)

    def _data_for_nobody(self) -> None:
        answer = self._server.features.answer_for_nobody
        if answer is None:
            self._channel.say(503, "5.5.1 need RCPT")
            return
        self._channel.say(354, "go ahead")
        self._server.for_nobody.append(self._channel.content())
        code, _, text = answer.partition(" ")
        self._channel.say(int(code), text)

    def _rset(self, _argument: str) -> None:
        self._transaction = None
        self._step(Phase.RSET, 250, "2.0.0 ok")

    def _noop(self, _argument: str) -> None:
        self._step(Phase.NOOP, 250, "2.0.0 ok")

    def _quit(self, _argument: str) -> None:
        self._step(Phase.QUIT, 221, "2.0.0 bye")
        raise Gone

    def _step(self, phase: Phase, code: int, text: str, argument: str = "") -> bool:
        return self._answer(self._server.fault(phase, argument), reply(code, text))

    def _answer(self, fault: Fault | None, usual: bytes) -> bool:
        """Give the usual answer or the fault's; says whether it was a good one."""
        self._server.pause()
        if fault is None:
            self._channel.write(usual)
            return usual[:1] in b"23"
        if fault.action is not Action.REPLY:
            self._server.went_wrong.set()
            self._channel.misbehave(fault, usual)
            return usual[:1] in b"23" and fault.action is not Action.LONG
        code, _, text = fault.text.partition(" ")
        self._channel.say(int(code), text)
        self._server.went_wrong.set()
        if code == "421":
            raise Gone
        return code[:1] == usual[:1].decode()

    def _meet(self, phase: Phase, usual: bytes, argument: str = "") -> None:
        """A place where nothing is usually said."""
        fault = self._server.fault(phase, argument)
        if fault is not None:
            self._answer(fault, usual)
            if fault.action is Action.REPLY:
                raise Gone


_GOES_ON = frozenset({Action.DELAY, Action.BYTEWISE, Action.TWICE})
_VERBS = frozenset({"ehlo", "helo", "starttls", "auth", "mail", "rcpt", "data", "rset", "noop", "quit"})
