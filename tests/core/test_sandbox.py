"""The sandbox refuses at once what would make a huge value, and whatever leads out of it."""

from __future__ import annotations

import time

import pytest
from jinja2 import TemplateError, UndefinedError
from jinja2.exceptions import SecurityError

from drip.core.sandbox import LONGEST_TEXT, make_environment

VALUES = {"name": "Ada", "n": 10**9, "tags": ["a", "b"], "order": {"total": 3, "_id": 7}, "huge": "a" * 400_000}


def render(source: str) -> str:
    return make_environment().from_string(source).render(VALUES)


HUGE = [
    # powers and products
    "{{ 9 ** 999999 }}",
    "{{ 9 ** n }}",
    "{{ 10 ** 64 ** 64 }}",
    "{{ 'a' * n }}",
    "{{ n * 'a' }}",
    "{{ ('a' * 1000) * 1000 }}",
    "{{ [0] * n }}",
    "{{ (0,) * n }}",
    "{{ [['a' * 1000] * 100] * 100 }}",
    "{{ ([([([1] * 999)] * 999)] * 999)|string }}",
    "{{ huge + huge }}",
    "{{ ([0] * 400000) + ([0] * 400000) }}",
    # ranges
    "{% for _ in range(1001) %}{% endfor %}",
    "{{ range(n)|list }}",
    "{{ range(10 ** 30)|length }}",
    "{{ range(0, n, 2)|sum }}",
    # formats
    "{{ '%0999999999d' % 3 }}",
    "{{ '%*d' % (n, 3) }}",
    "{{ '%0999999999d'|format(3) }}",
    "{{ '{:>999999999}'.format(3) }}",
    "{{ '{x:>999999999}'.format_map({'x': 3}) }}",
    # filters
    "{{ 'a'|center(n) }}",
    "{{ 'a'|indent(n) }}",
    "{{ {'a': 1}|xmlattr }}",
    "{{ tags|pprint }}",
    "{{ tags|batch(n, 'x')|list }}",
    "{{ tags|slice(n)|list }}",
    "{{ huge|replace('', huge) }}",
    "{{ huge|replace('a', 'aa') }}",
    "{{ range(1000)|join(huge) }}",
    "{{ [huge, huge]|join }}",
    "{{ tags|tojson(n) }}",
    "{{ tags|tojson(indent=n) }}",
    "{{ huge|wordwrap(1, true, huge) }}",
    "{{ huge|urlize(rel=huge) }}",
    "{{ ([[1]] * 100000)|sum(start=[]) }}",
    # methods
    "{{ 'a'.center(n) }}",
    "{{ 'a'.ljust(n) }}",
    "{{ 'a'.rjust(n) }}",
    "{{ 'a'.zfill(n) }}",
    "{{ '\t'.expandtabs(n) }}",
    "{{ huge.join(huge) }}",
    "{{ huge.replace('', huge) }}",
    "{{ huge.translate({97: huge}) }}",
    "{{ 'a'.encode() }}",
    "{{ (1).to_bytes(n) }}",
    "{{ ''|attr('zfill')(n) }}",
    "{{ ''['zfill'](n) }}",
    "{{ 'a'|map('center', n)|list }}",
]


@pytest.mark.parametrize("source", HUGE)
def test_what_would_be_huge_is_refused_at_once(source: str) -> None:
    began = time.process_time()
    with pytest.raises((TemplateError, TypeError)):
        render(source)
    assert time.process_time() - began < 0.5


