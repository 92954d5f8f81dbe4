"""The bytes of a message: whatever goes in comes out of the standard library's parser, and nothing else does."""

from __future__ import annotations

import quopri
import re
import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.message import Message as ParsedMessage
from email.utils import parsedate_to_datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from drip.core.address import Address
from drip.errors import RenderFailed
from drip.render.headers import clean_value
from drip.render.message import Message
from drip.render.mime import quoted_printable, write_message

PLAIN = Message(
    sender=Address("hola@miempresa.com", "Ana"),
    to=Address("eva@example.com", "Eva"),
    subject="Hola",
    text_pieces=["Hola\n"],
    html_pieces=["<p>Hola</p>"],
    message_id="<abc@miempresa.com>",
    date=datetime(2026, 3, 27, 9, 30, tzinfo=UTC),
)

NAMES = ["From", "To", "Subject", "Date", "Message-ID"]
MIME = ["MIME-Version", "Content-Type"]

_PIECES = [
    *'ab .=?_<>"\\,;:@\t\r\n\x00\x0b\x0c\x1c\x7f\x85\u2028\u2029\ud800é€😀\u0301',
    "From ",
    "=?utf-8?q?a?=",
    "x" * 75,
]
ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=300) | st.lists(
    st.sampled_from(_PIECES), max_size=60
).map("".join)
HOSTILE = [
    "Hi\n\ntext",
    "Hi\r\nBcc: x@y.org",
    "a\r\n\r\n--boundary\r\n",
    "=?utf-8?q?Bcc=3A?=",
    "x" * 5000,
    "é" * 900,
    "\u2028Bcc: x",
    "\ud83d",
    ' ", <evil@example.com>',
    "\t \t",
    "a  b   c",
    "😀" * 40,
    "a" + " " * 2000 + "b",
]


def unfolded(value: str) -> str:
    return re.sub(r"\r?\n(?=[ \t])", "", value)


def decoded(value: str) -> str:
    return str(make_header(decode_header(unfolded(value))))


