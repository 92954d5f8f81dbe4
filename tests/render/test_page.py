"""A body in its layout, tags among HTML, and the footer of both parts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from drip.core.sequence import Layout, Template
from drip.errors import RenderFailed
from drip.render.page import built_in_layout, is_document
from tests.render.examples import (
    BARE,
    LINK,
    NOW,
    SETTINGS,
    STEP,
    compiled,
    page_html,
    recipient,
    rendered,
)


def test_the_nearest_layout_is_taken() -> None:
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


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({}, "Unsubscribe"),
        ({"language": "es-MX"}, "Darse de baja"),
        ({"locale": "es_ES"}, "Darse de baja"),
        ({"language": "pt"}, "Unsubscribe"),
    ],
)
def test_the_footer_speaks_the_language_of_the_person(variables: dict[str, str], words: str) -> None:
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


@pytest.mark.parametrize("comment", ["<!-- a -->\n", "<!---->", "<!-->", "<!-- a --!>"])
def test_comments_in_front_say_nothing_of_what_follows(comment: str) -> None:
    """Each comment more took twice as long, so sixty were never read."""
    assert not is_document(comment * 60 + "<p>Hola</p>")
    assert is_document(comment * 60 + "<!doctype html><p>Hola</p>")
    assert is_document(comment * 60 + "<html><p>Hola</p></html>")
    assert not is_document("<!-- <html>" + comment[4:] + "<p>Hola</p>")
