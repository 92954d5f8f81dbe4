from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drip.core.address import Address, clean_line, email_key, parse_address, parse_email, spelt_like
from tests import strategies

LOCAL_64 = "a" * 64


@pytest.mark.parametrize(
    ("text", "email"),
    [
        ("a@b.org", "a@b.org"),
        ("  a@b.org ", "a@b.org"),
        ("A.b+Tag@EXAMPLE.Com", "A.b+Tag@example.com"),  # the local part stays as written
        ("a'b@x.com", "a'b@x.com"),
        ("a@straße.de", "a@xn--strae-oqa.de"),  # IDNA 2008; Python's own codec says strasse.de
        ("a@STRASSE.de", "a@strasse.de"),
        ("a@xn--strae-oqa.de", "a@xn--strae-oqa.de"),
        ("a@mañana.com", "a@xn--maana-pta.com"),
        ("a@man\u0303ana.com", "a@xn--maana-pta.com"),
        ("e\u0301@x.com", "\u00e9@x.com"),  # NFC
        ("a@example\u3002com", "a@example.com"),  # UTS 46 maps the ideographic and the full-width dot
        ("a@example\uff0ecom", "a@example.com"),
        ("a@foo.test", "a@foo.test"),
        # 64 + 1 + 61 + 1 + 61 + 1 + 61 + 4 = 254 octets
        (f"{LOCAL_64}@{'.'.join(['b' * 61] * 3)}.com", f"{LOCAL_64}@{'.'.join(['b' * 61] * 3)}.com"),
    ],
)
def test_an_address_is_kept_with_its_domain_in_ascii(text: str, email: str) -> None:
    assert parse_email(text) == email
    assert parse_email(email) == email


@pytest.mark.parametrize(
    "text",
    [
        "",
        "@",
        "a",
        "a@",
        "@b.org",
        "a@b",
        "a@localhost",
        "a@b@c.org",
        ".a@b.org",
        "a.@b.org",
        "a..b@b.org",
        "a@b..org",
        "a@b.org.",
        "a@-b.org",
        "a@b_c.org",
        "a@1.2.3.4",
        "a@[127.0.0.1]",
        '"a b"@x.com',
        '"a"@x.com',
        "a(comment)@x.com",
        "a@x.com (comment)",
        "<a@b.org>",
        "Ana <a@b.org>",
        "a,b@x.com",
        "a@x.com,b@x.com",
        "a@x.com b@x.com",
        "a%b.org@relay.org",
        "=?utf-8?q?a=40b.org?=@relay.org",
        "=?utf-8?q?a?==?utf-8?q?b?=@relay.org",
        "b.org!a@relay.org",
        "@relay.org:a@b.org",
        "a@b.org\n",
        "\na@b.org",
        "a@b.org\r\nBcc: c@d.org",
        "a\t@b.org",
        "a\x00@b.org",
        "a@b.org\x00",
        "a@b\u2024org",  # ONE DOT LEADER is no dot
        "a@b.org\u00a0",
        "a\u200b@b.org",
        "a\u202e@b.org",
        "a\ud800@b.org",
        "a@\ud800.org",
        "a@😀.com",  # not in IDNA 2008
        "a@xn--a.de",  # punycode of a control character
        f"{LOCAL_64}@{'.'.join(['b' * 61] * 3)}.info",  # 255 octets
        f"{'é' * 64}@{'.'.join(['b' * 41] * 3)}.com",  # 128 + 1 + 41 * 3 + 2 + 4 = 258 octets, in 194 characters
    ],
)
def test_what_a_server_could_misread_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not an email address"):
        parse_email(text)


def test_an_endless_address_is_refused_at_once_and_not_repeated_whole() -> None:
    for text in ("a" * 1_000_000 + "@x.com", "a@" + "b." * 500_000 + "com"):
        began = time.process_time()
        with pytest.raises(ValueError, match="longer than 254 octets") as caught:
            parse_email(text)
        assert time.process_time() - began < 0.1
        assert len(str(caught.value)) < 200


@given(st.text(alphabet='ab@.éßÅ%!"<>(),;: \t\r\n\0\u3002\u2024\u0301', max_size=30) | st.text(max_size=30))
def test_any_text_is_a_safe_address_or_a_value_error(text: str) -> None:
    try:
        email = parse_email(text)
    except ValueError:
        return
    assert parse_email(email) == email
    assert len(email.encode()) <= 254
    assert not set(email) & set(' \t\r\n\0"<>(),;:%!')
    assert email.rpartition("@")[2].isascii()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ana@Example.com", "ana@example.COM"),
        ("É@x.com", "é@x.com"),
        ("E\u0301@x.com", "é@x.com"),
        ("ana@straße.de", "ANA@xn--strae-oqa.de"),
        ("ΑΣ@x.com", "ας@x.com"),  # a final sigma
    ],
)
def test_two_spellings_of_one_address_have_one_key(one: str, other: str) -> None:
    assert email_key(parse_email(one)) == email_key(parse_email(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a.b@gmail.com", "ab@gmail.com"),
        ("a+x@gmail.com", "a@gmail.com"),
        ("a@straße.de", "a@strasse.de"),
        ("e@x.com", "é@x.com"),
    ],
)
def test_what_may_be_another_person_has_another_key(one: str, other: str) -> None:
    assert email_key(parse_email(one)) != email_key(parse_email(other))


