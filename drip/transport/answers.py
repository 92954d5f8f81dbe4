"""What an SMTP answer, or the lack of one, means for a message. Pure: no socket, no clock, no library's classes.

Scope first (where in the conversation it came), then the enhanced code (RFC 3463), then the basic code (RFC 5321,
section 4.2), then the text. On doubt the milder reading wins: only an answer that plainly says that a mailbox or a
domain does not exist is held against the person.
"""

from __future__ import annotations

import re
from enum import StrEnum

from drip.core.delivery import Outcome, OutcomeKind

TEXT_LIMIT = 500
"""Characters kept of an answer."""


class Stage(StrEnum):
    """Where in the conversation something happened, in order."""

    CONNECT = "connect"  # name lookup, TCP
    TLS = "TLS"  # the handshake
    GREETING = "greeting"
    EHLO = "EHLO"
    STARTTLS = "STARTTLS"
    AUTH = "AUTH"
    MAIL = "MAIL FROM"
    RCPT = "RCPT TO"
    DATA = "DATA"
    BODY = "body"
    DOT = "final dot"  # from the moment the dot is on its way
    IDLE = "idle"  # RSET, NOOP, QUIT: between messages


OPENING = frozenset({Stage.CONNECT, Stage.TLS, Stage.GREETING, Stage.EHLO, Stage.STARTTLS, Stage.AUTH, Stage.IDLE})
"""No message had been begun."""

_NO_MAILBOX_CODES = frozenset({"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"})
_OUR_FAULT_CODES = frozenset({"5.7.26", "5.7.515"})
_SIZE_CODES = frozenset({"5.3.4", "5.2.3"})
_NON_ASCII_REFUSED = "5.6.7"  # RFC 6531, section 4.2
_OUT_OF_STEP = frozenset({500, 502, 503, 504})

_ENHANCED = re.compile(r"\s*([245])\.(\d{1,3})\.(\d{1,3})(?=\s|$|[:;,)])")

_NO_MAILBOX_TEXT = re.compile(
    r"""
      \b(user|recipient|mailbox|account|address|addressee|domain|host|person)\b .{0,80}
        \b(unknown | not\ found | no\ longer\ exists? | (does|do)(\ not|n'?t)\ exist | not\ exist(ing)?
        | non-?existent)\b
    | \b(unknown|no\ such|non-?existent|invalid)\ (virtual\ |local\ |e-?mail\ |mail\ )*
        (user|recipient|mailbox|account|address|addressee|domain|host|person|alias)\b
    | \bno\ mailbox\b | \bno\ such\b .{0,30}\bhere\b
    | \bnot\ a\ (valid|known)\ (user|mailbox|recipient|account)\b
    | \bunrouteable\ address\b
    """,
    re.IGNORECASE | re.VERBOSE,
)
_ABOUT_US_TEXT = re.compile(
    r"\b(sender|from address|return[- ]path|mail from|envelope from|helo|ehlo|your (ip|host|domain|server|account)|"
    r"client host|blocked|blacklist\w*|block ?list\w*|spam\w*|reputation|policy|polic(y|ies)|quota|full)\b",
    re.IGNORECASE,
)
_RELAY_TEXT = re.compile(
    r"\brelay(ing)?\b.{0,40}\b(denied|not permitted|not allowed|prohibited|refused|rejected|forbidden|disabled)\b|"
    r"\b(unable|not permitted|not allowed|not authori[sz]ed|cannot|can't|do(es)? not|don't|refus\w+|denied|no) "
    r"(to |an? |open )*relay(ing)?\b",
    re.IGNORECASE,
)
_AUTH_TEXT = re.compile(
    r"\b(authentication|auth|login|smtp auth\w*) (is )?(required|needed)\b|\bnot (logged in|authenticated)\b|"
    r"\b(must|need to|have to|please|first)\b.{0,30}\b(authenticate|log ?in|issue auth|use smtp auth\w*)\b|"
    r"\brequires? (smtp )?(authentication|login)\b|\bsend auth\b",
    re.IGNORECASE,
)
_GREYLIST_TEXT = re.compile(
    r"gr[ae]y[\s_-]?list|\b(try|come|retry|back)\b.{0,20}\b(in|after) \d+ ?(s|sec|seconds|m|min|minutes)\b",
    re.IGNORECASE,
)


