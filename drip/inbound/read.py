"""What one message is: a bounce, a complaint, an opt-out, an automatic answer, or none of these."""

from __future__ import annotations

import hashlib
import logging
import re
from dataclasses import dataclass
from email.message import Message

from drip.core.reports import Finding, NoReport, Report, ReportKind
from drip.core.settings import Settings
from drip.inbound.arf import read_arf
from drip.inbound.dsn import has_verdict, read_dsn, read_prose
from drip.inbound.mail import Unreadable, parse, value
from drip.inbound.names import find_tokens

logger = logging.getLogger("drip.inbound")

_LEAVE = re.compile(r"\bunsubscribe(?:\s|%20|\+)+([a-z2-7]{28,100})\b", re.IGNORECASE)
_ANSWERS = re.compile(
    r"^(auto(matic|mated)?[ -]?(reply|response|antwort)|out of (the )?office|abwesend|abwesenheits|fuera de (la )?"
    r"oficina|respuesta autom|absence|réponse automatique|i am (currently )?out|on vacation|vacation)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads messages of one project."""

    envelope_from: str | None
    """As in drip.yaml: how tokens stand in the address that bounces come to."""

    def read(self, raw: bytes) -> Report | NoReport:
        """What a message is. Never raises for what is in it: one that can't be read is left, and the next is read."""
        try:
            return self.understand(parse(raw), raw)
        except (Unreadable, RecursionError):
            return NoReport.UNREADABLE
        except Exception:
            logger.exception("a message could not be read; it stays where it is")
            return NoReport.UNREADABLE

    def understand(self, message: Message, raw: bytes) -> Report | NoReport:
        """What a parsed message is.

        Args:
            raw: the whole of it, by which it is known again.
        """
        judged = has_verdict(message)
        findings = read_dsn(message) if judged else read_arf(message)
        token = None if judged or findings else _leave_token(message)
        if token is not None:
            findings = (Finding(ReportKind.UNSUBSCRIBE),)
        elif not findings and not judged:
            if message.get_param("report-type") in ("feedback-report", "disposition-notification"):
                return NoReport.OTHER
            if is_auto_reply(message):
                return NoReport.AUTO_REPLY
            findings = read_prose(message)
        if not findings:
            return NoReport.OTHER
        tokens = () if token else find_tokens(message, self.envelope_from)
        return Report(_key(message, raw), findings, tokens=tokens, leave_token=token)


def reader_for(settings: Settings) -> Reader:
    """The reader of a project."""
    return Reader(settings.smtp.envelope_from if settings.smtp else None)


def is_auto_reply(message: Message) -> bool:
    """Whether a machine answered for a person (RFC 3834, section 5, and what was used before it).

    Servers mark bounces in the same way, so that what looks like one must be told apart by who sent it.
    """
    if value(message, "Auto-Submitted").lower() not in ("", "no") and not _daemon(message):
        return True
    if any(value(message, name) for name in ("X-Autoreply", "X-Autorespond", "X-Autoresponse", "X-Vacation")):
        return True
    if value(message, "Precedence").lower() in ("auto_reply", "auto-reply"):
        return True
    return bool(_ANSWERS.match(value(message, "Subject")))


def _daemon(message: Message) -> bool:
    return bool(re.search(r"mailer-?daemon|postmaster", value(message, "From"), re.IGNORECASE))


def _leave_token(message: Message) -> str | None:
    found = _LEAVE.search(value(message, "Subject"))
    return found[1].lower() if found else None


def _key(message: Message, raw: bytes) -> str:
    """By what it says and not by the way it took: trace headers and line ends differ from one copy to the next."""
    _, _, body = raw.replace(b"\r\n", b"\n").partition(b"\n\n")
    digest = hashlib.sha256(value(message, "Message-ID").encode("utf-8", "surrogatepass") + b"\0")
    digest.update(value(message, "Subject").encode("utf-8", "surrogatepass") + b"\0" + body.strip())
    return "mail:" + digest.hexdigest()
