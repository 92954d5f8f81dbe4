"""What goes wrong, and when. Pure: knows no socket.

A fault is `phase[~pattern][#occurrence]=action`:

    mail=drop                              every MAIL FROM closes the connection
    rcpt~*@bad.test=reply 550 5.1.1 no     recipients that match
    dot#3=reply 451 4.3.0 later            the third message only
    dot#3+=stall                           from the third on
    mail~*@slow.test=delay 0.2             wait, then go on as usual

`~` matches the command's argument: the address at mail and rcpt; the recipient at data, body, dot and after-dot.
Occurrences are counted per server and fault, from 1, over what the pattern matches.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase


class Phase(StrEnum):
    """Where in a conversation, in order."""

    CONNECT = "connect"  # accepted by the kernel, nothing said
    BANNER = "banner"
    EHLO = "ehlo"
    STARTTLS = "starttls"  # the answer to the command
    HANDSHAKE = "handshake"  # instead of the server's side of TLS
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"  # the answer to the command
    BODY = "body"  # after the first octets of the content
    DOT = "dot"  # the whole message is there and is not accepted
    AFTER_DOT = "after-dot"  # it is accepted and logged; the answer is what goes wrong
    RSET = "rset"
    NOOP = "noop"
    QUIT = "quit"


class Action(StrEnum):
    """What is done instead of the usual answer."""

    DROP = "drop"  # close (FIN)
    RESET = "reset"  # close with RST (SO_LINGER 0)
    STALL = "stall"  # say nothing until the client is gone
    REPLY = "reply"  # `reply CODE TEXT`; a \n in the text makes it several lines
    GARBAGE = "garbage"  # octets that are no answer, then as stall
    LONG = "long"  # a line of 10 MB
    ENDLESS = "endless"  # an answer that never ends, an octet at a time
    BYTEWISE = "bytewise"  # the usual answer, an octet at a time
    STOP_READING = "stop-reading"  # the usual answer, then nothing is read any more
    DELAY = "delay"  # `delay SECONDS`, then the usual answer
    RAW = "raw"  # `raw OCTETS`, with \\r and \\n written out, instead of the usual answer
    TWICE = "twice"  # the usual answer two times at once
    DEAF = "deaf"  # the usual answer; what was sent before it was given is thrown away


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong."""

    phase: Phase
    action: Action
    text: str = ""
    """What follows the action: the answer of `reply`, the seconds of `delay`."""
    pattern: str = "*"
    """Shell-style, against the command's argument in lower case."""
    first: int = 1
    """The first occurrence it applies to."""
    last: int | None = None
    """The last one; None is for ever."""

    @property
    def seconds(self) -> float:
        """For `delay`."""
        return float(self.text or "0.1")

    @classmethod
    def parse(cls, text: str) -> Fault:
        """Read the form above.

        Raises:
            ValueError: it is not of that form.
        """
        found = re.fullmatch(r"([a-z-]+)(?:~([^#=]+))?(?:#(\d+)(\+)?)?=([a-z-]+)(?: (.*))?", text, re.DOTALL)
        if found is None:
            raise ValueError(f"{text!r} is not phase[~pattern][#n[+]]=action [text]")
        phase, pattern, count, onwards, action, rest = found.groups()
        first = int(count or 1)
        last = first if count and not onwards else None
        return cls(Phase(phase), Action(action), _unescaped(rest or ""), pattern or "*", first, last)


def _unescaped(text: str) -> str:
    return text.replace("\\r", "\r").replace("\\n", "\n")


@dataclass(slots=True)
class Script:
    """The faults of one server, and how often each was met; the caller holds a lock."""

    faults: list[Fault] = field(default_factory=list)
    met: dict[int, int] = field(default_factory=dict)

    def fault(self, phase: Phase, argument: str) -> Fault | None:
        """The first fault that applies here, or None."""
        for number, fault in enumerate(self.faults):
            if fault.phase is phase and fnmatchcase(argument.lower(), fault.pattern.lower()):
                self.met[number] = count = self.met.get(number, 0) + 1
                if fault.first <= count <= (fault.last or count):
                    return fault
        return None
