"""Markdown around Jinja2: tags stay what they are, and values are never Markdown."""

from __future__ import annotations

import pytest

from tests.render.examples import body_html, body_text


@pytest.mark.parametrize(
    ("source", "html"),
    [
        ("Hola **{{ name }}**", "<p>Hola <strong>Ana</strong></p>"),
        ("*{{ name }}* and _{{ name }}_", "<p><em>Ana</em> and <em>Ana</em></p>"),
        ("# {{ name }}", "<h1>Ana</h1>"),
        ("{{ name }}\n===", "<h1>Ana</h1>"),
        ("`{{ name }}`", "<p><code>Ana</code></p>"),
        ("```\n{{ name }}\n```", "<pre><code>Ana\n</code></pre>"),
        ("~~{{ name }}~~", "<p><s>Ana</s></p>"),
        ("[x]({{ link }})", '<p><a href="https://a.example/?b=1&amp;c=2">x</a></p>'),
        ('[x]({{ link | url }} "t")', '<p><a href="https://a.example/?b=1&amp;c=2" title="t">x</a></p>'),
        ("[x](https://a.example/{{ name }}?q={{ name }})", '<p><a href="https://a.example/Ana?q=Ana">x</a></p>'),
        ("<{{ link }}>", '<p><a href="https://a.example/?b=1&amp;c=2">https://a.example/?b=1&amp;c=2</a></p>'),
        ("![{{ name }}]({{ link }})", '<p><img src="https://a.example/?b=1&amp;c=2" alt="Ana"></p>'),
        ('{{ missing|default("x") }}', "<p>x</p>"),
        ("{{ missing|default('<x>') }}", "<p>&lt;x&gt;</p>"),
        ('{{ "}}" }} {{ {"a": {"b": 1}}["a"]["b"] }}', "<p>}} 1</p>"),
        (
            '<a href="{{ link }}" title="{{ name }}">x</a>',
            '<p><a href="https://a.example/?b=1&amp;c=2" title="Ana">x</a></p>',
        ),
        ("{% raw %}{{ name }} {% x %} {# y #}{% endraw %}", "<p>{{ name }} {% x %} {# y #}</p>"),
        ("a{# not {{ this }} #}b", "<p>ab</p>"),
        ("{# {% if x %} #}\na", "<p>a</p>"),
        ("{% set x = name ~ '!' %}\n{{ x }}", "<p>Ana!</p>"),
        ("{% macro greet(who) %}Hola {{ who }}{% endmacro %}{{ greet('Eva') }}", "<p>Hola Eva</p>"),
        ("{\\{ name }}", "<p>{{ name }}</p>"),
        ("&#123;{ name }}", "<p>{{ name }}</p>"),
        ("{ { name } }", "<p>{ { name } }</p>"),
        ("a  \nb", "<p>a<br>\nb</p>"),
    ],
)
def test_tags_within_a_line_stay_in_their_place(source: str, html: str) -> None:
    assert body_html(source, {"link": "https://a.example/?b=1&c=2"}) == html


VALUES = [
    "**bold**",
    "# heading",
    "[x](javascript:alert(1))",
    "- item",
    "```",
    "&amp;",
    "{{ config }}",
    "{% raw %}",
    "{# x #}",
    "{%",
    "a\n\nb",
    "a_b_c",
    "\\",
    "{{ '{' }}",
]


@pytest.mark.parametrize("value", VALUES)
def test_a_value_is_never_markdown_nor_a_template(value: str) -> None:
    escaped = value.replace("&", "&amp;").replace("'", "&#39;")
    assert body_html("Hola {{ x }}.", {"x": value}) == f"<p>Hola {escaped}.</p>"
    assert body_text("Hola {{ x }}.", {"x": value}) == f"Hola {value}.\n"


@pytest.mark.parametrize(
    ("source", "yes", "no"),
    [
        ("a\n\n{% if on %}\nb\n{% endif %}\n\nc", "<p>a</p>\n<p>b</p>\n<p>c</p>", "<p>a</p>\n<p>c</p>"),
        ("a\n{% if on %}\nb\n{% endif %}\nc", "<p>a</p>\n<p>b</p>\n<p>c</p>", "<p>a</p>\n<p>c</p>"),
        ("a\n{%- if on %}\nb\n{%- endif %}\nc", "<p>a</p>\n<p>b</p>\n<p>c</p>", "<p>a</p>\n<p>c</p>"),
        ("{% if on %}\n# b\n{% else %}\nc\n{% endif %}", "<h1>b</h1>", "<p>c</p>"),
        ("a\n\n{% if on %}b{% endif %}\n\nc", "<p>a</p><p>b</p><p>c</p>", "<p>a</p><p>c</p>"),
        ("{% if on %}*b*{% if on %}!{% endif %}{% endif %}", "<p><em>b</em>!</p>", ""),
        ("{% if on %}b{% endif %}{% if on %}c{% endif %}", "<p>bc</p>", "<p></p>"),
        ("{% if on %}b{% else %}c{% endif %}", "<p>b</p>", "<p>c</p>"),
        ("- {% if on %}b{% endif %}", "<ul><li>b</li></ul>", "<ul><li></li></ul>"),
        ("a {% if on %}b{% endif %}\nc", "<p>a b\nc</p>", "<p>a \nc</p>"),
        (
            "- a\n{% if on %}\n- b\n{% endif %}\n- c",
            "<ul>\n<li>a</li>\n<li>b</li>\n<li>c</li>\n</ul>",
            "<ul>\n<li>a</li>\n<li>c</li>\n</ul>",
        ),
        ("{% if on %}\n- a\n{% endif %}", "<ul>\n<li>a</li>\n</ul>", ""),
        ("- a\n  {% if on %}\n  b\n  {% endif %}\n- c", "<ul>\n<li>ab</li>\n<li>c</li>\n</ul>", None),
        (
            "> a\n{% if on %}\n> b\n{% endif %}",
            "<blockquote>\n<p>a</p>\n</blockquote>\n<blockquote>\n<p>b</p>\n</blockquote>",
            "<blockquote>\n<p>a</p>\n</blockquote>",
        ),
        ("```\n{% if on %}\nx\n{% endif %}\n```", "<pre><code>x\n</code></pre>", "<pre><code></code></pre>"),
    ],
)
def test_a_condition_on_lines_of_its_own(source: str, yes: str, no: str | None) -> None:
    assert _tight(body_html(source, {"on": True})) == _tight(yes)
    if no is not None:
        assert _tight(body_html(source, {"on": False})) == _tight(no)


