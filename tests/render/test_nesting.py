"""Pages whose elements stand very deep in each other: parsers lose their text, or the process ends."""

from __future__ import annotations

import pytest

from drip.core.sequence import Template
from drip.errors import RenderFailed
from drip.render.nesting import DEEPEST, too_deep
from tests.render.examples import rendered


@pytest.mark.parametrize(
    "page",
    [
        "<div>" * 12000,
        "<rp>" * 15000,
        "<b/>" * 15000,
        "".join(f"<p><b a{i}/>x" for i in range(4500)),
        "<dd><li>" * 8000,
        "<optgroup>" * 6400,
        "<!-->" + "<rp>" * 15000,
        "<!--->" + "<rp>" * 15000,
        "<!----!>" + "<rp>" * 15000,
        "<svg/>" + "<path/>" * 9000,
        "<svg><b></b>" + "<path/>" * 9000,
        "<svg></svg>" + "<path/>" * 9000,
        "<div><table></div></table>" * 2400,
    ],
    ids=lambda page: page[:24],
)
def test_what_would_end_the_process_is_refused(page: str) -> None:
    with pytest.raises(RenderFailed, match="more than 200 elements stand inside each other"):
        rendered(html=page)


def test_deep_markdown_and_what_includes_make_deep_are_refused_too() -> None:
    with pytest.raises(RenderFailed, match="inside each other"):
        rendered(body="<div>" * 300 + "\n\nHola")
    templates = {"deep": Template("deep", html="<div>" * 150 + "x" + "</div>" * 150)}
    with pytest.raises(RenderFailed, match="inside each other"):
        rendered(templates=templates, html="<div>" * 150 + "{% include 'deep' %}" + "</div>" * 150)


def test_as_deep_as_may_be_loses_nothing() -> None:
    depth = DEEPEST - 10
    message = rendered(html="<div>" * depth + "inside" + "</div>" * depth + "<p>behind</p>")
    assert "inside\n\nbehind" in message.text
    assert message.html is not None
    assert message.html.count("</div>") > depth


@pytest.mark.parametrize(
    "page",
    [
        "<p>a" * 1000,
        "<ul>" + "<li>a" * 1000 + "</ul>",
        "<ul>" + "<li><p>a</p></li>" * 1000 + "</ul>",
        "<table>" + "<tr><td>a<td>b" * 1000 + "</table>",
        "<table>" + "<tbody><tr><th>a<td>b" * 500 + "</table>",
        "<dl>" + "<dt>a<dd>b" * 500 + "</dl>",
        "<select>" + "<option>a" * 500 + "</select>",
        "<br><img src='a'><hr/>" * 500,
        "<svg><g>" + "<path d='m'/>" * 500 + "</g></svg>",
        "<!-- <div> -->" * 500,
        "<table><tr><td>" * 60 + "x" + "</td></tr></table>" * 60,
    ],
    ids=lambda page: page[:24],
)
def test_what_is_only_long_is_not_deep(page: str) -> None:
    assert not too_deep(page)
