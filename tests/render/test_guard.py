"""Templates from the API: what they may do, and that nothing they do costs much."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from drip.core.sequence import Definition, Layout, Sequence, Source, Template
from drip.errors import RenderFailed
from drip.render.compile import compile_step
from drip.render.guard import LONGEST_CODE, LONGEST_OUTPUT, LONGEST_SOURCE, too_long
from drip.render.message import Message
from tests.render.examples import NOW, SETTINGS, STEP, compiled, recipient, rendered

VARIABLES = {"many": ["a"] * 900, "d": {"k": "v", "items": 3}, "deep": [[["x"]]], "rows": [{"a": 1}, {"a": 2}]}


def from_api(source: str, kind: str = "text") -> Message:
    template = Template("t", source=Source.API, **{kind: source})
    return rendered(VARIABLES, template="t", templates={"t": template})


def words(source: str) -> str:
    return from_api(source).text.partition("\n-- \n")[0].rstrip("\n")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ name | upper }} {{ many | length }} {{ d.k }} {{ d.items }}", "ANA 900 v 3"),
        ("{% for k, v in d | items %}{{ k }}={{ v }},{% endfor %}", "k=v,items=3,"),
        (
            "{% for row in rows %}{{ loop.index }}:{{ row.a }}{% if not loop.last %}, {% endif %}{% endfor %}",
            "1:1, 2:2",
        ),
        ("{% for row in rows %}{{ loop.cycle('a', 'b') }}{% endfor %}", "ab"),
        ("{% for n in range(3) %}{{ n }}{% else %}x{% endfor %}", "012"),
        ("{% for n in [1, name] %}{{ n }}{% endfor %}", "1Ana"),
        ("{% macro hi(who) %}Hi {{ who }}{% endmacro %}{{ hi(name) }}", "Hi Ana"),
        ("{% set x %}{{ name }}!{% endset %}{{ x ~ 1 ~ x }}", "Ana!1Ana!"),
        ("{{ 1 + 2 * 3 }} {{ 'a' + 'b' }} {{ 2 ** 8 }}", "7 ab 256"),
        ("{{ missing.a.b }}{{ missing | default('x') }}", "x"),
        ("{{ name if many else 'x' }} {{ 'a' in ('a', 'b') }}", "Ana True"),
        ("{{ name.upper }}{{ d.__class__ }}{{ name['__class__'] }}{{ ''.__class__ }}|", "|"),
        ("{{ many | join(', ') | truncate(9) }}", "a, a,..."),
        ("{{ '{{ name }}' }}", "{{ name }}"),
        ("{{ unsubscribe_url | url }}", "https://mail.miempresa.com/u/abc"),
    ],
)
def test_what_they_may_do(source: str, expected: str) -> None:
    assert words(source) == expected


@pytest.mark.parametrize("value", ["range", "loop", "m", "d"])
def test_what_is_no_text_is_not_written_by_joining_it_to_one(value: str) -> None:
    source = "{% macro m() %}x{% endmacro %}{% for n in many %}{{ VALUE ~ 'x' }}{% endfor %}".replace("VALUE", value)
    with pytest.raises(RenderFailed, match="can't be joined"):
        from_api(source)


@pytest.mark.parametrize("value", ["range | string", "self | escape", "loop | upper", "m | trim"])
def test_what_is_no_text_is_not_written_by_a_filter(value: str) -> None:
    source = "{% macro m() %}x{% endmacro %}{% for n in many %}{{ VALUE }}{% endfor %}".replace("VALUE", value)
    with pytest.raises(RenderFailed):
        from_api(source)


def doubling(line: str, times: int = 40) -> str:
    return "{% set a = 'xxxxxxxxxx' %}" + line * times + "{{ a }}"


def macros(inner: str) -> str:
    steps = "".join(f"{{% macro m{n + 1}() %}}{inner.replace('M', f'm{n}()')}{{% endmacro %}}" for n in range(40))
    return "{% macro m0() %}x{% endmacro %}" + steps + "{{ m40() }}"


BOMBS = {
    "a repeated text": "{{ 'a' * 50000000 }}",
    "a repeated list": "{{ ['a'] * 50000000 }}",
    "many long texts": "{% set a = 'x' * 500000 %}" + "".join(f"{{% set a{n} = a ~ '' %}}" for n in range(200)),
    "doubling by ~": doubling("{% set a = a ~ a %}"),
    "doubling by +": doubling("{% set a = a + a %}"),
    "doubling by a block": doubling("{% set a %}{{ a }}{{ a }}{% endset %}"),
    "doubling by replace": doubling("{% set a = a | replace('x', 'xxxxxxxxxx') %}"),
    "doubling by join": doubling("{% set a = [a, a] | join %}"),
    "nested lists": "{% set a = [1] %}" + "{% set a = [a, a] %}" * 40 + "{{ a }}",
    "a power": "{{ 9 ** 999999 }}",
    "squares": "{% set a = 99999999 %}" + "{% set a = a * a %}" * 40 + "{{ a }}",
    "three loops": "{% for a in range(1000) %}" * 3 + "{% endfor %}" * 3,
    "two loops with words": "{% for a in range(1000) %}{% for b in range(1000) %}x{% endfor %}{% endfor %}",
    "a loop with many words": "{% for i in range(1000) %}" + "y" * 60000 + "{% endfor %}",
    "the same, kept": "{% set z %}{% for i in range(1000) %}" + "y" * 60000 + "{% endfor %}{% endset %}",
    "a macro that calls itself": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "macros that write": macros("{{ M }}{{ M }}"),
    "macros that are silent": macros("{% set z = M %}{% set z = M %}"),
    "a long range": "{{ range(100000) | list }}",
    "a wide join": "{{ many | join('x' * 400000) }}",
    "a wide text": "{{ 'x' | center(100000000) }}",
    "a formatted text": "{{ '%99999999d' % 1 }}",
    "a formatted text, by a filter": "{{ '%99999999d' | format(1) }}",
    "a wide batch": "{{ many | batch(100000000, 'x') | list }}",
    "long comparisons": "{% if ('a' * 500000) in ('b' * 500000) %}{% endif %}" * 500,
    "octets, not characters": "{{ 'é' * 300000 }}",
}


@pytest.mark.parametrize("source", BOMBS.values(), ids=BOMBS.keys())
@pytest.mark.parametrize("kind", ["text", "html"])
def test_what_would_cost_much_is_stopped(source: str, kind: str) -> None:
    begin = time.monotonic()
    with pytest.raises(RenderFailed):
        from_api(source, kind)
    assert time.monotonic() - begin < 10, "2 s, and room for a busy machine"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{{ ''.join(many) }}", "call no methods"),
        ("{{ name.upper() }}", "call no methods"),
        ("{{ many.append(1) }}", "call no methods"),
        ("a\n{{ name | safe }}", "line 2: templates from the API have no filter 'safe'"),
        ("{{ d | attr('__init__') }}", "no filter 'attr'"),
        ("{{ many | map('upper') | join }}", "no filter 'map'"),
        ("{% autoescape false %}{{ name }}{% endautoescape %}", "no `autoescape`"),
        ("{% for x in many recursive %}{{ loop(x) }}{% endfor %}", "no recursive loops"),
        ("{{ [many, many] }}", "no lists of values"),
        ("{{ many }}", "use the filter `join`"),
        ("{{ many + many }}", "can't be calculated with"),
        ("{{ self.x() }}", "call no methods"),
        ("{{ namespace() }}", "'namespace' is undefined"),
        ("{{ lipsum() }}", "'lipsum' is undefined"),
        ("{% for x in many %}{% for y in [1] %}{% for z in range(1001) %}{% endfor %}{% endfor %}{% endfor %}", "1000"),
    ],
)
def test_what_they_may_not_do(source: str, message: str) -> None:
    with pytest.raises(RenderFailed) as caught:
        from_api(source)
    assert message in caught.value.message
    assert "template 't'" in caught.value.message


def test_the_length_of_a_source() -> None:
    with pytest.raises(RenderFailed, match="template 't' is longer than 512 kB"):
        from_api("x" * (LONGEST_SOURCE + 1))


@pytest.mark.parametrize(
    "code",
    ["{{ name }}", "{% if name %}{% endif %}", "{# a #}", "{{ '}}' + '{{' }}", "{% raw %}{{ name }}{% endraw %}"],
)
def test_how_much_of_a_source_may_be_code(code: str) -> None:
    around = "x" * LONGEST_CODE
    assert too_long(around + code * (LONGEST_CODE // len(code))) is None
    more = around + code * (2 * LONGEST_CODE // len(code))
    assert too_long(more) == "has more than 64 kB within its tags"
    with pytest.raises(RenderFailed, match="template 't' has more than 64 kB within its tags"):
        from_api(more)


@pytest.mark.parametrize(("length", "fits"), [(LONGEST_OUTPUT, True), (LONGEST_OUTPUT + 1, False)])
def test_the_length_of_the_output(length: int, fits: bool) -> None:
    half = length // 2
    source = f"{{{{ 'x' * {half} }}}}{{{{ 'x' * {length - half} }}}}"
    if fits:
        assert len(words(source)) == length
        return
    with pytest.raises(RenderFailed, match="it gets longer than 512 kB"):
        from_api(source)


@pytest.mark.parametrize(("turns", "fits"), [(1000, True), (1001, False)])
def test_the_turns_of_a_loop(turns: int, fits: bool) -> None:
    template = Template("t", source=Source.API, text="{% for x in xs %}{% endfor %}")
    if fits:
        assert rendered({"xs": [1] * turns}, template="t", templates={"t": template})
        return
    with pytest.raises(RenderFailed, match="a loop over more than 1,000"):
        rendered({"xs": [1] * turns}, template="t", templates={"t": template})


def test_a_template_is_no_more_trusted_than_what_it_includes() -> None:
    templates = {
        "own": Template("own", text="{{ name.upper() }}{% include 'api' %}"),
        "api": Template("api", text="x", source=Source.API),
        "alone": Template("alone", text="{{ name.upper() }}"),
    }
    with pytest.raises(RenderFailed, match="call no methods"):
        rendered(template="own", templates=templates)
    assert rendered(template="alone", templates=templates).text.startswith("ANA\n")


def test_a_step_of_a_sequence_from_the_api_is_not_trusted() -> None:
    step = replace(STEP, text="{{ name.upper() }}")
    definition = Definition(Sequence("s", "S", steps=(step,)))
    assert compile_step(definition, step, SETTINGS).render(recipient(), NOW).text.startswith("ANA\n")
    with pytest.raises(RenderFailed, match="step 'welcome', line 1: templates from the API call no methods"):
        compile_step(definition, step, SETTINGS, trusted=False)


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ name.__class__.__base__.__subclasses__() }}",
        "{{ many.append(1) }}",
        "{{ d.update(a=1) }}",
    ],
)
def test_the_operator_s_templates_are_in_a_sandbox_too(source: str) -> None:
    with pytest.raises(RenderFailed):
        rendered(VARIABLES, text=source)


@pytest.mark.parametrize(
    "tag", ['<link rel="stylesheet" href="{0}">', '<style>@import "{0}";</style>', '<img src="{0}">']
)
def test_nothing_is_ever_fetched(tag: str, tmp_path: Any) -> None:
    secret = tmp_path / "secret.css"
    secret.write_text("p { color: purple }")
    for source in (str(secret), secret.as_uri(), "http://127.0.0.1:9/x.css"):
        layout = {
            "default": Layout(
                "default", f"<html><head>{tag.format(source)}</head><body>{{{{ content }}}}</body></html>"
            )
        }
        html = compiled(replace(STEP, html="<p>x</p>"), layouts=layout).render(recipient(), NOW).html
        assert html is not None
        assert "purple" not in html