ESCAPES = [
    "{{ name.__class__ }}",
    "{{ name['__class__'] }}",
    "{{ name|attr('__class__') }}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ tags.__init__.__globals__ }}",
    "{{ (1).__class__ }}",
    "{{ [name]|map(attribute='__class__')|list }}",
    "{{ [name]|map('attr', '__class__')|list }}",
    "{{ [name]|selectattr('__class__')|list }}",
    "{{ [name]|groupby('__class__') }}",
    "{{ tags.append(1) }}",
    "{{ order.update({'total': 0}) }}",
    "{{ order.pop('total') }}",
    "{{ range.__globals__ }}",
    "{{ self.__init__ }}",
    "{{ self._TemplateReference__context }}",
    "{{ ([1]|map('string')).gi_frame }}",
    "{{ (tags|batch(1)).gi_frame.f_globals }}",
    "{{ lipsum() }}",
    "{{ cycler('a') }}",
    "{{ joiner() }}",
    "{{ namespace(a=1) }}",
    "{{ dict(a=1) }}",
    "{% for x in [1] %}{{ loop.__init__ }}{% endfor %}",
    "{% include '/etc/passwd' %}",
    "{% import 'os' as os %}",
]


@pytest.mark.parametrize("source", ESCAPES)
def test_there_is_no_way_out(source: str) -> None:
    with pytest.raises((TemplateError, TypeError)):
        render(source)


@pytest.mark.parametrize("name", ["lipsum", "cycler", "joiner", "namespace", "dict", "m"])
def test_what_is_not_there_is_empty_all_the_way(name: str) -> None:
    assert render(f"{{% macro m() %}}{{% endmacro %}}{{{{ {name}.__globals__ }}}}") == ""


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ name.upper() }} {{ name.startswith('A') }}", "ADA True"),
        ("{{ 'a' * 3 }}{{ 3 * [1] }}{{ 2 ** 10 }}{{ 7 % 4 }}{{ 3 * 4 }}", "aaa[1, 1, 1]1024312"),
        ("{{ 'a' + 'b' }}{{ 1 + 2 }}{{ [1] + [2] }}", "ab3[1, 2]"),
        ("{{ order.total }}{{ order._id }}{{ order.get('x', 1) }}", "371"),
        ("{% for k, v in order.items() %}{{ loop.index }}{{ k }} {% endfor %}", "1total 2_id "),
        ("{% for _ in range(3) %}{{ loop.cycle('a', 'b') }}{% endfor %}", "aba"),
        ("{{ range(1000)|length }}", "1000"),
        ("{{ [1, 2, 3]|batch(2, 0)|list }}", "[[1, 2], [3, 0]]"),
        ("{{ [1, 2, 3]|slice(2)|list }}", "[[1, 2], [3]]"),
        ("{{ tags|join(', ') }} {{ [order]|join('+', 'total') }}", "a, b 3"),
        ("{{ name|replace('A', 'I') }}{{ 'aaa'|replace('a', 'b', 2) }}", "Idabba"),
        ("{{ 2.567|round(1) }} {{ 2.1|round(0, 'ceil') }} {{ 1|round(999999999, 'ceil') }}", "2.6 3.0 1.0"),
        ("{{ [1, 2]|sum }} {{ [order]|sum('total', 0.5) }}", "3 3.5"),
        ("{{ tags|tojson }}", '["a", "b"]'),
        ("{{ 'a b'|wordwrap(1) }}", "a\nb"),
        ("{{ missing }}{{ missing.deeper._id }}{{ order.missing.more }}", ""),
    ],
)
def test_what_a_template_needs_works(source: str, text: str) -> None:
    assert render(source) == text


def test_a_text_may_be_as_long_as_the_limit() -> None:
    assert len(render(f"{{{{ 'a' * {LONGEST_TEXT} }}}}")) == LONGEST_TEXT
    with pytest.raises(SecurityError):
        render(f"{{{{ 'a' * {LONGEST_TEXT + 1} }}}}")


def test_values_are_escaped_where_that_is_asked_for() -> None:
    environment = make_environment(autoescape=True)
    assert environment.from_string("{{ x }} {{ [x]|join('<') }}").render(x="<b>") == "&lt;b&gt; &lt;b&gt;"
    assert environment.from_string("{{ [x, x]|join('<') }}").render(x="&") == "&amp;&lt;&amp;"


def test_a_missing_value_can_be_made_an_error() -> None:
    from jinja2 import StrictUndefined

    with pytest.raises(UndefinedError):
        make_environment(undefined=StrictUndefined).from_string("{{ missing._id }}").render()
