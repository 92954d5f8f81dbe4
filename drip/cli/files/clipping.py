"""What Gmail would clip of a message as it is sent, layout and inlined CSS included: a warning of `check`."""

from __future__ import annotations

from collections.abc import Iterator

from drip.cli.invocation import Invocation
from drip.core.sequence import Definition, Step
from drip.errors import Problem, RenderFailed, Severity
from drip.files.mail_warnings import CLIPPED
from drip.files.sequences import ProjectFiles

WORTH_A_LOOK = CLIPPED // 8
"""Octets of source from which a step is rendered: CSS in its place hardly makes more of it than eight times as much."""


def clipped_messages(invocation: Invocation, files: ProjectFiles) -> Iterator[Problem]:
    """A warning for each step whose HTML is too long with its example values, and was not in its source already."""
    for definition in files.definitions:
        for index, step in enumerate(definition.sequence.steps):
            sizes = _sizes(definition, step)
            if sum(sizes) < WORTH_A_LOOK or max(sizes) > CLIPPED:
                continue
            if (size := _rendered_size(invocation, definition, step)) > CLIPPED:
                yield Problem(
                    path=files.paths[definition.sequence.id],
                    line=0,
                    column=0,
                    where=f"steps[{index}]",
                    message=f"the message of {step.key!r} has {size // 1024} KB with its layout, more than 102",
                    hint="Gmail clips what is over 102 KB, and hides the unsubscribe link",
                    severity=Severity.WARNING,
                )


def _sizes(definition: Definition, step: Step) -> list[int]:
    """Of every source that a step may be made of; layouts count, whichever it is."""
    sources = [step.body, step.html, *(layout.html for layout in definition.layouts.values())]
    for template in definition.templates.values() if step.template else ():
        sources += [template.markdown, template.html]
    return [len(source.encode()) for source in sources if source is not None] or [0]


def _rendered_size(invocation: Invocation, definition: Definition, step: Step) -> int:
    from drip.cli.files.previews import example_message

    try:
        return len((example_message(invocation, definition, step).html or "").encode())
    except RenderFailed:  # it needs values that only people have
        return 0
