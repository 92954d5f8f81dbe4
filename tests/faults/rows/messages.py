"""Rows 20 and 30: what strangers write stays a value, and every message carries the headers that mailboxes require."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from email import message_from_bytes, policy
from email.parser import BytesHeaderParser
from functools import cache
from html.parser import HTMLParser
from typing import Any
from unittest.mock import patch

import drip.render.compile
import drip.render.mime
from drip.core.address import Address, parse_email
from drip.core.dkim_keys import read_key
from drip.core.settings import InboundSettings, SmtpSettings
from drip.render.dkim import sign
from drip.render.headers import clean_value
from drip.render.message import Message
from drip.render.mime import write_message
from tests.faults.generated import falsified
from tests.faults.registry import Case, Control, Figures, Row
from tests.faults.trial import look_over
from tests.lab import a_sequence, a_step, open_lab
from tests.render.examples import ANA, BARE, NOW, STEP, compiled, recipient
from tests.render.test_dkim import DOMAIN, KEYS, SELECTOR, verified
from tests.render.test_mime import ANY_TEXT, HOSTILE, check

EXAMPLES = 250
"""Texts in a trial."""

_STEP = compiled(
    replace(
        STEP,
        subject="[{{ x }}] {{ name }}",
        text="[{{ x }}]",
        html='<p title="{{ x }}">[{{ x }}]</p><p><a href="{{ x | url }}">{{ name }}</a></p>',
        headers=(("X-Campaign", "{{ x }}"), ("Feedback-ID", "a:b:{{ x }}:sender")),
    ),
    layouts=BARE,
)


def values_trial(case: Case) -> Figures:
    """Text of any kind as name, variable and address: it comes out as what it was, and as nothing else."""
    figures = Figures(trials=1, faults=EXAMPLES)
    for text in HOSTILE if case.number == 0 else ():
        stays_a_value(text, text)
    figures.breaches += falsified(case, EXAMPLES // 2, stays_a_value, ANY_TEXT, ANY_TEXT)
    figures.breaches += falsified(case, EXAMPLES // 2, is_one_address, ANY_TEXT)
    return figures


def stays_a_value(text: str, name: str) -> None:
    """One message, with these as a variable and a display name."""
    message = _STEP.render(recipient({"x": text}, to=replace(ANA, name=name)), NOW)
    assert message.to == replace(ANA, name=name), "recipient"
    assert message.text.startswith(f"[{text}]"), "code"
    assert _words(message.subject) == _words(f"[{text}] {name}"), f"subject became {message.subject!r}"
    _same_page(message, text, name)
    data = write_message(message)
    head = BytesHeaderParser().parsebytes(data)
    known = ["From", "To", "Subject", "Date", "Message-ID", *(name for name, _ in message.headers)]
    assert head.keys() == [*known, "MIME-Version", "Content-Type"], f"headers became {head.keys()}"
    assert _to(_HEADERS.parsebytes(data)) == [ANA.email], "recipient"
    check(message)


_HEADERS = BytesHeaderParser(policy=policy.default)


def _to(parsed: Any) -> list[str]:
    return [address.addr_spec for address in parsed["To"].addresses]


def _words(text: str) -> list[str]:
    return clean_value(text).split()


def _same_page(message: Message, text: str, name: str) -> None:
    """The page has the tags of the template and the text of the values, whatever they are."""
    assert message.html is not None
    page = _Page(message.html)
    assert page.tags == _plain_tags(), f"tags became {page.tags}"
    assert page.titles == [text], "parts"
    assert f"[{text}]" in page.words, "code"


@cache
def _plain_tags() -> list[tuple[str, ...]]:
    """The tags of a page with harmless values."""
    return _Page(_STEP.render(recipient({"x": "plain"}), NOW).html or "").tags


class _Page(HTMLParser):
    """The tags of a page with the names of their attributes, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, ...]] = []
        self.titles: list[str | None] = []
        self.words = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """One tag."""
        self.tags.append((tag, *(name for name, _ in attrs)))
        self.titles += [value for name, value in attrs if name == "title"]
        assert not any((value or "").lower().startswith("javascript:") for name, value in attrs if name == "href")

    def handle_data(self, data: str) -> None:
        """Text between tags."""
        self.words += data


def is_one_address(text: str) -> None:
    """A text that is taken for an address is one, in the envelope and in the header."""
    for written in (text, f"a@{text}", f"{text}@example.com", f"a{text}@example.com", f"a@b{text}.example"):
        try:
            email = parse_email(written)
        except ValueError:
            continue
        assert not re.search(r'[\s<>(),;:\\"\x00-\x20\x7f]', email), f"envelope {email!r}"
        assert email.count("@") == 1, f"envelope {email!r}"
        data = write_message(replace(_STEP.render(recipient({"x": ""}), NOW), to=Address(email)))
        assert _to(_HEADERS.parser.parsestr(data.decode(), headersonly=True)) == [email], f"recipient {email!r}"


@contextmanager
def no_check() -> Iterator[None]:
    """A header is its name and its value."""

    def naive(name: str, value: str) -> bytes:
        return f"{name}: {value}\r\n".encode("utf-8", "surrogatepass")

    with patch.object(drip.render.mime, "text_field", naive):
        yield


MESSAGES = 12
"""In a trial of row 30, at least."""
_KEY = read_key(KEYS["ed25519, PKCS#8"])


