"""What is exported, saved as files and read, is the same definition."""

from __future__ import annotations

from dataclasses import replace
from datetime import time, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drip.core.address import Address, clean_line
from drip.core.sequence import (
    INHERIT,
    Definition,
    DelayFrom,
    Layout,
    Resubscribe,
    SendWindow,
    Sequence,
    SequenceStatus,
    Source,
    Step,
    Template,
    Variable,
)
from drip.core.settings import Settings
from drip.files.export import sequence_yaml, template_files
from drip.files.sequences import load_project_files
from tests.strategies import ZONES, addresses, clock_times, durations, json_values, slugs, windows

# Text as YAML trips over it, without Jinja's own signs.
_AWKWARD = st.sampled_from([
    "null", "true", "no", "10:30", "010", "1e3", "0o7", "- a", "a: b", "# c", "'", '"', "\\", "\t", "  ", "\n", "\n\n",
    "|", ">", "@", "`", "&a", "*a", "!t", "? ", "---", "...", "\u2028", "\xa0", "\x85", "é", "🎉", "a", "Hola", "%TAG",
])  # fmt: skip
texts = st.lists(_AWKWARD | st.text(st.characters(exclude_characters="{}", exclude_categories=["Cs"]), max_size=5)).map(
    "".join
)
contents = texts.map(lambda text: text + "x" if not text.strip() else text)
lines = contents.map(clean_line).filter(bool)
values = json_values.filter(lambda value: "\\u0000" not in repr(value))
expressions = st.sampled_from(["plan == 'free'", "plan", "true", "not plan", "'a: b' in plan", "1"])


def _window(window: SendWindow) -> SendWindow:
    """As a file can say it: it opens and closes at different times, and midnight is the end of the day."""
    closes = None if window.closes in (window.opens, time(0)) else window.closes
    return replace(window, closes=closes) if closes or window.opens != time(0) else replace(window, closes=None)


_windows = windows.map(_window)


def _numbers_fit(value: Any) -> bool:
    match value:
        case bool():
            return True
        case int():
            return abs(value) < 2**63
        case dict():
            return all(map(_numbers_fit, value.values()))
        case list():
            return all(map(_numbers_fit, value))
    return True


_values = values.filter(_numbers_fit)
_senders = st.none() | addresses.map(lambda address: Address(address.email, clean_line(address.name)))


@st.composite
def steps(draw: st.DrawFn, key: str, templates: list[str]) -> Step:
    content = draw(st.sampled_from(["body", "html", "text", "both", *(["template"] if templates else [])]))
    fields: dict[str, Any] = {
        "body": {"body": draw(contents)},
        "html": {"html": draw(contents)},
        "text": {"text": draw(contents)},
        "both": {"html": draw(contents), "text": draw(contents)},
        "template": {"template": draw(st.sampled_from(templates or ["-"]))},
    }[content]
    return Step(
        key=key,
        delay=draw(durations),
        subject=draw(lines),
        at=draw(st.none() | clock_times),
        when=draw(st.none() | expressions),
        send_window=draw(st.one_of(st.just(INHERIT), st.none(), _windows)),
        sender=draw(_senders),
        reply_to=draw(_senders),
        headers=draw(st.just(()) | lines.map(lambda line: (("X-Campaign", line),))),
        **fields,
    )


@st.composite
def definitions(draw: st.DrawFn) -> Definition:
    names = draw(st.lists(slugs, max_size=2, unique=True))
    keys = draw(st.lists(slugs, min_size=1, max_size=3, unique=True))
    found = tuple(draw(steps(key, names)) for key in keys)
    layout = draw(st.none() | slugs)
    used = {step.template for step in found if step.template}
    wrapped = layout is not None and any(step.text is None or step.html is not None for step in found)
    sequence = Sequence(
        id=draw(slugs),
        name=draw(lines),
        status=draw(st.sampled_from(SequenceStatus)),
        steps=found,
        sender=draw(_senders),
        reply_to=draw(_senders),
        delay_from=draw(st.sampled_from(DelayFrom)),
        timezone=draw(st.none() | st.sampled_from(ZONES)),
        send_window=draw(st.none() | _windows),
        stale_after=draw(st.one_of(st.just(INHERIT), st.none(), durations.filter(bool))),
        resubscribe=draw(st.sampled_from(Resubscribe)),
        stop_when=draw(st.none() | expressions),
        variables=draw(
            st.dictionaries(
                st.sampled_from(["plan", "null", "yes", "timezone", "A_1"]),
                st.builds(Variable, default=_values, required=st.booleans(), example=_values),
            )
        ),
        layout=layout if wrapped else None,
    )
    return Definition(
        sequence=sequence,
        templates={name: draw(_template(name)) for name in sorted(used)},
        layouts={layout: Layout(layout, "<main>{{ content }}</main>\n")} if wrapped and layout else {},
    )


