"""The text part: made of HTML, or the operator's own."""

from __future__ import annotations

import pytest

from tests.render.examples import body_text, page_text, plain_text, rendered


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("# Title\n\nHola {{ name }}", "Title\n\nHola Ana\n"),
        ("[here]({{ link }})", "here (https://a.example/?b=1&c=2)\n"),
        ("<{{ link }}>", "https://a.example/?b=1&c=2\n"),
        ("<ana@example.com>", "ana@example.com\n"),
        ("![logo](https://a.example/x.png)", "logo\n"),
        ("[![logo](x.png)]({{ link }})", "logo (https://a.example/?b=1&c=2)\n"),
        ("a & b < c {{ html }}", "a & b < c <b>&amp;</b>\n"),
        ("- a\n- b\n  - c\n\n1. x\n2. y", "* a\n* b\n  + c\n\n1. x\n2. y\n"),
        ("a\n\n---\n\nb", "a\n\n----------\n\nb\n"),
        ("```\ncode\n  here\n```", "code\n  here\n"),
        ("a  \nb", "a\nb\n"),
        ("a\nb", "a b\n"),
        ("{% if name %}\nyes\n{% endif %}\n\n{% if not name %}\nno\n{% endif %}\n\nend", "yes\n\nend\n"),
        ("a\n\n{% if not name %}no{% endif %}\n\nend", "a\n\nend\n"),
        ("Hola {% if name %}{{ name }}{% endif %},\n\nx", "Hola Ana,\n\nx\n"),
    ],
)
def test_markdown_is_read_as_text(source: str, text: str) -> None:
    assert body_text(source, {"link": "https://a.example/?b=1&c=2", "html": "<b>&amp;</b>"}) == text


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("<p>a</p><p>b &amp; c&nbsp;d</p>", "a\n\nb & c d\n"),
        ("<table><tr><td><table><tr><td>a</td><td>b</td></tr></table></td></tr></table>", "a b\n"),
        ("<table>{% for n in items %}<tr><td>{{ n }}</td><td>x</td></tr>{% endfor %}</table>", "1 x\n2 x\n"),
        ("<ul>{% for n in items %}<li>{{ n }}</li>{% endfor %}</ul>", "* 1\n* 2\n"),
        ("<style>p{color:red}</style><script>x()</script><p>a</p>", "a\n"),
        ('<div style="display:none">hidden</div><p>a</p>', "a\n"),
        ('<a href="https://a.example/">a</a>', "a (https://a.example/)\n"),
        ('<a href="#top">a</a>', "a\n"),
        ("<html><head><title>t</title></head><body><p>a</p></body></html>", "a\n"),
        ("<!-- {{ name }} --><p>a</p>", "a\n"),
    ],
)
def test_html_is_read_as_text(source: str, text: str) -> None:
    assert page_text(source, {"items": [1, 2]}) == text


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("a {{ name }}\n  b\n\n\n\nc", "a Ana\n  b\n\n\n\nc\n"),
        ("Hola{% if name %} {{ name }}{% endif %}\nx", "Hola Ana\nx\n"),
        ("a\n  {% if name %}  \nb\n{% endif %}\nc", "a\nb\nc\n"),
        ("a\n\n{%- if name %}\nb\n{%- endif %}", "ab\n"),
        ("{# note #}\na", "a\n"),
        ("<b>{{ html }}</b>", "<b><i>&amp;</i></b>\n"),
        ("a\r\nb", "a\nb\n"),
    ],
)
def test_of_its_own_is_only_filled_in(source: str, text: str) -> None:
    assert plain_text(source, {"html": "<i>&amp;</i>"}) == text


def test_text_alone_has_no_html() -> None:
    assert rendered(text="a").html is None


def test_html_with_its_own_text() -> None:
    message = rendered(html="<p>page</p>", text="words")
    assert message.text.startswith("words\n")
    assert message.html is not None
    assert "<p" in message.html
