"""The small languages inside values: clocks, days, rates, zones, addresses of servers. Text in, value out, no I/O.

Every function raises `BadValue` (a ValueError) that says what was found, what is wanted, and what to write.
"""

from __future__ import annotations

import base64
import re
from datetime import time, timedelta
from zoneinfo import ZoneInfo

from drip.core.address import Address, ascii_domain, clean_line, parse_address, parse_email
from drip.core.expressions import ExpressionFailed, compile_expression
from drip.core.schedule import zone
from drip.core.sequence import SEQUENCE_ID, SendWindow
from drip.core.settings import Rate
from drip.errors import nearest
from drip.files.wording import BadValue, quote, suggest

_SELECTOR = re.compile(
    r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*"
)
_CLOCK = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")
_HOURS = re.compile(r"\s*([0-9:]+)\s*[-–]\s*([0-9:]+)\s*")
_RATE = re.compile(r"\s*([0-9]{1,9})\s*/\s*([smhd])\s*")
_RATE_UNITS = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_LONG_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_HEADER_NAME = re.compile(r"[A-Za-z0-9-]{1,76}")
_DRIP_HEADERS = ("x-auto-response-suppress",)
_LOCAL = 64
"""Octets of a local part (RFC 5321, 4.5.3.1.1)."""
_TOKEN = 37
"""Characters of a delivery's token, at a hundred million subscriptions."""
_SLUG_GAPS = re.compile(r"[^a-z0-9]+")


def clock(text: str) -> time:
    """`09:30`."""
    found = _CLOCK.fullmatch(text.strip())
    if found is None:
        raise BadValue(f"{quote(text)} is not a time of day", "write it as 09:30")
    return time(int(found[1]), int(found[2]))


def hours(text: str) -> tuple[time, time | None]:
    """`09:00-18:00`, `22:00-06:00` or `00:00-24:00`; None is the end of the day."""
    found = _HOURS.fullmatch(text)
    if found is None:
        raise BadValue(f"{quote(text)} is not a range of hours", "write it as 09:00-18:00")
    opens = clock(found[1])
    closes = None if found[2] == "24:00" else clock(found[2])
    if closes == opens:
        raise BadValue(f"{quote(text)} opens and closes at the same time", "for the whole day write 00:00-24:00")
    return opens, None if closes == time(0) else closes


def days(text: str) -> frozenset[int]:
    """`mon-fri`, `sat,sun`, `fri-mon` or `mon`; 0 is Monday."""
    found: set[int] = set()
    for part in text.split(","):
        first, dash, last = (word.strip() for word in part.partition("-"))
        begin = _day(first)
        end = _day(last) if dash else begin
        found.update((begin + offset) % 7 for offset in range((end - begin) % 7 + 1))
    return frozenset(found)


def _day(word: str) -> int:
    lower = word.lower()
    for names in (_DAYS, _LONG_DAYS):
        if lower in names:
            return names.index(lower)
    raise BadValue(f"{quote(word)} is not a day", suggest(lower, _DAYS) or "write mon, tue, wed, thu, fri, sat or sun")


def window(open_days: frozenset[int] | None, opening: tuple[time, time | None] | None) -> SendWindow:
    """A send window of what was given; what was left out is every day, or the whole day."""
    opens, closes = opening or (time(0), None)
    return SendWindow(days=frozenset(range(7)) if open_days is None else open_days, opens=opens, closes=closes)


def rate(text: str) -> Rate:
    """`14/s`, `600/m`, `10000/h` or `50000/d`."""
    found = _RATE.fullmatch(text)
    if found is None or int(found[1]) == 0:
        raise BadValue(f"{quote(text)} is not a rate", "write it as 14/s, 600/m, 10000/h or 50000/d")
    return Rate(int(found[1]), _RATE_UNITS[found[2]])


def zone_name(text: str) -> str:
    """The name of a zone that exists."""
    if zone(text) is None:
        raise BadValue(f"there is no time zone {quote(text)}", nearest_zone(text))
    return text


def existing_zone(text: str) -> ZoneInfo:
    """The zone of that name."""
    return ZoneInfo(zone_name(text))


def nearest_zone(text: str) -> str:
    """What to write instead of a zone that does not exist."""
    from zoneinfo import available_timezones  # walks a folder; only for a message

    folded = {name.lower(): name for name in available_timezones()}
    best = nearest(text[:100].strip().lower().replace(" ", "_"), folded)
    return "write an IANA name like Europe/Madrid" if best is None else f"did you mean {folded[best]!r}?"


