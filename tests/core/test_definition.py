from __future__ import annotations

import json
from dataclasses import fields, replace
from datetime import time, timedelta

from hypothesis import HealthCheck, given, settings

from drip.core.address import Address
from drip.core.definition import definition_from_json, definition_to_json, window_to_dict
from drip.core.sequence import (
    Definition,
    SendWindow,
    Sequence,
    SequenceStatus,
    Source,
    Step,
    Template,
    Variable,
)
from tests import strategies

slow_to_draw = settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


@slow_to_draw
@given(strategies.definitions)
def test_any_definition_reads_back_as_it_was(definition: Definition) -> None:
    text = definition_to_json(definition)
    again = definition_from_json(text, definition.sequence.status)
    assert again == definition
    assert definition_to_json(again) == text


@slow_to_draw
@given(strategies.definitions, strategies.definitions)
def test_texts_are_equal_exactly_where_definitions_are(one: Definition, other: Definition) -> None:
    other = replace(other, sequence=replace(other.sequence, status=one.sequence.status))
    assert (definition_to_json(one) == definition_to_json(other)) == (one == other)


@slow_to_draw
@given(strategies.definitions)
def test_the_order_of_mappings_does_not_matter(definition: Definition) -> None:
    sequence = replace(definition.sequence, variables=dict(reversed(list(definition.sequence.variables.items()))))
    backwards = Definition(
        sequence, dict(reversed(list(definition.templates.items()))), dict(reversed(list(definition.layouts.items())))
    )
    assert definition_to_json(backwards) == definition_to_json(definition)


@slow_to_draw
@given(strategies.definitions)
def test_the_status_is_not_content(definition: Definition) -> None:
    texts = {
        definition_to_json(replace(definition, sequence=replace(definition.sequence, status=status)))
        for status in SequenceStatus
    }
    assert len(texts) == 1


def test_a_change_of_any_field_is_a_change_of_the_text() -> None:
    step = Step("a", timedelta(days=1), body="x")
    changed = [
        replace(step, key="b"),
        replace(step, delay=timedelta(days=1, seconds=1)),
        replace(step, subject=""),  # an empty text is not none at all
        replace(step, template="t"),
        replace(step, body="y"),
        replace(step, html="x"),
        replace(step, text="x"),
        replace(step, at=time(0)),
        replace(step, when="x"),
        replace(step, send_window=None),  # any time, not the sequence's
        replace(step, sender=Address("a@b.org")),
        replace(step, reply_to=Address("a@b.org")),
        replace(step, headers=(("X-A", "1"), ("X-B", "2"))),
        replace(step, headers=(("X-B", "2"), ("X-A", "1"))),
        replace(step, position=7),
    ]
    texts = {definition_to_json(Definition(Sequence("s", "S", steps=(one,)))) for one in [step, *changed]}
    assert len(texts) == len(changed) + 1
    assert {field.name for field in fields(Step)} == {
        field.name for one in changed for field in fields(Step) if getattr(one, field.name) != getattr(step, field.name)
    }


def test_what_python_holds_equal_is_still_another_text() -> None:
    texts = {
        definition_to_json(Definition(Sequence("s", "S", variables={"x": Variable(default=default)})))
        for default in (1, 1.0, True, "1", 0, False, "", None)
    }
    assert len(texts) == 8


def test_the_form_is_small_and_stable() -> None:
    definition = Definition(
        Sequence(
            "welcome",
            "Bienvenida",
            steps=(Step("hi", timedelta(0), template="hola"), Step("bye", timedelta(days=3), at=time(9, 5), text="x")),
            send_window=SendWindow(frozenset({4, 0}), time(22), time(6)),
            stale_after=None,
        ),
        templates={"hola": Template("hola", markdown="¡Hola!", source=Source.API)},
    )
    assert json.loads(definition_to_json(definition)) == {
        "layouts": {},
        "sequence": {
            "id": "welcome",
            "name": "Bienvenida",
            "send_window": {"closes": "06:00", "days": [0, 4], "opens": "22:00"},
            "stale_after": None,
            "steps": [
                {"delay": 0, "key": "hi", "template": "hola"},
                {"at": "09:05", "delay": 259_200, "key": "bye", "text": "x"},
            ],
        },
        "templates": {"hola": {"markdown": "¡Hola!", "name": "hola", "source": "api"}},
    }
    assert "¡Hola!" in definition_to_json(definition)


def test_a_window_to_the_end_of_the_day_closes_at_null() -> None:
    assert window_to_dict(SendWindow(frozenset({6, 5}), time(9))) == {"days": [5, 6], "opens": "09:00", "closes": None}
