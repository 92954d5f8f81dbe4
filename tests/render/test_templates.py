"""Templates of a step, what they include, and errors with their place."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from drip.core.sequence import Layout, Step, Template
from drip.core.settings import UndefinedRule
from drip.errors import RenderFailed
from tests.render.examples import (
    ANA,
    NOW,
    SETTINGS,
    STEP,
    body_html,
    compiled,
    plain_text,
    recipient,
    rendered,
)

STRICT = replace(SETTINGS, undefined=UndefinedRule.ERROR)


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
def test_an_include_is_spliced_in_where_it_stands(source: str, html: str, text: str) -> None:
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