def address(text: str) -> Address:
    """`Ana <ana@example.com>` or a bare address."""
    return parse_address(text)


def domain(text: str) -> str:
    """A domain, lower case and in ASCII."""
    try:
        return ascii_domain(text.strip())
    except ValueError:
        raise BadValue(f"{quote(text)} is not a domain", "write it as example.com") from None


def selector(text: str) -> str:
    """A DKIM selector: what stands before `._domainkey` (RFC 6376, section 3.1)."""
    if len(text) > 200 or not _SELECTOR.fullmatch(text):
        raise BadValue(f"{quote(text)} is not a selector", "write letters, digits and -, as drip2026")
    return text.lower()


def envelope_from(text: str) -> str:
    """An address, perhaps with `{token}` in its local part."""
    local, at, host = text.partition("@")
    filled = local.replace("{token}", "t" * _TOKEN)
    hint = "write bounces@example.com, or bounces+{token}@example.com for VERP"
    if len(filled) > _LOCAL >= len(local):
        raise BadValue(
            f"{quote(text)} gets too long: {_LOCAL} octets may stand before the @, a token is {_TOKEN}", hint
        )
    try:
        parse_email(filled + at + host)
    except ValueError:
        raise BadValue(f"{quote(text)} is not an address", hint) from None
    return text.strip()


def line(text: str) -> str:
    """One line of text that is not empty."""
    if not text.strip():
        raise BadValue("it is empty")
    if clean_line(text) != text.strip():
        raise BadValue("it has line breaks or control characters in it", "write one line")
    return text.strip()


def header_value(text: str) -> str:
    """The value of a header: one line."""
    return line(text)


def header_name(text: str) -> str:
    """The name of a header that a sequence may set."""
    if _HEADER_NAME.fullmatch(text) is None:
        raise BadValue(f"{quote(text)} can't name a header", "use letters, digits and dashes: X-Campaign")
    lower = text.lower()
    if lower.startswith("x-drip-") or lower in _DRIP_HEADERS:
        raise BadValue("drip sets this header itself", "take another name")
    if re.match("x-.", lower) is None and lower != "feedback-id":
        raise BadValue("this header can't be set", "only X-… and Feedback-ID can")
    return text


def slug(text: str) -> str:
    """An id: `[a-z0-9-]`, at most 100 characters, no dash at either end."""
    if SEQUENCE_ID.fullmatch(text) is None:
        better = _SLUG_GAPS.sub("-", text.lower())[:100].strip("-")
        hint = f"write {better}" if better else "write it as how-is-it-going"
        raise BadValue(f"{quote(text)} can't be an id: only a-z, 0-9 and dashes inside", hint)
    return text


def variable_name(text: str) -> str:
    """A name that templates can use."""
    if _VARIABLE.fullmatch(text) is None:
        raise BadValue(f"{quote(text)} can't name a variable", "use letters, digits and _, and begin with a letter")
    return text


def expression(text: str) -> str:
    """A Jinja2 expression that compiles."""
    try:
        compile_expression(text)
    except ExpressionFailed as error:
        raise BadValue(f"the expression is wrong: {error}") from None
    # Jinja2 hands numbers and nesting on to Python, whose parser has limits of its own.
    except (ValueError, SyntaxError, MemoryError, OverflowError) as error:
        raise BadValue(f"the expression is wrong: {error or type(error).__name__}") from None
    return text


def feedback_id(text: str) -> str:
    """The sender id of Feedback-ID: 5 to 15 characters without space and colon."""
    if not 5 <= len(text) <= 15 or re.fullmatch(r"[!-9;-~]+", text) is None:
        raise BadValue(f"{quote(text)} is not 5 to 15 characters without space or colon", "write it as mycompany")
    return text


def webhook_secret(text: str) -> str:
    """`whsec_` and base64."""
    encoded = text.removeprefix("whsec_")
    try:
        usable = encoded != text and bool(base64.b64decode(encoded, validate=True))
    except ValueError:
        usable = False
    if not usable:
        raise BadValue(
            "a webhook secret is whsec_ and base64", "`openssl rand -base64 32` makes one; put whsec_ before it"
        )
    return text