@given(st.text(max_size=20))
def test_a_key_is_its_own_key(local: str) -> None:
    key = email_key(f"{local}@example.com")
    assert email_key(key) == key


@pytest.mark.parametrize(
    ("text", "name", "email"),
    [
        ("Ana <a@b.org>", "Ana", "a@b.org"),
        ("a@b.org", "", "a@b.org"),
        ("<a@b.org>", "", "a@b.org"),
        ("  Ana de Mi Empresa  < a@b.org > ", "Ana de Mi Empresa", "a@b.org"),
        ("José Núñez <j@straße.de>", "José Núñez", "j@xn--strae-oqa.de"),
        ("Acme, Inc. <a@b.org>", "Acme, Inc.", "a@b.org"),
        ('"Acme, Inc." <a@b.org>', "Acme, Inc.", "a@b.org"),
        (r'"A \"q\" <z> \\" <a@b.org>', r'A "q" <z> ' + "\\", "a@b.org"),
        ('Ana "la jefa" Pérez <a@b.org>', 'Ana "la jefa" Pérez', "a@b.org"),
        ("Ana (CEO) [x] <a@b.org>", "Ana (CEO) [x]", "a@b.org"),
        ("O'Neil: <a@b.org>", "O'Neil:", "a@b.org"),
        ("Ana\r\nBcc: x@y.org <a@b.org>", "Ana  Bcc: x@y.org", "a@b.org"),  # a name is one line
        ("c@d.org <a@b.org>", "c@d.org", "a@b.org"),
    ],
)
def test_a_name_may_stand_before_an_address(text: str, name: str, email: str) -> None:
    assert parse_address(text) == Address(email, name)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Ana",
        "Ana <>",
        "Ana <a@b.org",
        "Ana a@b.org>",
        "Ana a@b.org",
        "a@b.org, c@d.org",
        "Ana <a@b.org>, Bob <c@d.org>",
        "Ana <a@b.org> <c@d.org>",
        "Ana <a@b.org> (x)",
        "Ana <a@b.org>\nBcc: x@y.org",
        "Ana <a@b.org\n>",
        "Ana <a @b.org>",
        "Ana <@r.org:a@b.org>",
        "Ana: a@b.org;",
        "undisclosed:;",
        "a@b.org (Ana)",
    ],
)
def test_anything_but_one_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not an"):
        parse_address(text)


@pytest.mark.parametrize("text", ["a" + " " * 100_000, " " * 100_000 + "<", '"' + "\\a" * 100_000, "<" * 100_000])
def test_a_long_text_is_read_in_linear_time(text: str) -> None:
    began = time.process_time()
    with pytest.raises(ValueError, match="not an"):
        parse_address(text)
    assert time.process_time() - began < 1


@given(strategies.addresses)
def test_an_address_as_written_reads_back(address: Address) -> None:
    clean = Address(address.email, clean_line(address.name))
    assert parse_address(str(clean)) == clean


def test_the_domain_is_lower_case() -> None:
    assert Address("a@Example.COM").domain == "example.com"


@given(st.text())
def test_a_clean_line_has_no_control_character_and_nothing_else_changes(text: str) -> None:
    line = clean_line(text)
    assert not any(
        ord(character) < 32 or 127 <= ord(character) < 160 or character in "\u2028\u2029" for character in line
    )
    assert len(line.splitlines()) <= 1
    assert [character for character in text if character.isprintable() and character != " "] == [
        character for character in line if character.isprintable() and character != " "
    ]


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("ada@exmple.com", ["ada@example.com"]),
        ("da@example.com", ["ada@example.com"]),
        ("ADA@EXAMPLE.COM", ["ada@example.com"]),
        ("bo@example.com", ["bob@example.com"]),
        ("eve@example.com", []),
        ("ada@elsewhere.net", []),
        ("ad", ["ada@example.com"]),
        ("", []),
        ("@", []),
    ],
)
def test_who_shares_only_a_domain_is_not_meant(text: str, near: list[str]) -> None:
    assert spelt_like(text, ["bob@example.com", "ada@example.com"]) == near
