from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drip.core.expressions import LONGEST, ExpressionFailed, compile_expression, expression_variables
from tests import strategies

VALUES: dict[str, Any] = {
    "plan": "pro",
    "age": 20,
    "tags": ["VIP", "beta"],
    "address": {"city": "Madrid"},
    "class": "x",
    "import": "y",
    "lambda": 1,
    "self": "me",
    "with space": 1,
    "empty": "",
    "none": None,
}


@pytest.mark.parametrize(
    ("source", "holds"),
    [
        ("plan == 'pro'", True),
        ("plan != 'pro'", False),
        ("age >= 18 and plan in ['pro', 'free']", True),
        ("'vip' in tags|map('lower')|list", True),
        ("tags|length > 2", False),
        ("address.city == 'Madrid'", True),
        ("address['city'].startswith('M')", True),
        ("plan|upper == 'PRO'", True),
        ("empty", False),
        ("none", False),
        ("none is none", True),
        ("true", True),
        ("0", False),
        (" plan ", True),
        # Python's keywords are names like others
        ("class == 'x'", True),
        ("import == 'y' and lambda", True),
        # a missing variable is not true, and what needs it is not either
        ("missing", False),
        ("missing.deeper", False),
        ("missing == 'pro'", False),
        ("missing > 3", False),
        ("missing + 1 > 0", False),
        ("address.street|upper == 'X'", False),
        ("missing() or plan", False),
        ("not missing", True),
        ("missing is defined", False),
        ("missing|default('x') == 'x'", True),
    ],
)
def test_an_expression_is_true_or_not(source: str, holds: bool) -> None:
    assert compile_expression(source)(VALUES) is holds


@pytest.mark.parametrize(
    "source",
    [
        "",
        "  \n",
        "plan ==",
        "plan == 'pro",
        "a, b",
        "a }} {{ b",
        "{{ plan }}",
        "{% if plan %}",
        "plan = 'pro'",
        "plan|nosuchfilter",
        "plan is nosuchtest",
        "plan|replace('p', 'x')",  # not a filter for conditions
        "x" * (LONGEST + 1),
        "not " * 450 + "x",
        "a" + "+a" * 900,
        "[" * 300 + "]" * 300,
        "(" * 900 + "1" + ")" * 900,
        "x" + ".y" * 900,
        "a" + "|upper" * 250,
        "a" + "|d" * 900,
    ],
)
def test_what_does_not_compile_says_so_at_once(source: str) -> None:
    began = time.process_time()
    with pytest.raises(ExpressionFailed) as caught:
        compile_expression(source)
    assert str(caught.value)
    assert time.process_time() - began < 0.5


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("plan ==", "it ends too soon"),
        ("plan = 'pro'", "'=' is one too many"),
        ("a, b", "',' is one too many"),
        ("plan == 'pro' and", "it ends too soon"),
        ("(plan", "it ends too soon"),
        ("plan)", "')'"),
    ],
)
def test_what_does_not_compile_says_where_it_went_wrong(source: str, said: str) -> None:
    with pytest.raises(ExpressionFailed) as caught:
        compile_expression(source)
    assert said in str(caught.value)


def test_an_expression_may_be_long_if_it_is_flat() -> None:
    names = ", ".join(f"'plan-{number}'" for number in range(150))
    assert compile_expression(f"plan in [{names}]")({"plan": "plan-149"}) is True
    assert compile_expression("plan" + "|lower" * 50)({"plan": "x"}) is True


@pytest.mark.parametrize(
    "source",
    [
        "plan > 3",  # text and number
        "1 / 0",
        "'a' * 10 ** 9",
        "9 ** 999999",
        "range(10 ** 9)|list",
        "'%0999999999d' % 3",
        "plan.__class__",
        "plan|list|first|map(attribute='__class__')|list",
        "tags.append('x')",
        "plan.zfill(999999999)",
        "((['a' * 1000] * 1000)|string)",
    ],
)
def test_what_goes_wrong_for_one_person_is_that_persons_error(source: str) -> None:
    check = compile_expression(source)
    began = time.process_time()
    with pytest.raises(ExpressionFailed) as caught:
        check(VALUES)
    assert time.process_time() - began < 0.5
    assert len(str(caught.value)) < 500


def test_the_error_of_one_is_not_the_error_of_another() -> None:
    check = compile_expression("age > 18")
    with pytest.raises(ExpressionFailed, match="TypeError"):
        check({"age": "old"})
    assert check({"age": 20}) is True


@pytest.mark.parametrize("escape", ["lipsum", "cycler", "joiner", "namespace", "dict", "self", "super"])
def test_nothing_of_jinja2_is_in_scope(escape: str) -> None:
    assert compile_expression(f"{escape}._x or {escape}.y")({}) is False


@given(st.dictionaries(st.text(max_size=8) | st.sampled_from(["self", "args", "kwargs"]), strategies.json_values))
def test_variables_of_any_name_and_value_harm_no_expression(values: dict[str, Any]) -> None:
    assert compile_expression("plan == 'pro'")({**values, "plan": "pro"}) is True


@given(strategies.json_values, strategies.json_values)
def test_values_are_compared_as_python_compares_them(one: Any, other: Any) -> None:
    assert compile_expression("one == other")({"one": one, "other": other}) is (one == other)
    assert compile_expression("one")({"one": one}) is bool(one)


@given(st.text(alphabet="ab1 '\"()[]{}.|+-*/%=<>!,:~ntoidrefas", max_size=40) | st.text(max_size=20))
def test_any_text_is_an_expression_or_fails_as_one(source: str) -> None:
    said = None
    try:
        result, names = compile_expression(source)({"a": "x", "b": 2}), expression_variables(source)
    except ExpressionFailed as error:
        said = str(error)
    assert said or (said is None and isinstance(result, bool) and all(isinstance(name, str) for name in names))


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("plan == 'pro' and age > limit", {"plan", "age", "limit"}),
        ("address.city", {"address"}),
        ("tags|map('lower')|list", {"tags"}),
        ("class", {"class"}),
        ("range(3)", set()),
        ("true", set()),
    ],
)
def test_the_names_an_expression_reads(source: str, names: set[str]) -> None:
    assert expression_variables(source) == names


@pytest.mark.parametrize("source", ["plan ==", "not " * 450 + "x", "a" + "+a" * 900, "a, b", "a }} {{ b", "", "x|nope"])
def test_the_names_of_what_does_not_compile_are_refused(source: str) -> None:
    with pytest.raises(ExpressionFailed):
        expression_variables(source)