def compliance_trial(case: Case) -> Figures:
    """A project of random settings, and what it sends: every header against the table, signed and not."""
    random, figures = case.random, Figures(trials=1)
    settings: dict[str, Any] = {
        "base_url": "https://mail.example.com",
        "inbound": InboundSettings(address=random.choice((None, "leave@example.com"))),
        "postal_address": random.choice((None, "1 Example Street\nExampletown")),
        "feedback_id": random.choice((None, "exampleid")),
        "smtp": SmtpSettings("localhost", envelope_from=random.choice((None, "bounces+{token}@example.com"))),
    }
    link = random.choice(("", '<p><a href="{{ unsubscribe_url }}">{{ name }}, leave</a> {{ postal_address }}</p>'))
    contents: list[dict[str, Any]] = [
        {"body": f"Hello **{{{{ name }}}}**.\n\n{link}"},
        {"html": f"<p>Hello {{{{ name }}}}.</p>{link}"},
        {"text": "Hello {{ name }}."},
        {"text": "Hello.", "headers": (("X-Campaign", "{{ name }}"),)},
    ]
    random.shuffle(contents)
    with open_lab(case.folder, **settings) as lab:
        lab.apply(a_sequence(*(a_step(f"step-{number}", **content) for number, content in enumerate(contents))))
        for number in range(MESSAGES // len(contents)):
            name = random.choice(("", "Ana", "Zoë\r\nBcc: x@example.com", "😀 <b>"))
            lab.subscribe(f"p{number}@example.com", name=name, variables={"language": random.choice(("en", "es"))})
        for _ in contents:
            lab.tick()
        for envelope, content in lab.transport.sent:
            figures.faults += 1
            figures.breaches += compliance(content, envelope.recipient, settings)
            signed = sign(content, _KEY, DOMAIN, SELECTOR, NOW.timestamp())
            figures.breach(not verified(signed, _KEY), "the signature is not valid")
            figures.breaches += covered(signed)
        figures.breach(len(lab.transport.sent) < MESSAGES, f"only {len(lab.transport.sent)} messages were sent")
        look_over(lab.store.database, figures)
    return figures


def compliance(content: bytes, recipient: str, settings: dict[str, Any]) -> list[str]:
    """What is wrong with the headers of a message."""
    found = message_from_bytes(content, policy=policy.default)
    one = {name.lower(): str(value) for name, value in found.items()}
    page = found.get_body(("html",))
    texts = [part.get_content() for part in (found.get_body(("plain",)), page) if part is not None]
    links = re.findall(r"<([^>]*)>", one.get("list-unsubscribe", ""))
    https = [link for link in links if link.startswith("https://mail.example.com/u/")]
    mailto = [link for link in links if link.startswith("mailto:leave@example.com?")]
    names = [name.lower() for name in found]
    feedback = one.get("feedback-id")
    rules = {
        "exactly one https link to leave by (RFC 8058)": len(https) == 1,
        "a mailto link where there is an address for it, and no other": len(links) - 1 == len(mailto)
        and len(mailto) == (settings["inbound"].address is not None),
        "List-Unsubscribe-Post verbatim (RFC 8058)": one.get("list-unsubscribe-post") == "List-Unsubscribe=One-Click",
        "List-Id (RFC 2919)": re.fullmatch(r"<[a-z0-9-]+\.example\.com>", one.get("list-id", "")) is not None,
        "Feedback-ID of four fields, or none": feedback is None
        if settings["feedback_id"] is None
        else re.fullmatch(r"welcome:step-\d:lab:exampleid", feedback or "") is not None,
        "Auto-Submitted (RFC 3834)": one.get("auto-submitted") == "auto-generated",
        "every header once": len(names) == len(set(names)),
        "one From, of the sender": one.get("from", "").endswith("hello@example.com>"),
        "To is the recipient": [address.addr_spec for address in found["to"].addresses] == [recipient],
        "Message-ID and Date": one.get("message-id", "").endswith("@example.com>") and "date" in one,
        "a visible link in every part": all(https and https[0] in text for text in texts),
        "the postal address in every part": settings["postal_address"] is None
        or all("1 Example Street" in text and "Exampletown" in text for text in texts),
    }
    return [f"not so: {rule}" for rule, holds in rules.items() if not holds]


def covered(signed: bytes) -> list[str]:
    """What a signature should cover and does not."""
    value = re.sub(r"\s", "", str(message_from_bytes(signed)["DKIM-Signature"]))
    fields = value.partition(";h=")[2].partition(";")[0].split(":")
    wanted = {"from", "to", "subject", "date", "message-id", "list-unsubscribe", "list-unsubscribe-post", "list-id"}
    return [f"not signed: {name}" for name in sorted(wanted - set(fields))]


@contextmanager
def without_the_post_header() -> Iterator[None]:
    """The link is there, but not the header that makes a button of it."""
    whole = drip.render.compile._unsubscribe_headers

    def half(person: Any) -> tuple[tuple[str, str], ...]:
        return whole(person)[:1]

    with patch.object(drip.render.compile, "_unsubscribe_headers", half):
        yield


ROWS = [
    Row(
        number=20,
        promise="Values never become headers, recipients, parts or code",
        fault="all of Unicode, controls and long texts as variable, name, subject, header and address",
        ci=10_000,
        release=100_000,
        unit="texts",
        per_trial=EXAMPLES,
        trial=values_trial,
        control=Control("a header is its name and its value", no_check, within=4, shows="headers became"),
    ),
    Row(
        number=30,
        promise="Compliance headers are right",
        fault="projects of random settings and contents, hostile names, signed and not",
        ci=300,
        release=10_000,
        unit="messages",
        per_trial=MESSAGES,
        trial=compliance_trial,
        control=Control("leaves out List-Unsubscribe-Post", without_the_post_header, within=1, shows="verbatim"),
    ),
]