class Unusable(OSError):
    """Raised where a connection is opened by what already knows what that means for a message."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.text)
        self.outcome = outcome


def clean(text: bytes | str) -> str:
    """A server's words as one printable line of at most 500 characters, later lines without their repeated code."""
    decoded = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    first, *rest = decoded[: 40 * TEXT_LIMIT].splitlines() or [""]
    joined = " ".join([first, *(_ENHANCED.sub("", line) for line in rest)])
    printable = "".join(character if character.isprintable() else " " for character in joined)
    return " ".join(printable.split())[:TEXT_LIMIT]


def enhanced_code(code: int, text: str) -> str | None:
    """The enhanced status code at the start of an answer; None without one.

    One whose class differs from the basic code's is not believed (RFC 2034, section 4: they must agree).
    """
    found = _ENHANCED.match(text)
    if found is None or int(found[1]) != code // 100:
        return None
    return f"{found[1]}.{int(found[2])}.{int(found[3])}"


def expected(stage: Stage, code: int) -> bool:
    """Whether an answer lets the conversation go on."""
    return code // 100 == (3 if stage is Stage.DATA else 2)


def in_step(code: int) -> bool:
    """Whether the connection can be used on after this answer.

    Not after 421, nor after one that says that both sides no longer agree where they are (500 to 509 and 555, as
    Postfix does it), nor after one that is no answer to what was said.
    """
    return code // 100 == 2 or (400 <= code < 600 and code not in (421, 555) and not 500 <= code < 510)


def classify(stage: Stage, code: int, text: bytes | str) -> Outcome:
    """What an answer means that is not the one hoped for; and of any answer to the final dot.

    Args:
        text: all lines of the answer without the basic code.
    """
    words = clean(text)
    enhanced = enhanced_code(code, words)
    kind, hint = _meaning(stage, code, enhanced, words)
    greylisted = kind is OutcomeKind.DEFERRED and (enhanced == "4.7.1" or bool(_GREYLIST_TEXT.search(words)))
    if hint:
        words = clean(hint.format(answer=_short(code, words)))
    return Outcome(kind, code, enhanced, words, greylisted, in_hand=stage not in OPENING)


def _meaning(stage: Stage, code: int, enhanced: str | None, words: str) -> tuple[OutcomeKind, str]:
    if code == 421:
        return OutcomeKind.DOWN, "the server is closing ({answer})" if not words else ""
    if stage is Stage.AUTH:
        return _login_meaning(code)
    if stage in OPENING:
        return OutcomeKind.DOWN, _opening_hint(stage, code)
    if stage is Stage.DOT and code // 100 == 2:
        return OutcomeKind.SENT, ""
    if code // 100 not in (4, 5):
        lost = OutcomeKind.UNKNOWN if stage is Stage.DOT else OutcomeKind.LOST
        return lost, f"an answer to {stage.value} that makes no sense ({{answer}})"
    if stage is Stage.MAIL:
        return _sender_meaning(code, enhanced, words)
    if stage is Stage.RCPT:
        return _recipient_meaning(code, enhanced, words)
    return _message_meaning(code, enhanced)


def _login_meaning(code: int) -> tuple[OutcomeKind, str]:
    if code // 100 != 5:
        return OutcomeKind.DOWN, ""
    return OutcomeKind.MISCONFIGURED, "the server refused the login ({answer}): check smtp.user and smtp.password"