def _tight(html: str) -> str:
    return html if "<pre>" in html else "".join(line.strip() for line in html.splitlines())


ITEMS = {"items": ["a", "b"], "rows": [{"a": 1, "b": "<2>"}, {"a": 3, "b": 4}]}


def test_a_loop_around_an_item_makes_one_list() -> None:
    source = "{% for item in items %}\n- {{ item }}\n{% endfor %}"
    assert _tight(body_html(source, ITEMS)) == "<ul><li>a</li><li>b</li></ul>"
    assert _tight(body_html(source, {"items": []})) == ""
    assert body_text(source, ITEMS) == "* a\n* b\n"


def test_a_loop_within_a_list_continues_it() -> None:
    source = "- first\n{% for item in items %}\n- {{ item }}\n{% endfor %}\n- last\n\nafter"
    assert _tight(body_html(source, ITEMS)) == "<ul><li>first</li><li>a</li><li>b</li><li>last</li></ul><p>after</p>"
    assert body_text(source, ITEMS) == "* first\n* a\n* b\n* last\n\nafter\n"


def test_a_loop_with_an_else() -> None:
    source = "{% for item in items %}\n1. {{ item }}\n{% else %}\nnothing\n{% endfor %}"
    assert _tight(body_html(source, ITEMS)) == "<ol><li>a</li><li>b</li></ol>"
    assert _tight(body_html(source, {"items": []})) == "<p>nothing</p>"


def test_loops_in_loops() -> None:
    source = "{% for row in rows %}\n- {{ row.a }}\n  {% for n in items %}\n  - {{ n }}\n  {% endfor %}\n{% endfor %}"
    inner = "<ul><li>a</li><li>b</li></ul>"
    assert _tight(body_html(source, ITEMS)) == f"<ul><li>1{inner}</li><li>3{inner}</li></ul>"


def test_a_loop_over_table_rows() -> None:
    source = "| a | b |\n|---|---|\n{% for row in rows %}\n| {{ row.a }} | {{ row.b }} |\n{% endfor %}\n\nafter"
    html = _tight(body_html(source, ITEMS))
    rows = "<tr><td>1</td><td>&lt;2&gt;</td></tr><tr><td>3</td><td>4</td></tr>"
    assert html == f"<table><thead><tr><th>a</th><th>b</th></tr></thead><tbody>{rows}</tbody></table><p>after</p>"
    assert body_text(source, ITEMS) == "a b\n1 <2>\n3 4\n\nafter\n"


def test_a_loop_over_paragraphs() -> None:
    source = "{% for item in items %}\n## {{ item }}\n\ntext {{ loop.index }}\n{% endfor %}"
    assert _tight(body_html(source, ITEMS)) == "<h2>a</h2><p>text 1</p><h2>b</h2><p>text 2</p>"
    assert body_text(source, ITEMS) == "a\n\ntext 1\n\nb\n\ntext 2\n"


@pytest.mark.parametrize(
    ("source", "html"),
    [
        ("{% filter upper %}\nabc *d*\n{% endfilter %}\n\nend", "<P>ABC <EM>D</EM></P><p>end</p>"),
        ("{% with a = 1 %}\n- {{ a }}\n{% endwith %}\n- b", "<ul><li>1</li></ul><ul><li>b</li></ul>"),
        ("{% macro m(x) %}\n**{{ x }}**\n{% endmacro %}\n\n{{ m('a<') }}", "<p><p><strong>a&lt;</strong></p></p>"),
        (
            "{% macro m() %}\n<div>{{ caller() }}</div>\n{% endmacro %}\n{% call m() %}\na\n{% endcall %}",
            "<div>a</div>",
        ),
        ("- a\n{% set x = 1 %}\n- {{ x }}", "<ul><li>a</li><li>1</li></ul>"),
        ("{% macro m() %}\n- a\n{% endmacro %}\n- b", "<ul><li>b</li></ul>"),
        ("{% set x %}\nabc\n{% endset %}\n# {{ name }}", "<h1>Ana</h1>"),
        ("{% for n in [1] %}{% if n %}\n- {{ n }}\n{% endif %}{% endfor %}\n\nend", "<ul><li>1</li></ul><p>end</p>"),
        ("- a\n{# note #}\n- b", "<ul><li>a</li><li>b</li></ul>"),
    ],
)
def test_tags_between_blocks_stay_in_their_place(source: str, html: str) -> None:
    assert _tight(body_html(source)) == html
