"""From a definition to a message: headers, scope, precedence, layout, footer, includes, and errors with their place."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from markupsafe import Markup

from drip.core.address import Address
from drip.core.sequence import Layout, Step, Template
from drip.core.settings import UndefinedRule
from drip.errors import RenderFailed
from drip.render.page import built_in_layout
from tests.render.examples import (
    ANA,
    BARE,
    LINK,
    NOW,
    SETTINGS,
    STEP,
    body_html,
    compiled,
    page_html,
    plain_text,
    recipient,
    rendered,
)

STRICT = replace(SETTINGS, undefined=UndefinedRule.ERROR)


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
def test_the_subject(subject: str, value: str, expected: str) -> None:
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


# Escaping


def test_html_is_escaped_and_nothing_else_is() -> None:
    message = rendered({"x": "<b>'\"&"}, html="<p>{{ x }}</p>", text="{{ x }}", subject="{{ x }}")
    assert message.html is not None
    assert "<p" in message.html
    assert "&lt;b&gt;&#39;&#34;&amp;" in message.html
    assert message.text.startswith("<b>'\"&\n")
    assert message.subject == "<b>'\"&"


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


# Layout


def test_which_layout() -> None:
    layouts = {name: Layout(name, f"<body><i>{name}</i>{{{{ content }}}}</body>") for name in ("default", "one", "two")}
    templates = {"a": Template("a", html="x", layout="two"), "b": Template("b", html="x")}

    def used(template: str, **sequence: Any) -> str:
        step = replace(STEP, template=template)
        html = compiled(step, templates, layouts, **sequence).render(recipient(), NOW).html
        assert html is not None
        return html.partition("<i>")[2].partition("</i>")[0]

    assert used("a", layout="one") == "two"
    assert used("b", layout="one") == "one"
    assert used("b") == "default"


def test_the_built_in_layout() -> None:
    assert len(built_in_layout().encode()) < 2048
    html = rendered(body="Hola").html
    assert html is not None
    assert html.lower().startswith('<!doctype html><html lang="en"')
    assert '<meta name="color-scheme" content="light dark">' in html
    assert "@media (prefers-color-scheme: dark)" in html
    assert "max-width: 600px" in html
    assert "<title>Hola</title>" in html
    assert '<p style="margin: 0 0 16px;">Hola</p>' in html


def test_css_is_moved_into_elements_and_media_queries_stay() -> None:
    layout = "<style>p{color:red}.x{color:{{ color }}}@media print{p{color:blue}}</style>{{ content }}"
    html = rendered(
        {"color": "green"}, html='<p>a</p><b class="x">b</b>', layouts={"default": Layout("default", layout)}
    ).html
    assert html is not None
    assert '<p style="color: red;">a</p>' in html
    assert "@media print{p{color:blue}}" in html


def test_a_whole_page_wants_no_layout() -> None:
    html = rendered(
        html="<!DOCTYPE html><html><body><p>a</p></body></html>",
        settings=replace(SETTINGS, postal_address=None),
        person=recipient(unsubscribe_url=None),
    ).html
    assert html == "<!DOCTYPE html><html><head></head><body><p>a</p></body></html>"


def test_a_layout_without_content_is_refused() -> None:
    with pytest.raises(RenderFailed, match=r"layout 'default' has no \{\{ content \}\}"):
        rendered(html="x", layouts={"default": Layout("default", "<p></p>")})


def test_a_layout_that_is_missing_is_refused() -> None:
    with pytest.raises(RenderFailed, match="no layout 'fancy'"):
        compiled(replace(STEP, html="x"), layout="fancy")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (
            "<table>{% for n in items %}<tr><td>{{ n }}</td></tr>{% endfor %}</table>",
            "<table><tbody><tr><td>1</td></tr><tr><td>2</td></tr></tbody></table>",
        ),
        ('<p{% if on %} class="a"{% endif %}>x</p>', '<p class="a">x</p>'),
        ('<p {% if on %}class="a"{% else %}class="b"{% endif %}>x</p>', '<p class="a">x</p>'),
        ('<p class="a {% if on %}b{% endif %}">x</p>', '<p class="a b">x</p>'),
        ('<a href="{% if on %}https://a{% endif %}">x</a>', '<a href="https://a">x</a>'),
        ("{% if on %}<b>x</b>{% endif %}", "<b>x</b>"),
        ("{% if not on %}<b>x</b>{% endif %}", ""),
        ("<input {% if on %}disabled{% endif %}>", "<input disabled>"),
        ("<!--[if mso]>{% if on %}{{ items[0] }}{% endif %}<![endif]-->", "<!--[if mso]>1<![endif]-->"),
        (
            "<select>{% for n in items %}<option>{{ n }}</option>{% endfor %}</select>",
            "<select><option>1</option><option>2</option></select>",
        ),
        ("<a href='?a=1&b={{ items[1] }}'>x</a>", '<a href="?a=1&amp;b=2">x</a>'),
        ("{% raw %}{{ x }}{% endraw %}{{ items[0] }}", "{{ x }}1"),
        ("{% raw %}{{{% endraw %}{{ items[0] }}", "{{1"),
    ],
)
def test_tags_in_html_stay_where_they_are(source: str, expected: str) -> None:
    assert " ".join(page_html(source, {"items": [1, 2], "on": True}).replace(" >", ">").split()) == expected


def test_a_tag_that_html_has_no_place_for_is_refused() -> None:
    with pytest.raises(RenderFailed, match=r"step 'welcome', line 2: \{% if x %\} can't stand there"):
        rendered(html="a\n<style>{% if x %}p{}{% endif %}</style>")


# Footer


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({}, "Unsubscribe"),
        ({"language": "es-MX"}, "Darse de baja"),
        ({"locale": "es_ES"}, "Darse de baja"),
        ({"language": "pt"}, "Unsubscribe"),
    ],
)
def test_the_footer(variables: dict[str, str], words: str) -> None:
    message = rendered(variables, body="Hola")
    assert message.text == f"Hola\n\n-- \nCalle Mayor 1, Madrid\n{words}: {LINK}\n"
    assert message.html is not None
    assert f'<a class="drip-footer" href="{LINK}">{words}</a></div>' in message.html


def test_no_footer_where_the_template_has_the_link() -> None:
    message = rendered(html='<a href="{{ unsubscribe_url }}">bye</a>', text="bye: {{ unsubscribe_url }}", layouts=BARE)
    assert message.text == f"bye: {LINK}\n"
    assert message.html is not None
    assert "drip-footer" not in message.html


def test_each_part_needs_the_link_for_itself() -> None:
    layout = {"default": Layout("default", "{{ content }}<a href='{{ unsubscribe_url }}'>bye</a>")}
    message = rendered(body="Hola", layouts=layout)
    assert message.html is not None
    assert message.html.count(LINK) == 1
    assert message.text.endswith(f"\nUnsubscribe: {LINK}\n")


def test_the_link_may_be_in_what_is_included() -> None:
    templates = {"foot": Template("foot", markdown="[bye]({{ unsubscribe_url }})")}
    message = rendered(body="Hola\n\n{% include 'foot' %}", templates=templates)
    assert message.text == f"Hola\n\nbye ({LINK})\n"


@pytest.mark.parametrize(
    ("url", "mailto", "postal", "footer"),
    [
        (None, None, None, ""),
        (None, None, "Calle 1", "\n-- \nCalle 1\n"),
        (None, "mailto:bye@x.org", None, "\n-- \nUnsubscribe: mailto:bye@x.org\n"),
        (LINK, "mailto:bye@x.org", None, f"\n-- \nUnsubscribe: {LINK}\n"),
        (LINK, None, "Mi Empresa & Co\nCalle 1\n", f"\n-- \nMi Empresa & Co\nCalle 1\nUnsubscribe: {LINK}\n"),
    ],
)
def test_what_the_footer_says(url: str | None, mailto: str | None, postal: str | None, footer: str) -> None:
    message = rendered(
        body="x",
        settings=replace(SETTINGS, postal_address=postal),
        person=recipient(unsubscribe_url=url, unsubscribe_mailto=mailto),
    )
    assert message.text == "x\n" + footer
    assert message.html is not None
    assert ('<div class="drip-footer"' in message.html) == bool(footer)
    assert ("Mi Empresa &amp; Co<br>Calle 1" in message.html) == (postal is not None and "&" in postal)


# Templates and includes


def test_a_step_s_own_subject_wins() -> None:
    templates = {"t": Template("t", subject="Its own", text="x")}
    assert rendered(template="t", templates=templates).subject == "Hola"
    assert rendered(template="t", templates=templates, subject=None).subject == "Its own"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"text": "x", "subject": None}, "step 'welcome' has no subject"),
        ({"text": "x", "subject": " "}, "step 'welcome' has no subject"),
        ({}, "step 'welcome' has no content"),
        ({"template": "t"}, "step 'welcome': there is no template 't'"),
    ],
)
def test_what_is_missing(content: dict[str, Any], message: str) -> None:
    with pytest.raises(RenderFailed, match=message):
        rendered(**content)


INCLUDED = {
    "md": Template("md", markdown="*Ana* & {{ name }}"),
    "two": Template("two", markdown="a\n\nb"),
    "html": Template("html", html="<b>{{ name }}</b>"),
    "text": Template("text", text="<{{ name }}>\nx"),
    "both": Template("both", html="<i>h</i>", text="t"),
    "sets": Template("sets", markdown="{% set name = 'inner' %}\n{{ name }}"),
    "outer": Template("outer", markdown="[{% include 'md' %}]"),
}


@pytest.mark.parametrize(
    ("source", "html", "text"),
    [
        ("{% include 'md' %}", "<p><em>Ana</em> &amp; Ana</p>", "Ana & Ana\n"),
        ("{% include 'md.md' %}", "<p><em>Ana</em> &amp; Ana</p>", "Ana & Ana\n"),
        ("x {% include 'md' %} y", "<p>x <em>Ana</em> &amp; Ana y</p>", "x Ana & Ana y\n"),
        ("{% include 'two' %}", "<p>a</p>\n<p>b</p>", "a\n\nb\n"),
        ("x {% include 'html' %}", "<p>x <b>Ana</b></p>", "x Ana\n"),
        ("x {% include 'text' %}", "<p>x &lt;Ana&gt;<br>\nx</p>", "x <Ana>\nx\n"),
        ("{% include 'outer' %}", "<p>[<em>Ana</em> &amp; Ana]</p>", "[Ana & Ana]\n"),
        ("{% include 'sets' %}\n{{ name }}", "<p>inner</p>\n<p>Ana</p>", "inner\n\nAna\n"),
        ("a{% include 'none' ignore missing %}b", "<p>ab</p>", "ab\n"),
        ("{% include ['none', 'two'] %}", "<p>a</p>\n<p>b</p>", "a\n\nb\n"),
        ("{% for n in [1, 2] %}\n{% include 'sets' %}\n{% endfor %}", "<p>inner</p>\n<p>inner</p>", "inner\n\ninner\n"),
    ],
)
def test_includes(source: str, html: str, text: str) -> None:
    assert body_html(source, templates=INCLUDED).replace("\n\n", "\n") == html
    assert rendered(body=source, templates=INCLUDED).text.partition("\n-- ")[0] == text


def test_includes_in_text_take_the_text() -> None:
    assert plain_text("{% include 'both' %}!", templates=INCLUDED) == "t!\n"
    assert plain_text("{% include 'md' %}", templates=INCLUDED) == "Ana & Ana\n"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("a\n{% include 'mdd' %}", "step 'welcome', line 2: there is no template 'mdd'"),
        ("{% include name %}", "must be written as a name in quotes"),
        ("{% include '/etc/passwd' %}", "there is no template '/etc/passwd'"),
        ("{% include '../x' %}", "there is no template '../x'"),
        ("{% include 'me' %}", "template 'me' includes itself"),
        ("{% extends 'md' %}", "templates have no `extends`"),
        ("{% import 'md' as x %}", "templates have no `import`"),
        ("a\n{% from 'md' import x %}", "step 'welcome', line 2: templates have no `from"),
    ],
)
def test_what_can_t_be_included(source: str, message: str) -> None:
    templates = {**INCLUDED, "me": Template("me", markdown="{% include 'me' %}")}
    for content in ("body", "html", "text"):
        with pytest.raises(RenderFailed) as caught:
            compiled(replace(STEP, **{content: source}), templates)  # type: ignore[arg-type]
        assert message in caught.value.message


def test_templates_that_grow_without_end_are_refused_at_once() -> None:
    templates = {f"t{n}": Template(f"t{n}", markdown=f"{{% include 't{n + 1}' %}}" * 10) for n in range(15)}
    templates["t15"] = Template("t15", markdown="x")
    with pytest.raises(RenderFailed, match="too long"):
        rendered(body="{% include 't0' %}", templates=templates)


# Errors and their place


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("a\n\n{{ name }\n", "step 'welcome', line 3: unexpected '}'"),
        ("a\n{% if x %}\nb", "step 'welcome', line 2: Unexpected end of template"),
        ("a\n{{ x | upcase }}", "step 'welcome', line 2: No filter named 'upcase'"),
        ("{{ x is odder }}", "No test named 'odder'"),
    ],
)
def test_what_does_not_compile(source: str, message: str) -> None:
    for content in ({"body": source}, {"html": source}, {"text": source}):
        with pytest.raises(RenderFailed) as caught:
            compiled(replace(STEP, **content))  # type: ignore[arg-type]
        if "end of template" not in message:  # Jinja2 says on which line it stopped reading
            assert message in caught.value.message


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("a\n\n{{ plan }}", "step 'welcome', line 3: 'plan' is undefined, in {{ plan }}"),
        ("{{ name }}\n{{ name }} {{ a }}{{ plan }}", "step 'welcome', line 2: 'a' is undefined, in {{ a }}"),
        ("{% if\n\nplan %}x{% endif %}", "step 'welcome', line 1: 'plan' is undefined, in {% if plan %}"),
        ("a\n\n- {{ user.plan }}", "step 'welcome', line 3: 'dict object' has no attribute 'plan', in {{ user.plan }}"),
        ("{{ 1 / 0 }}", "step 'welcome', line 1: ZeroDivisionError: division by zero, in {{ 1 / 0 }}"),
        ("{{ name + 1 }}", "step 'welcome', line 1: TypeError"),
    ],
)
def test_what_goes_wrong_for_one_person(source: str, message: str) -> None:
    for content in ({"body": source}, {"html": f"<p>{source}</p>"}, {"text": source}):
        step = compiled(replace(STEP, **content), settings=STRICT)  # type: ignore[arg-type]
        with pytest.raises(RenderFailed) as caught:
            step.render(recipient({"user": {}}), NOW)
        assert caught.value.message.startswith(message)


def test_errors_name_the_template_they_are_in() -> None:
    templates = {
        "outer": Template("outer", markdown="a\n\n{% include 'inner' %}"),
        "inner": Template("inner", markdown="b\n\n\n{{ plan }}"),
    }
    with pytest.raises(RenderFailed, match="template 'inner', line 4: 'plan' is undefined"):
        rendered(template="outer", templates=templates, settings=STRICT)
    layout = {"default": Layout("default", "<p>\n\n{{ brand }}</p>{{ content }}")}
    with pytest.raises(RenderFailed, match="layout 'default', line 3: 'brand' is undefined"):
        rendered(body="x", layouts=layout, settings=STRICT)
    with pytest.raises(RenderFailed, match="step 'welcome', header X-A, line 1: 'plan' is undefined"):
        rendered(text="x", headers=(("X-A", "{{ plan }}"),), settings=STRICT)
    with pytest.raises(RenderFailed, match="step 'welcome', line 1: 'plan' is undefined"):
        rendered(text="x", subject="{{ plan }}", settings=STRICT)


def test_a_missing_variable_is_empty() -> None:
    assert plain_text("[{{ plan }}{{ user.plan.name }}]{% for x in nobody %}x{% endfor %}") == "[]\n"


def test_the_built_in_layout_and_footer_use_nothing_undefined() -> None:
    assert rendered(body="Hola {{ name }}", settings=STRICT, person=recipient(unsubscribe_url=None)).html


def test_a_template_that_calls_itself_without_end() -> None:
    with pytest.raises(RenderFailed, match="without end"):
        rendered(text="{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}")


def test_rendering_many_people_from_one_step() -> None:
    step = compiled(Step("s", timedelta(0), subject="{{ name }}", body="Hola {{ name }}"))
    names = [f"Name {n}" for n in range(20)]
    people = [recipient(to=replace(ANA, name=name)) for name in names]
    assert [step.render(person, NOW).subject for person in people] == names
