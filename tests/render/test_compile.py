"""From a definition to a message: headers, sender, subject, scope and escaping."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from email import message_from_bytes
from email.policy import default
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from markupsafe import Markup

from drip.core.address import Address
from drip.errors import RenderFailed
from drip.render.mime import write_message
from tests.render.examples import (
    LINK,
    NOW,
    SETTINGS,
    STEP,
    compiled,
    page_html,
    plain_text,
    recipient,
    rendered,
)


def test_the_headers_of_a_message() -> None:
    message = rendered(
        text="x",
        settings=replace(SETTINGS, feedback_id="drip1"),
        person=recipient(unsubscribe_mailto="mailto:bye@miempresa.com?subject=abc"),
        headers=(("X-Campaign", "{{ name }} &"),),
    )
    assert message.message_id == "<tok123@miempresa.com>"
    assert message.date == NOW
    assert message.headers == (
        ("List-Unsubscribe", f"<{LINK}>, <mailto:bye@miempresa.com?subject=abc>"),
        ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        ("List-Id", "<onboarding.miempresa.com>"),
        ("Feedback-ID", "onboarding:welcome:mi-empresa:drip1"),
        ("Auto-Submitted", "auto-generated"),
        ("X-Auto-Response-Suppress", "OOF, AutoReply"),
        ("X-Drip-Delivery", "tok123"),
        ("X-Campaign", "Ana &"),
    )


@pytest.mark.parametrize(
    ("url", "mailto", "headers"),
    [
        (None, None, []),
        (None, "bye@x.org", [("List-Unsubscribe", "<mailto:bye@x.org>")]),
        ("http://x.org/u/1", None, [("List-Unsubscribe", "<http://x.org/u/1>")]),
        (
            "https://x.org/u/1",
            None,
            [("List-Unsubscribe", "<https://x.org/u/1>"), ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click")],
        ),
    ],
)
def test_one_click_needs_https(url: str | None, mailto: str | None, headers: list[tuple[str, str]]) -> None:
    message = rendered(text="x", person=recipient(unsubscribe_url=url, unsubscribe_mailto=mailto))
    assert [header for header in message.headers if header[0].startswith("List-Unsub")] == headers


def test_a_step_may_set_its_own_feedback_id() -> None:
    message = rendered(text="x", settings=replace(SETTINGS, feedback_id="drip1"), headers=(("Feedback-ID", "a:b:c:d"),))
    assert [value for name, value in message.headers if name == "Feedback-ID"] == ["a:b:c:d"]


@pytest.mark.parametrize("name", ["Bcc", "X-Drip-Delivery", "x-drip-delivery", "Subject", "X A", "List-Id"])
def test_a_step_may_set_no_other_header(name: str) -> None:
    with pytest.raises(RenderFailed, match="step 'welcome', header"):
        rendered(text="x", headers=((name, "x"),))


STEPS, SEQUENCES, PROJECTS = (Address(f"{name}@{name}.example", name) for name in ("step", "sequence", "project"))


@pytest.mark.parametrize(
    ("step", "sequence", "project", "expected"),
    [
        (STEPS, SEQUENCES, PROJECTS, STEPS),
        (None, SEQUENCES, PROJECTS, SEQUENCES),
        (None, None, PROJECTS, PROJECTS),
    ],
)
def test_from_and_reply_to(step: Address | None, sequence: Address | None, project: Address, expected: Address) -> None:
    own = replace(STEP, text="x", sender=step, reply_to=step)
    whole = replace(SETTINGS, sender=project, reply_to=project)
    message = compiled(own, settings=whole, sender=sequence, reply_to=sequence).render(recipient(), NOW)
    assert (message.sender, message.reply_to) == (expected, expected)
    assert message.message_id == f"<tok123@{expected.domain}>"
    assert ("List-Id", f"<onboarding.{expected.domain}>") in message.headers


def test_nobody_to_reply_to() -> None:
    assert rendered(text="x").reply_to is None


@pytest.mark.parametrize(
    ("subject", "value", "expected"),
    [
        ("Hola {{ x }}", "A & <b>", "Hola A & <b>"),
        ("Hola\n{{ x }}\n", "a\r\nb", "Hola a b"),
        ("{{ x }}", "a\u2028b\x85c", "a b c"),
        ("  {% if x %}a{% endif %} ", "x", "a"),
        ("{{ x }}", "{{ config }}{% raw %}", "{{ config }}{% raw %}"),
        ("{{ name }} {{ sequence.name }} {{ step.key }} {{ step.position }}", "", "Ana Onboarding welcome 1"),
    ],
)
def test_a_subject_is_one_line_whatever_is_in_it(subject: str, value: str, expected: str) -> None:
    assert rendered({"x": value}, text="x", subject=subject).subject == expected


@pytest.mark.parametrize(
    ("contact", "variables", "expected"),
    [
        ("Ana", {"name": "Other", "email": "other@x.org"}, "Ana ana@example.com"),
        ("", {"name": "Other"}, "Other ana@example.com"),
        ("", {}, " ana@example.com"),
    ],
)
def test_whose_name_and_email(contact: str, variables: dict[str, Any], expected: str) -> None:
    person = recipient(variables, to=Address("ana@example.com", contact))
    assert rendered(text="{{ name }} {{ email }}", person=person).text.splitlines()[0] == expected


def test_what_is_in_scope() -> None:
    source = "{{ sequence.id }} {{ step.key }} {{ postal_address }} {{ unsubscribe_url }} {{ preferences_url }}"
    source += " {{ subject }}"
    expected = f"onboarding welcome Calle Mayor 1, Madrid {LINK} {LINK} Hola\n"
    assert plain_text(source, {"sequence": "mine", "step": 1, "unsubscribe_url": "x", "subject": "y"}) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "None"),
        (True, "True"),
        (1.5, "1.5"),
        (Decimal("1.50"), "1.50"),
        (date(2026, 3, 27), "2026-03-27"),
        (datetime(2026, 3, 27, tzinfo=UTC), "2026-03-27 00:00:00+00:00"),
        (Markup("<b>"), "&lt;b&gt;"),
        ([Markup("<b>")], "[&#39;&lt;b&gt;&#39;]"),
        ({"a": (1, 2)}, "{&#39;a&#39;: [1, 2]}"),
    ],
)
def test_only_plain_values_get_in(value: Any, expected: str) -> None:
    assert page_html("<p>{{ x }}</p>", {"x": value}) == f"<p>{expected}</p>"


def test_a_value_with_methods_of_the_same_name() -> None:
    assert plain_text("{{ order.items }} {{ order.get }}", {"order": {"items": 3, "get": 4}}) == "3 4\n"


def test_values_that_contain_themselves_fail_for_that_person() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(RenderFailed, match="nested too deeply"):
        rendered({"x": loop}, text="x")


@given(
    st.dictionaries(
        st.text(max_size=5), st.recursive(st.text() | st.integers() | st.floats() | st.none(), st.lists), max_size=4
    )
)
@hypothesis_settings(max_examples=60, deadline=None)
def test_any_names_and_values_can_be_passed(variables: dict[str, Any]) -> None:
    assert rendered(variables, body="Hola {{ name }}").text.startswith("Hola Ana\n")


@given(st.text())
@hypothesis_settings(max_examples=80, deadline=None)
def test_any_value_comes_out_as_it_is(value: str) -> None:
    assert plain_text("[{{ x }}]", {"x": value}) == f"[{value}]\n"
    assert page_html('<p title="{{ x }}">{{ x }}</p>', {"x": value}) == '<p title="{0}">{0}</p>'.format(
        str(Markup.escape(value))
    )


def test_html_is_escaped_and_nothing_else_is() -> None:
    message = rendered({"x": "<b>'\"&"}, html="<p>{{ x }}</p>", text="{{ x }}", subject="{{ x }}")
    assert message.html is not None
    assert "<p" in message.html
    assert "&lt;b&gt;&#39;&#34;&amp;" in message.html
    assert message.text.startswith("<b>'\"&\n")
    assert message.subject == "<b>'\"&"


@given(st.text(max_size=60) | st.sampled_from(["<b>&", "a\nb\n\nc", "\r\n.\r\n", "<" * 300, "x\n" * 200]))
@hypothesis_settings(max_examples=60, deadline=None)
def test_the_octets_say_what_the_message_says(value: str) -> None:
    page = (
        "<h1>{{ x }}</h1>\n" + "<p>The same for all, {{ x }}.</p>\n" * 3 + f"<p>{'words ' * 60}</p>\n<p>{{{{ x }}}}</p>"
    )
    message = rendered({"x": value}, html=page, text=f"{{{{ x }}}}\n{'words ' * 60}\n\n{{{{ x }}}}\n")
    parsed = message_from_bytes(write_message(message), policy=default)
    bodies = [_lines(part.get_content()) for part in parsed.iter_parts()]
    assert bodies == [_lines(message.text), _lines(message.html or "")]


def _lines(text: str) -> str:
    """As it is read back: with one kind of line end."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def test_escaping_inside_of_attributes() -> None:
    assert page_html("<a href='{{ x }}'>y</a>", {"x": "'\"><script>"}) == (
        '<a href="&#39;&#34;&gt;&lt;script&gt;">y</a>'
    )
    assert page_html("<a href={{ x }}>y</a>", {"x": "a onclick=b"}) == '<a href="a onclick=b">y</a>'


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("https://a.example/?b=1&c=2#d", "https://a.example/?b=1&c=2#d"),
        ("HTTP://a.example", "HTTP://a.example"),
        ("mailto:a@b.org?subject=x", "mailto:a@b.org?subject=x"),
        ("https://a.example/a b", "https://a.example/a%20b"),
        ("https://a.example/\"'<>", "https://a.example/%22%27%3C%3E"),
        ("https://a.example/é%20", "https://a.example/%C3%A9%20"),
        ("javascript:alert(1)", "#"),
        ("java\nscript:alert(1)", "#"),
        (" \x01javascript:alert(1)", "#"),
        ("JaVaScRiPt:alert(1)", "#"),
        ("data:text/html,x", "#"),
        ("vbscript:x", "#"),
        ("//evil.example", "#"),
        ("/path", "#"),
        ("https:evil", "#"),
        ("ht\ttps://a.example/\u200b", "https://a.example/"),
        ("\u202ehttps://a.example", "https://a.example"),
        ("", "#"),
        (None, "#"),
        (5, "#"),
    ],
)
def test_the_url_filter(value: Any, expected: str) -> None:
    assert plain_text("{{ x | url }}", {"x": value}) == expected + "\n"


def test_the_url_filter_on_nothing() -> None:
    assert plain_text("{{ missing | url }}") == "#\n"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ '2026-03-27' | date('%d/%m/%Y') }}", "27/03/2026"),
        ("{{ '2026-03-27T09:30:00Z' | date('%H:%M') }}", "09:30"),
        ("{{ '2026-03-27' | date }}", "2026-03-27"),
        ("{{ 'soon' | date }}", "soon"),
        ("{{ missing | date }}", ""),
        ("{{ '2026-03-27' | date('%99999999d %n') }}", "%99999999d %n"),
    ],
)
def test_the_date_filter(source: str, expected: str) -> None:
    assert plain_text(source) == (expected + "\n")
