"""What `check` says about a template before anybody gets it."""

from __future__ import annotations

import re

import pytest

from drip.core.sequence import Source, Template
from drip.errors import RenderFailed, Severity
from drip.render.lint import BUILTIN_NAMES, MOST_FAULTS, Kind, inspect_template
from drip.render.page import built_in_layout
from tests.render.examples import rendered


def found(source: str, kind: Kind) -> list[str]:
    """Findings as `line:column E|W message`."""
    return [
        f"{finding.line}:{finding.column} {finding.severity.value[0].upper()} {finding.message}"
        for finding in inspect_template(source, kind).findings
    ]


@pytest.mark.parametrize(
    ("source", "kind", "findings"),
    [
        ("a\n{{ x }\n", "html", ["2:1 E unexpected '}'"]),
        ("{% nonsense %}", "subject", ["1:1 E Encountered unknown tag 'nonsense'."]),
        (
            "a\n{{ x | uper }} {{ x is odder }}",
            "markdown",
            ["2:1 E there is no filter 'uper'", "2:1 E there is no test 'odder'"],
        ),
        ("{% extends 'x' %}", "html", ["1:1 E templates have no `extends`"]),
        ("\n{% import 'x' as y %}", "text", ["2:1 E templates have no `import`"]),
        ("{% include name %}", "text", ["1:1 E what is included must be written as a name in quotes"]),
        ("{% include 'name' %}", "text", []),
        ("{{ x }}", "subject", []),
        ("{{ ' | " + "(" * 3000 + "' }}", "text", []),
    ],
)
def test_what_jinja_can_not_be_is_found(source: str, kind: Kind, findings: list[str]) -> None:
    assert found(source, kind) == findings


def test_a_block_that_is_not_closed() -> None:
    (finding,) = inspect_template("a\n{% if x %}\nb", "text").findings
    assert finding.line == 2
    assert "The innermost block that needs to be closed is 'if'." in finding.message


GIVEN_UP = {
    "loops in loops": ("{% for x in many %}" * 25 + "{% endfor %}" * 25, "too many statically nested blocks"),
    "conditions in conditions": ("{% if many %}" * 120 + "{% endif %}" * 120, "too many levels of indentation"),
    "a long sum": ("{{ " + "1 + " * 3000 + "1 }}", "nested too deeply"),
    "a large number": ("{{ 1" + "0" * 5000 + " }}", "a number in it is too large"),
    "an argument named twice": ("{% macro m(a, a) %}{% endmacro %}", "duplicate argument 'a'"),
    "an argument given twice": (
        "{% macro m(a) %}{{ kwargs }}{% endmacro %}{{ m(a=1, a=2) }}",
        "keyword argument repeated: a",
    ),
}
"""What Jinja2 parses and Python's compiler gives up on, or the other way round."""


@pytest.mark.parametrize(("source", "why"), GIVEN_UP.values(), ids=GIVEN_UP.keys())
@pytest.mark.parametrize("source_of", [Source.FILE, Source.API])
def test_what_can_not_be_compiled_is_refused_in_words(source: str, why: str, source_of: Source) -> None:
    (finding,) = inspect_template(source, "text").findings
    assert why in finding.message
    template = Template("t", text=source, source=source_of)
    with pytest.raises(RenderFailed, match=re.escape(why)):
        rendered({"many": [1]}, template="t", templates={"t": template})


def test_a_source_that_is_nested_too_deeply() -> None:
    (finding,) = inspect_template("{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", "text").findings
    assert finding.message == "it is nested too deeply"


def test_a_finding_says_what_to_write() -> None:
    (finding,) = inspect_template("{{ x | uper }}", "text").findings
    assert finding.hint == "did you mean 'upper'?"
    (finding,) = inspect_template('<a href="{{ x }}">y</a>', "html").findings
    assert finding.hint == "write {{ x | url }}"
    assert finding.severity is Severity.WARNING


@pytest.mark.parametrize(
    ("source", "findings"),
    [
        ("<p>a<br>b<img src=x></p><hr/>", []),
        ("<ul><li>a<li>b</ul><p>c<p>d<table><tr><td>x<td>y</table>", []),
        ("<div>\n  <b>x\n</div>", ["2:3 E <b> is not closed"]),
        ("<div>", ["1:1 E <div> is not closed"]),
        ("x</div>", ["1:2 E </div> closes nothing"]),
        ("<b><i>x</b></i>", ["1:4 E <i> is not closed", "1:12 E </i> closes nothing"]),
        ("<svg><path d='x'/></svg>", []),
        ("<!-- <div> --><script>if (a<b) {}</script><style>a>b{}</style><title></div></title>", []),
        (
            "{% if a %}<div class='a'>{% else %}<div class='b'>{% endif %}x</div>",
            ["1:11 W <div> is opened in one branch and closed behind them"],
        ),
        ("{% if a %}<p>x{% else %}<div>y</div>{% endif %}", []),
        ("{% if a %}<a href='https://x'>{% endif %}x{% if a %}</a>{% endif %}", []),
        ("{% for r in rows %}<tr><td>{{ r }}</td></tr>{% endfor %}", []),
        ("{% if a %}<div>{% endif %}", ["1:11 E <div> is not closed"]),
        ("<td{% if a %} class='x'{% endif %}>x</td>", []),
        ("<{{ tag }}>x", ["1:1 E <{{ tag }}> is not closed"]),
        ("<a title='{{ \"</a>\" }}'>x</a>", []),
        ("<A HREF='https://x'>x</a>", []),
        ("a < b and c > d", []),
        ("<p>é\n{{ x\n}}<b></p>", ["3:3 E <b> is not closed"]),
    ],
)
def test_elements_that_do_not_close_are_found(source: str, findings: list[str]) -> None:
    assert found(source, "html") == findings