def _template(name: str) -> st.SearchStrategy[Template]:
    source = contents.map(lambda text: text.replace("\r", ""))
    subject = st.none() | lines
    markdown = st.builds(Template, name=st.just(name), subject=subject, markdown=source)
    html = st.builds(Template, name=st.just(name), subject=subject, html=source, text=st.none() | source)
    return markdown | html


def _read(definition: Definition, folder: Path) -> Definition:
    sequences = folder / "sequences"
    files = {f"{definition.sequence.id}.yaml": sequence_yaml(definition)}
    files |= {f"templates/{path}": content for path, content in template_files(definition).items()}
    for path, content in files.items():
        target = sequences / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode())
    sender = Address("a@example.com")
    read = load_project_files(
        Settings(folder=folder, path=folder / "drip.yaml", sender=sender, project="p", sequences=sequences)
    )
    assert read.definitions, "\n".join(map(str, read.problems)) + files[f"{definition.sequence.id}.yaml"]
    return read.definitions[0]


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(definitions())
def test_export_then_load_is_the_same_definition(definition: Definition) -> None:
    with TemporaryDirectory() as folder:
        assert _read(definition, Path(folder)) == definition


def test_a_file_is_as_people_would_write_it() -> None:
    sequence = Sequence(
        id="onboarding",
        name="Onboarding - Bienvenida",
        status=SequenceStatus.ACTIVE,
        timezone="Europe/Madrid",
        send_window=SendWindow(frozenset(range(5)), time(9), time(18)),
        stale_after=None,
        variables={"plan": Variable(required=True, example="free")},
        steps=(
            Step("welcome", timedelta(0), subject="Bienvenido, {{ name }}", template="bienvenida"),
            Step("ask", timedelta(days=9), subject="¿Cómo va todo?", body="Hola\n\n¿Qué tal?\n", at=time(10)),
            Step("last", timedelta(hours=36), subject="10:30", text="Adiós", send_window=None, when="plan == 'free'"),
        ),
    )
    assert sequence_yaml(Definition(sequence)) == (
        "name: Onboarding - Bienvenida\n"
        "status: active\n"
        "timezone: Europe/Madrid\n"
        'send_window: {days: "mon-fri", hours: "09:00-18:00"}\n'
        "stale_after: null\n"
        "variables:\n"
        '  plan: {required: true, example: "free"}\n'
        "steps:\n"
        "  - id: welcome\n"
        "    delay: 0\n"
        '    subject: "Bienvenido, {{ name }}"\n'
        "    template: bienvenida\n"
        "  - id: ask\n"
        "    delay: 9d\n"
        '    at: "10:00"\n'
        "    subject: ¿Cómo va todo?\n"
        "    body: |\n"
        "      Hola\n"
        "\n"
        "      ¿Qué tal?\n"
        "  - id: last\n"
        "    delay: 1d 12h\n"
        """    when: "plan == 'free'"\n"""
        "    send_window: null\n"
        '    subject: "10:30"\n'
        "    text: Adiós\n"
    )


@pytest.mark.parametrize("text", ["a\n", "a\nb", "a\n\n\n", "a\n  \nb", "a\n\tb", "a\n b\n", " a\nb", "\na", "a\n  "])
def test_lines_come_back_as_they_were(text: str, tmp_path: Path) -> None:
    definition = Definition(Sequence("s", "S", steps=(Step("a", timedelta(0), subject="x", body=text),)))
    assert _read(definition, tmp_path).sequence.steps[0].body == text


def test_what_came_over_the_api_becomes_the_files() -> None:
    template = Template("hello", subject="Hi", markdown="---\nnot front matter\n", source=Source.API)
    found = template_files(Definition(Sequence("s", "S"), {"hello": template}, {"l": Layout("l", "{{ content }}")}))
    assert found == {
        "hello.md": '---\nsubject: "Hi"\n---\n---\nnot front matter\n',
        "layouts/l.html": "{{ content }}",
    }
