"""A definition as the files that would give it again: what `drip export` prints. Text only; nothing is written here.

Only what the reader of this package reads is ever made. Text is plain where every reader of YAML takes it as text, a
block where it has lines, and in double quotes with escapes everywhere else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from drip.core.difference import in_words, window_in_words
from drip.core.durations import format_duration
from drip.core.sequence import (
    INHERIT,
    Definition,
    DelayFrom,
    Resubscribe,
    SendWindow,
    Sequence,
    Step,
    Template,
    Variable,
)
from drip.files.tree import NotANumber, Scalar, Style, resolve

_PLAIN = re.compile(r"[¿¡]?[^\W\d_](?:[\w .,;!?¡¿()/+-]*[\w.!?)])?")
_ELSEWHERE_NOT_TEXT = {"y", "n", "yes", "no", "on", "off"}
_HARMFUL = re.compile('[\x00-\x1f\x7f-\xa0\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff"\\\\]')
_NOT_IN_A_BLOCK = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")
_SHORT = {"\n": "\\n", "\t": "\\t", "\r": "\\r", '"': '\\"', "\\": "\\\\"}
_LONGEST_KEY = 100
"""Characters of a key written as it is; YAML ends implicit keys at 1024."""


def sequence_yaml(definition: Definition) -> str:
    """A sequence file. Templates and layouts stay names in it: see `template_files`.

    A template of plain text alone, which only the API can make, has no file: its words go into the steps.
    """
    return "\n".join(_sequence(_with_plain_words(definition))) + "\n"


def template_files(definition: Definition) -> dict[str, str]:
    """The templates and layouts of a definition: content by the path inside of the templates folder."""
    found: dict[str, str] = {}
    for name, template in sorted(definition.templates.items()):
        if _is_plain(template):
            continue
        if template.markdown is not None:
            found[f"{name}.md"] = _front_matter(template) + template.markdown
        else:
            found[f"{name}.html"] = _front_matter(template) + (template.html or "")
            if template.text is not None:
                found[f"{name}.txt"] = template.text
    for name, layout in sorted(definition.layouts.items()):
        found[f"layouts/{name}.html"] = layout.html
    return found


def _is_plain(template: Template) -> bool:
    return template.markdown is None and template.html is None


def _with_plain_words(definition: Definition) -> Sequence:
    steps = []
    for step in definition.sequence.steps:
        template = definition.templates.get(step.template or "")
        if template is not None and _is_plain(template):
            subject = template.subject if step.subject is None else step.subject
            step = replace(step, template=None, subject=subject, text=template.text)
        steps.append(step)
    return replace(definition.sequence, steps=tuple(steps))


def _sequence(sequence: Sequence) -> Iterator[str]:
    yield f"name: {_scalar(sequence.name)}"
    yield f"status: {sequence.status}"
    yield from _addresses(sequence, "")
    if sequence.delay_from is not DelayFrom.PREVIOUS:
        yield f"delay_from: {sequence.delay_from}"
    if sequence.timezone is not None:
        yield f"timezone: {_scalar(sequence.timezone)}"
    if sequence.send_window is not None:
        yield f"send_window: {_window(sequence.send_window)}"
    if sequence.stale_after != INHERIT:
        yield f"stale_after: {_duration(sequence.stale_after)}"
    if sequence.resubscribe is not Resubscribe.NEVER:
        yield f"resubscribe: {sequence.resubscribe}"
    yield from _texts(sequence, ("stop_when", "layout"), "")
    if sequence.variables:
        yield "variables:"
        for name, variable in sequence.variables.items():
            yield f"  {_key(name)}: {_variable(variable)}"
    yield "steps:" if sequence.steps else "steps: []"
    for step in sequence.steps:
        yield from _step(step)


def _step(step: Step) -> Iterator[str]:
    yield f"  - id: {_scalar(step.key)}"
    yield f"    delay: {_duration(step.delay)}"
    if step.at is not None:
        yield f'    at: "{in_words(step.at)}"'
    yield from _texts(step, ("when",), "    ")
    if step.send_window is None or isinstance(step.send_window, SendWindow):
        yield f"    send_window: {_window(step.send_window)}"
    yield from _addresses(step, "    ")
    yield from _texts(step, ("subject", "template", "body", "html", "text"), "    ")
    if step.headers:
        yield "    headers:"
        for name, value in step.headers:
            yield f"      {name}: {_quoted(value)}"


def _addresses(holder: Sequence | Step, indent: str) -> Iterator[str]:
    for key, address in (("from", holder.sender), ("reply_to", holder.reply_to)):
        if address is not None:
            yield f"{indent}{key}: {_quoted(str(address))}"


def _texts(holder: Sequence | Step, names: tuple[str, ...], indent: str) -> Iterator[str]:
    for name in names:
        text = getattr(holder, name)
        if text is not None:
            yield from _text(name, text, indent)


def _text(name: str, text: str, indent: str) -> Iterator[str]:
    if not _fits_a_block(text):
        yield f"{indent}{name}: {_scalar(text)}"
        return
    body = text.rstrip("\n")
    chomping = {0: "-", 1: ""}.get(len(text) - len(body), "+")
    yield f"{indent}{name}: |{chomping}"
    for line in (text if chomping == "+" else body).removesuffix("\n").split("\n"):
        yield f"{indent}  {line}" if line else ""


def _fits_a_block(text: str) -> bool:
    """Whether it has lines, and YAML would read it from a block as it is."""
    lines = text.rstrip("\n").split("\n")
    begins = text[:1] not in ("", " ", "\t", "\n")
    return begins and "\n" in text and lines[-1].strip() != "" and _NOT_IN_A_BLOCK.search(text) is None


def _window(window: SendWindow | None) -> str:
    if window is None:
        return "null"
    days, _, hours = window_in_words(window).rpartition(" ")
    return "{" + (f'days: "{days}", ' if days else "") + f'hours: "{hours}"}}'


def _duration(length: timedelta | str | None) -> str:
    return format_duration(length) if isinstance(length, timedelta) else "null"


def _variable(variable: Variable) -> str:
    given = {"default": variable.default, "required": variable.required or None, "example": variable.example}
    return _flow({name: value for name, value in given.items() if value is not None})


def _flow(value: Any) -> str:
    """A JSON value in braces and brackets."""
    match value:
        case str():
            return _quoted(value)
        case Mapping():
            return "{" + ", ".join(f"{_key(name)}: {_flow(content)}" for name, content in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(map(_flow, value)) + "]"
        case _:
            return json.dumps(value)


def _key(name: str) -> str:
    written = name if re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) and _is_text(name) else _quoted(name)
    return written if len(written) <= _LONGEST_KEY else f"? {written} "


def _scalar(text: str) -> str:
    return text if _PLAIN.fullmatch(text) and _is_text(text) else _quoted(text)


def _is_text(text: str) -> bool:
    try:
        value = resolve(Scalar(text, Style.PLAIN, 0, 0, 0))
    except NotANumber:
        return False
    return isinstance(value, str) and text.lower() not in _ELSEWHERE_NOT_TEXT


def _quoted(text: str) -> str:
    return '"' + _HARMFUL.sub(_escape, text) + '"'


def _escape(found: re.Match[str]) -> str:
    character = found[0]
    if character in _SHORT:
        return _SHORT[character]
    code = ord(character)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


def _front_matter(template: Template) -> str:
    lines = [
        f"{name}: {_quoted(value)}" for name in ("subject", "layout") if (value := getattr(template, name)) is not None
    ]
    source = template.markdown if template.markdown is not None else template.html or ""
    # A body that begins with a fence would be taken for front matter.
    return "\n".join(["---", *lines, "---", ""]) if lines or source.startswith("---") else ""