def whole(text: str) -> str:
    """A text as it may come out: with U+FFFD for what is no character."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


def lines_of(text: str) -> str:
    return whole(text).replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n")


def check_octets(data: bytes) -> None:
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", data), "a bare CR or LF"
    assert b"\0" not in data
    assert data.endswith(b"\r\n")
    for line in data.split(b"\r\n"):
        assert len(line) <= 998
        assert not line.startswith(b"From ")
        assert line != b"."


def parts_of(parsed: ParsedMessage) -> list[tuple[str, str]]:
    parts = []
    for part in parsed.walk():
        if not part.is_multipart():
            payload = part.get_payload(decode=True)
            assert isinstance(payload, bytes)
            parts.append((part.get_content_type(), payload.decode("utf-8")))
    return parts


def check(message: Message) -> None:
    """The whole promise, for one message."""
    data = write_message(message)
    check_octets(data)
    parsed = message_from_bytes(data)
    extra = ["Reply-To"] if message.reply_to else []
    own = [name for name, _ in message.headers]
    transfer = ["Content-Transfer-Encoding"] if message.html is None else []
    assert parsed.keys() == ["From", *extra, *NAMES[1:], *own, *MIME, *transfer]
    assert decoded(parsed["Subject"]) == clean_value(message.subject)
    for name, value in message.headers:
        assert decoded(parsed[name]) == clean_value(value)
    for part in parsed.walk():
        assert not part.defects
    text = ("text/plain", lines_of(message.text))
    if message.html is not None:
        assert parts_of(parsed) == [text, ("text/html", lines_of(message.html))]
    else:
        ((kind, body),) = parts_of(parsed)
        assert (kind, body.removesuffix("\r\n")) == (text[0], text[1].removesuffix("\r\n"))


@given(ANY_TEXT)
@settings(max_examples=300, deadline=None)
def test_any_subject_comes_out_as_it_went_in(text: str) -> None:
    check(replace(PLAIN, subject=text))


@given(ANY_TEXT)
@settings(max_examples=200, deadline=None)
def test_any_header_value(text: str) -> None:
    check(replace(PLAIN, headers=(("X-Campaign", text), ("List-Unsubscribe", text), ("X-Drip-Delivery", text))))


@given(ANY_TEXT, ANY_TEXT | st.none())
@settings(max_examples=300, deadline=None)
def test_any_body_comes_out_as_it_went_in(text: str, html: str | None) -> None:
    check(replace(PLAIN, text_pieces=[text], html_pieces=None if html is None else [html]))


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_everywhere(text: str) -> None:
    message = replace(
        PLAIN,
        sender=Address("hola@miempresa.com", text),
        to=Address("eva@example.com", text),
        reply_to=Address("soporte@miempresa.com", text),
        subject=text,
        text_pieces=[text],
        html_pieces=[text],
        headers=(("X-One", text), ("List-Id", text)),
    )
    check(message)
    check(replace(message, html_pieces=None))


@given(ANY_TEXT)
@settings(max_examples=300, deadline=None)
def test_any_display_name(text: str) -> None:
    data = write_message(
        replace(PLAIN, sender=Address("hola@miempresa.com", text), to=Address("eva@example.com", text))
    )
    check_octets(data)
    parsed = message_from_bytes(data, policy=policy.default)
    old = message_from_bytes(data)
    assert [*old.keys()] == [*NAMES, *MIME]
    for name, email in (("From", "hola@miempresa.com"), ("To", "eva@example.com")):
        (address,) = parsed[name].addresses
        assert address.addr_spec == email
        display, _, rest = unfolded(old[name]).rpartition("<")
        assert rest == f"{email}>" or (not display and old[name] == email)
        assert _display(display.strip()) == clean_value(text)


def _display(display: str) -> str:
    if display.startswith('"'):
        return re.sub(r"\\(.)", r"\1", display[1:-1])
    return decoded(display)


@given(ANY_TEXT)
@settings(max_examples=200, deadline=None)
@example("Hi\n\ntext")
def test_the_newer_parser_reads_the_same(text: str) -> None:
    data = write_message(replace(PLAIN, subject=text, text_pieces=[text], html_pieces=[text]))
    for rules in (policy.default, policy.SMTP):
        parsed = message_from_bytes(data, policy=rules)
        assert isinstance(parsed, EmailMessage)
        assert parsed.keys() == [*NAMES, *MIME]
        assert [part.get_content_type() for part in parsed.iter_parts()] == ["text/plain", "text/html"]
        assert parsed["From"].addresses[0].addr_spec == "hola@miempresa.com"
        for part in parsed.iter_parts():
            assert isinstance(part, EmailMessage)
            assert _lines(part.get_content()) == _lines(whole(text))


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")


def naive(message: Message) -> bytes:
    """How one would write it: the blank line in a subject ends the headers."""
    return f"From: {message.sender}\r\nSubject: {message.subject}\r\nTo: {message.to}\r\n\r\n{message.text}".encode()


def test_the_check_finds_a_naive_writer() -> None:
    message = replace(PLAIN, subject="Hi\n\ntext")
    parsed = message_from_bytes(naive(message))
    assert parsed.keys() == ["From", "Subject"], "To fell into the body"
    with pytest.raises(AssertionError):
        check_octets(naive(message))
    check(message)


@given(ANY_TEXT)
@settings(max_examples=500, deadline=None)
def test_quoted_printable_is_read_back_as_it_was(text: str) -> None:
    encoded = quoted_printable([text])
    assert quopri.decodestring(encoded).decode() == lines_of(text)
    for line in encoded.split(b"\r\n"):
        assert len(line) <= 76
        assert re.fullmatch(rb"[\t -~]*", line)
        assert not line.endswith((b" ", b"\t"))
        assert not line.startswith(b"From ")
        assert line != b"."


@given(st.lists(ANY_TEXT | st.sampled_from(["\n", "\r", " ", ".", "From "]), max_size=8))
@example(["a\r", "\nb"])
@example(["Fro", "m x"])
@example(["a\n", ".", "\nb"])
@settings(max_examples=300, deadline=None)
def test_how_a_text_is_cut_in_pieces_changes_nothing(pieces: list[str]) -> None:
    assert quoted_printable(pieces) == quoted_printable(["".join(pieces)])


@pytest.mark.parametrize("size", [20, 280])
def test_what_is_remembered_of_long_values_stays_small(size: int) -> None:
    tracemalloc.start()
    try:
        for number in range(400):
            quoted_printable([f"{number}\n" + ("\N{GRINNING FACE}" * 70 + "\n") * size])
        remembered, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert remembered < 16 * 1024 * 1024


@pytest.mark.parametrize(
    ("text", "encoded"),
    [
        ("", b""),
        ("a", b"a"),
        ("a\n", b"a\r\n"),
        ("a \n", b"a=20\r\n"),
        ("a\t", b"a=09"),
        ("=", b"=3D"),
        ("é", b"=C3=A9"),
        (".", b"=2E"),
        ("a\n.\nb", b"a\r\n=2E\r\nb"),
        (".a", b".a"),
        ("From x", b"=46rom x"),
        ("a\nFrom x", b"a\r\n=46rom x"),
        ("aFrom x", b"aFrom x"),
        ("a\rb\r\nc\nd", b"a\r\nb\r\nc\r\nd"),
        ("x" * 76, b"x" * 76),
        ("x" * 77, b"x" * 75 + b"=\r\n" + b"x" * 2),
        ("x" * 75 + " \n", b"x" * 75 + b"=\r\n=20\r\n"),
        ("From " + "x" * 71, b"=46ro=\r\nm " + b"x" * 71),
    ],
)
def test_quoted_printable_by_the_rules(text: str, encoded: bytes) -> None:
    assert quoted_printable([text]) == encoded


def header_of(message: Message, name: str) -> str:
    head = write_message(message).partition(b"\r\n\r\n")[0].decode()
    fields = dict(field.split(": ", 1) for field in re.split(r"\r\n(?![ \t])", head))
    return fields[name]


@pytest.mark.parametrize(
    ("subject", "written"),
    [
        ("Hola", "Hola"),
        ("  Hola  ", "Hola"),
        ("Hi\n\ntext", "Hi  text"),
        ("Hi\u2028\x85text", "Hi  text"),
        ("¿Qué?", "=?utf-8?b?wr9RdcOpPw==?="),
        ("Bienvenido a bordo, señora García", "=?utf-8?q?Bienvenido_a_bordo=2C_se=C3=B1ora_Garc=C3=ADa?="),
        ("=?utf-8?q?x?=", "=?utf-8?b?PT91dGYtOD9xP3g/PQ==?="),
        ("", ""),
    ],
)
def test_subjects_are_encoded_only_where_they_must_be(subject: str, written: str) -> None:
    assert header_of(replace(PLAIN, subject=subject), "Subject") == written


@settings(deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Zl", "Zp")), min_size=1, max_size=200))
def test_encoded_words_are_whole_and_short(text: str) -> None:
    written = header_of(replace(PLAIN, subject="é" + text), "Subject")
    for index, word in enumerate(written.split("\r\n ")):
        assert len(word) <= 75
        assert len(word) + (9 if index == 0 else 1) <= 76
        decoded(word)  # raises when a character is cut in two


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("", "eva@example.com"),
        ("Eva", "Eva <eva@example.com>"),
        ("Eva María", "=?utf-8?q?Eva_Mar=C3=ADa?= <eva@example.com>"),
        ("Eva B.", '"Eva B." <eva@example.com>'),
        ('Eva "la" \\ x', '"Eva \\"la\\" \\\\ x" <eva@example.com>'),
        ("eva@other.example", '"eva@other.example" <eva@example.com>'),
        ("x>, <evil@example.com", '"x>, <evil@example.com" <eva@example.com>'),
        ("a\r\nBcc: b@c.org", '"a  Bcc: b@c.org" <eva@example.com>'),
        ("{{ config }}", "{{ config }} <eva@example.com>"),
    ],
)
def test_display_names_are_quoted_or_encoded_where_they_must_be(name: str, written: str) -> None:
    assert header_of(replace(PLAIN, to=Address("eva@example.com", name)), "To") == written


def test_a_local_part_beyond_ascii_stays_utf8() -> None:
    assert header_of(replace(PLAIN, to=Address("josé@example.com")), "To") == "josé@example.com"


@pytest.mark.parametrize(
    "email",
    [
        "a@b.org, c@d.org",
        "a@b.org>",
        "<a@b.org",
        "a b@c.org",
        "a@b.org\nBcc: c",
        "a@bücher.example",
        "a",
        "",
        "a@",
        "a(x)@b.org",
        "a\u2028@b.org",
    ],
)
def test_what_is_no_address_is_refused(email: str) -> None:
    with pytest.raises(RenderFailed, match="can't be written as an address in To"):
        write_message(replace(PLAIN, to=Address(email)))


@pytest.mark.parametrize(
    "name", ["X-A: b\r\nBcc", "", "X A", "X-Ñ", "X\n", "Bcc", "from", "Content-Type", "DKIM-Signature"]
)
def test_what_is_no_header_to_be_set_is_refused(name: str) -> None:
    with pytest.raises(RenderFailed):
        write_message(replace(PLAIN, headers=((name, "x"),)))


def test_the_date_is_in_utc() -> None:
    moment = datetime(2026, 3, 1, 0, 30, 5, 999, tzinfo=timezone(timedelta(hours=2)))
    written = header_of(replace(PLAIN, date=moment), "Date")
    assert written == "Sat, 28 Feb 2026 22:30:05 +0000"
    assert parsedate_to_datetime(written) == moment.replace(microsecond=0)


def test_the_same_message_gives_the_same_bytes() -> None:
    assert write_message(PLAIN) == write_message(replace(PLAIN))
    assert write_message(PLAIN) != write_message(replace(PLAIN, message_id="<other@miempresa.com>"))


def test_the_boundary_is_in_no_part() -> None:
    first = write_message(PLAIN)
    boundary = re.findall(rb'boundary="(.*)"', first)[0].decode()
    check(replace(PLAIN, text_pieces=[f"\n--{boundary}--\n"], html_pieces=[f"--{boundary}"]))


def test_long_links_are_folded_but_not_encoded() -> None:
    links = f"<https://example.com/u/{'a' * 120}>, <mailto:u@example.com?subject={'b' * 100}>"
    written = header_of(replace(PLAIN, headers=(("List-Unsubscribe", links),)), "List-Unsubscribe")
    assert unfolded(written) == links
    assert written.count("\r\n") == 1


def test_long_subjects_are_folded_at_78() -> None:
    subject = "word " * 60
    data = write_message(replace(PLAIN, subject=subject))
    assert max(map(len, data.split(b"\r\n"))) <= 78
    assert decoded(message_from_bytes(data)["Subject"]) == subject.strip()


@pytest.mark.parametrize("size", [68, 69, 70, 73, 74, 75, 76])
@pytest.mark.parametrize(
    "text", ["{}", "{} and", "a {}", "a  {}", "a" + " " * 20 + "{}", "a {} b", "a" + " " * 80 + "{}"]
)
def test_no_line_of_a_text_is_over_78(text: str, size: int) -> None:
    value = text.format("x" * size)
    data = write_message(replace(PLAIN, subject=value, headers=(("X-Campaign-Name", value),)))
    assert max(map(len, data.split(b"\r\n"))) <= 78
    parsed = message_from_bytes(data)
    assert [decoded(parsed[name]) for name in ("Subject", "X-Campaign-Name")] == [value, value]


@pytest.mark.parametrize("name", ['"' * 60, "\\" * 66, "x" * 65 + '"', "a, " * 21])
def test_no_line_of_a_display_name_is_over_78(name: str) -> None:
    data = write_message(replace(PLAIN, to=Address("eva@example.com", name)))
    assert max(map(len, data.split(b"\r\n"))) <= 78
    assert _display(unfolded(message_from_bytes(data)["To"]).rpartition("<")[0].strip()) == name.strip()


@pytest.mark.parametrize("name", ["Subject", "X-Campaign", "Feedback-ID"])
def test_no_run_of_blanks_makes_a_line_too_long(name: str) -> None:
    value = "a" + " " * 995 + "b"
    message = replace(PLAIN, subject=value) if name == "Subject" else replace(PLAIN, headers=((name, value),))
    data = write_message(message)
    check_octets(data)
    assert decoded(message_from_bytes(data)[name]) == value


def test_without_html_the_text_goes_alone() -> None:
    data = write_message(replace(PLAIN, html_pieces=None))
    assert b"multipart" not in bytes(data)
    assert data.endswith(b"\r\n\r\nHola\r\n")
