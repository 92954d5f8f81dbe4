"""Bounces: delivery status notifications (RFC 3464, RFC 6533), and those in each server's own words."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from email.message import Message

from drip.core.reports import Finding, ReportKind, grade, one_line, status_code
from drip.inbound.mail import body_text, content_type, fields_of, first_inside, value

MOST_RECIPIENTS = 50
_STATUS_TYPES = ("message/delivery-status", "message/global-delivery-status")
_SMTP_CODE = re.compile(r"(?<![\d.])([45])\d\d(?![\d.])[ -]")
_DAEMON = re.compile(
    r"mailer-?daemon|postmaster|mail.?delivery|system.?admin|mdaemon|bounce|no-?reply|daemon|^\s*<>\s*$", re.IGNORECASE
)


def read_dsn(message: Message) -> tuple[Finding, ...]:
    """What a delivery status notification says of each recipient that was not reached; empty when it is none."""
    found: list[Finding] = []
    for part in message.walk():
        if content_type(part) in _STATUS_TYPES:
            for block in _blocks(part):
                finding = _finding(block)
                if finding is not None:
                    found.append(finding)
    return tuple(found[:MOST_RECIPIENTS])


def has_verdict(message: Message) -> bool:
    """Whether it is a notification that says of somebody what became of the message, be it good or bad."""
    return any(
        _action(block) for part in message.walk() if content_type(part) in _STATUS_TYPES for block in _blocks(part)
    )


def read_prose(message: Message) -> tuple[Finding, ...]:
    """What a bounce in a server's own words says, as flufl.bounce understands it; empty when it is none."""
    if not _from_a_daemon(message):
        return ()
    from flufl.bounce import all_failures

    # It writes a traceback for what it can't read, and would write it into the dashboard.
    logging.getLogger("flufl.bounce").disabled = True
    try:
        temporary, permanent = all_failures(message)
    except Exception:  # hostile text must stop nobody, and the detectors promise nothing
        return ()
    said = _said(message)
    code = status_code(said)
    found = [_in_words(address, ReportKind.SOFT, code, said) for address in sorted(temporary)]
    found += [_in_words(address, grade("failed", code or "5.0.0"), code, said) for address in sorted(permanent)]
    return tuple(found[:MOST_RECIPIENTS])


def _blocks(part: Message) -> Iterator[Message]:
    """The groups of fields, the first being about the message as a whole."""
    payload, first = part.get_payload(), first_inside(part)
    if isinstance(payload, list) and content_type(part) == "message/delivery-status":
        yield from (block for block in payload[: MOST_RECIPIENTS + 1] if isinstance(block, Message))
        return
    if first is not None:  # parsed as a message: its body has the other groups
        yield first
    text = body_text(part if first is None else first)
    for block in re.split(r"\r?\n[ \t]*\r?\n", text)[: MOST_RECIPIENTS + 1]:
        if block.strip():
            yield fields_of(block.lstrip("\r\n"))


def _finding(block: Message) -> Finding | None:
    action = _action(block)
    if not action:
        return None
    diagnostic = value(block, "Diagnostic-Code")
    code = status_code(value(block, "Status"))
    said = status_code(diagnostic)
    # A server that says 5.0.0 of its own often has the truth in what the other side told it.
    if said is not None and (code is None or (code.endswith(".0.0") and said[0] == code[0])):
        code = said
    kind = grade(action, code)
    if kind is None:
        return None
    address = address_in(value(block, "Original-Recipient")), address_in(value(block, "Final-Recipient"))
    return Finding(kind, address[0] or address[1], code, one_line(diagnostic.partition(";")[2] or diagnostic))


def _action(block: Message) -> str:
    """RFC 3464, section 2.3.3, and what some write instead of `failed`; empty without one."""
    word = value(block, "Action").lower().split(" ")[0].strip(";,.")
    return "failed" if word in ("failure", "fail", "error") else word


def address_in(text: str) -> str | None:
    """`rfc822; ana@example.com`, with the comments and brackets that some put around it."""
    found = re.search(r"[^\s<>;,()\"]{1,128}@[^\s<>;,()\"]{1,255}", text.partition(";")[2] or text)
    return found[0] if found else None


def _from_a_daemon(message: Message) -> bool:
    """Whether a machine sent it: heuristics about people's mail would find bounces in what they quote."""
    if value(message, "Return-Path") == "<>":
        return True
    return any(_DAEMON.search(value(message, name)) for name in ("From", "Sender", "Reply-To", "Return-Path"))


def _said(message: Message) -> str:
    """The line in which a server gives its reason."""
    for part in message.walk():
        if part.get_content_maintype() == "text":
            lines = body_text(part, 16_384).splitlines()
            telling = [line for line in lines if status_code(line) or _SMTP_CODE.search(line + " ")]
            if telling:
                return one_line(telling[0])
    return ""


def _in_words(address: bytes, kind: ReportKind | None, code: str | None, said: str) -> Finding:
    return Finding(kind or ReportKind.SOFT, one_line(address.decode("utf-8", "replace")) or None, code, said)