def _opening_hint(stage: Stage, code: int) -> str:
    place = "when we connected" if stage is Stage.GREETING else f"at {stage.value}"
    return f"the server turned us away {place} ({{answer}})" + (": is smtp.host right?" if code // 100 == 5 else "")


def _sender_meaning(code: int, enhanced: str | None, words: str) -> tuple[OutcomeKind, str]:
    if code == 552 or enhanced in _SIZE_CODES:
        return OutcomeKind.REFUSED, ""
    if code == 530 or (code // 100 == 5 and _AUTH_TEXT.search(words)):
        return OutcomeKind.MISCONFIGURED, "the server wants a login ({answer}): check smtp.user and smtp.password"
    if code // 100 == 4 or (code in _OUT_OF_STEP and enhanced in (None, "5.5.1")):
        return OutcomeKind.DOWN, ""
    if enhanced == _NON_ASCII_REFUSED:
        return OutcomeKind.BAD_ADDRESS, ""
    return (
        OutcomeKind.MISCONFIGURED,
        "the server does not let you send as this `from` ({answer}): check from in drip.yaml",
    )


def _recipient_meaning(code: int, enhanced: str | None, words: str) -> tuple[OutcomeKind, str]:
    # Also as 4xx: Postfix's default for a client it does not know is "454 4.7.1 Relay access denied".
    if _RELAY_TEXT.search(words):
        return OutcomeKind.OUR_FAULT, "the server does not relay for us ({answer}): check smtp.user and smtp.host"
    if code == 530 or (code // 100 == 5 and _AUTH_TEXT.search(words)):
        return OutcomeKind.OUR_FAULT, "the server wants a login ({answer}): check smtp.user and smtp.password"
    if enhanced in _OUR_FAULT_CODES:
        return OutcomeKind.OUR_FAULT, ""
    if code // 100 == 4:
        return OutcomeKind.DEFERRED, ""
    if enhanced in _NO_MAILBOX_CODES or _says_no_mailbox(code, enhanced, words):
        return OutcomeKind.NO_MAILBOX, ""
    return OutcomeKind.REFUSED, ""


def _says_no_mailbox(code: int, enhanced: str | None, words: str) -> bool:
    # 5.0.0 is "other undefined status": as good as no enhanced code.
    unspecific = enhanced in (None, "5.0.0")
    return (
        code in (550, 551, 553)
        and unspecific
        and bool(_NO_MAILBOX_TEXT.search(words))
        and not _ABOUT_US_TEXT.search(words)
    )


def _message_meaning(code: int, enhanced: str | None) -> tuple[OutcomeKind, str]:
    # Gmail and Microsoft judge the From domain only when they have the whole message.
    if enhanced in _OUR_FAULT_CODES:
        return OutcomeKind.OUR_FAULT, ""
    return (OutcomeKind.DEFERRED if code // 100 == 4 else OutcomeKind.REFUSED), ""


def lost(stage: Stage, why: str) -> Outcome:
    """What it means when no answer came: the connection ended, the time ran out, or it made no sense."""
    if stage is Stage.DOT:
        return Outcome(OutcomeKind.UNKNOWN, text=clean(f"no answer to the final dot: {why}"))
    if stage in OPENING:
        return down(stage, why)
    return Outcome(OutcomeKind.LOST, text=clean(f"the connection was lost at {stage.value}: {why}"))


def down(stage: Stage, why: str) -> Outcome:
    """The server can't be used now, found out before a message was begun."""
    place = "can't connect" if stage is Stage.CONNECT else f"the server failed at {stage.value}"
    return Outcome(OutcomeKind.DOWN, text=clean(f"{place}: {why}"), in_hand=False)


def misconfigured(text: str) -> Outcome:
    """A setting is wrong; the text names it."""
    return Outcome(OutcomeKind.MISCONFIGURED, text=clean(text), in_hand=False)


def from_exception(stage: Stage, error: Exception) -> Outcome:
    """What an exception means, of whatever library: the code it carries is looked at before its class.

    421 hides in several classes of smtplib, and what it calls "disconnected" may be a timeout.
    """
    if isinstance(error, Unusable):
        return error.outcome
    answer = _answer_in(error)
    if answer is not None:
        return classify(stage, *answer)
    certificate = getattr(error, "verify_message", None)
    if certificate:
        return _bad_certificate(str(certificate))
    if getattr(error, "reason", None) == "WRONG_VERSION_NUMBER":
        return down(Stage.TLS, "it does not speak TLS here; are smtp.security and smtp.port right?")
    return lost(stage, describe(error))


def _answer_in(error: Exception) -> tuple[int, bytes | str] | None:
    code, text = getattr(error, "smtp_code", None), getattr(error, "smtp_error", "")
    recipients = getattr(error, "recipients", None)
    if isinstance(recipients, dict) and recipients:
        code, text = next(iter(recipients.values()))
    if not isinstance(code, int) or not 200 <= code < 600:
        return None
    return code, text if isinstance(text, bytes | str) else str(text)


def _bad_certificate(problem: str) -> Outcome:
    setting = "smtp.host" if "mismatch" in problem or "not valid for" in problem else "smtp.ca_file"
    return misconfigured(f"the server's certificate can't be trusted ({problem.rstrip('.')}): check {setting}")


def describe(error: BaseException) -> str:
    """An exception in words: what the system says, or its class when it says nothing."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return clean(getattr(error, "strerror", None) or str(error) or type(error).__name__)


def _short(code: int, words: str) -> str:
    return f"{code} {words}".strip()[:300]