SCRIPT = "a variable inside <script>"
UNQUOTED = "a variable in an attribute without quotes"
LINK = "a variable as a link without the `url` filter"


@pytest.mark.parametrize(
    ("source", "findings"),
    [
        ("<!--><script>{{ x }}</script>-->", [f"1:14 E {SCRIPT}"]),
        ("<!-- a --!><script>{{ x }}</script>-->", [f"1:20 E {SCRIPT}"]),
        ("<!-- <script>{{ x }}</script> -->", []),
        ("<script>x = {{ x }}</script>", [f"1:13 E {SCRIPT}"]),
        ("<style>p{color:{{ x }}}</style>", ["1:16 E a variable inside <style>"]),
        ("<style>{% if x %}p{}{% endif %}</style>", ["1:8 E a tag inside <style>", "1:21 E a tag inside <style>"]),
        ("<p style='color: {{ x }}'>a</p>", []),
        ("<p class={{ x }}>a</p>", [f"1:10 E {UNQUOTED}"]),
        ("<p\n class=a{{ x }}>a</p>", [f"2:9 E {UNQUOTED}"]),
        ("<p onclick='{{ x }}'>a</p>", ["1:13 E a variable inside a script"]),
        ("<a href={{ x | url }}>a</a>", [f"1:9 E {UNQUOTED}"]),
        ("<a href='{{ x }}'>a</a>", [f"1:10 W {LINK}"]),
        ("<a href=' {{ x.y }}'>a</a>", [f"1:11 W {LINK}"]),
        ("<a href='{% if a %}{{ x }}{% endif %}'>a</a>", [f"1:20 W {LINK}"]),
        ("<img src='{{ x }}'>", [f"1:11 W {LINK}"]),
        ("<a href='{{ x | url }}'>a</a>", []),
        ("<a href='{{ x | default(\"https://x\") | url }}'>a</a>", []),
        ("<a href='{{ x | url | default(y) }}'>a</a>", []),
        ("<a href='{{ x|url if x else y|url }}'>a</a>", []),
        ("<a href='{{ x | upper }}'>a</a>", [f"1:10 W {LINK}"]),
        ("<a href='{{ unsubscribe_url }}'>a</a><a href='{{ preferences_url }}'>b</a>", []),
        ("<a href='https://x/{{ x }}?a={{ y }}'>a</a>", []),
        ("<a href='mailto:{{ email }}'>a</a>", []),
        ("<a href='{{ \"https://x\" }}'>a</a>", []),
        ("<a title='{{ x }}'>a</a>", []),
        ("<a href='http://x.org'>a</a>", ["1:4 W the link is not encrypted"]),
        ("<p xmlns='http://www.w3.org/1999/xhtml'>a</p>", []),
    ],
)
def test_where_variables_stand_in_html(source: str, findings: list[str]) -> None:
    assert found(source, "html") == findings


@pytest.mark.parametrize(
    ("source", "findings"),
    [
        ("a\n\n[x]({{ link }})", [f"3:5 W {LINK}"]),
        ("a\n\n[x]({{ link | url }})", []),
        ("[x]({{ unsubscribe_url }}) <{{ link }}>", [f"1:29 W {LINK}"]),
        ("![x]({{ link }})", [f"1:6 W {LINK}"]),
        ("[x](https://x/{{ id }})", []),
        ("[x](http://x.org) and `<script>{{ x }}</script>`", ["1:5 W the link is not encrypted"]),
        ("\n<a href={{ link | url }}>x</a>", [f"2:9 E {UNQUOTED}"]),
        ("<script>\n{{ x }}\n</script>", [f"2:1 E {SCRIPT}"]),
        ("**{{ name }}**\n\n{% for x in xs %}\n- {{ x }}\n{% endfor %}", []),
    ],
)
def test_what_markdown_would_break_is_found(source: str, findings: list[str]) -> None:
    assert found(source, "markdown") == findings


def test_a_layout_must_have_room_for_the_content() -> None:
    assert found(built_in_layout(), "layout") == []
    assert found("<p></p>", "layout") == ["1:1 E the layout has no {{ content }}"]
    assert found("<div>{{ content | safe }}</div>", "layout") == []


def test_variables_and_includes() -> None:
    source = (
        "{{ name }} {{ user.plan }} {% set mine = 1 %}{{ mine }}{% for x in xs %}{{ x }}{{ loop.index }}{% endfor %}"
    )
    inspection = inspect_template(source + "{% include 'foot' %}{% include ['a', 'b'] %}{{ x1 | nonsense }}", "text")
    assert inspection.variables == {"name", "user", "xs", "x1"}
    assert inspection.includes == {"foot", "a", "b"}
    assert inspection.variables - BUILTIN_NAMES == {"user", "xs", "x1"}


def test_findings_are_in_order_and_said_once() -> None:
    source = "<a href='{{ x }}'>\n{{ y | nope }}{{ z | nope }}\n"
    assert found(source, "html") == [
        "1:1 E <a> is not closed",
        f"1:10 W {LINK}",
        "2:1 E there is no filter 'nope'",
    ]


def test_of_thousands_of_faults_some_are_told_and_no_error_hides_behind_warnings() -> None:
    links = "<a href='{{ x }}'>a</a>" * 3000
    findings = inspect_template(links + "<p class={{ x }}>a</p>", "html").findings
    assert [one.message for one in findings if one.severity is Severity.ERROR] == [UNQUOTED]
    assert sum(one.severity is Severity.WARNING for one in findings) == MOST_FAULTS
