"""What a step over the API says: put together with its templates, and looked at before it is kept.

Words that come over the API are not trusted: they are linted, and compiled within the limits of `drip.render.guard`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from drip.core.sequence import Definition, Layout, Sequence, Source, Step, Template
from drip.core.settings import Settings
from drip.engine.ports import Store
from drip.errors import FieldInvalid, RenderFailed, Severity, did_you_mean

if TYPE_CHECKING:
    from drip.render.lint import Kind


@dataclass(frozen=True, slots=True)
class Library:
    """The templates and layouts that a sequence made over the API may use."""

    templates: Mapping[str, Template]
    layouts: Mapping[str, Layout]

    @staticmethod
    def of_store(store: Store) -> Library:
        """As applied. Layouts are the files': as whichever sequence of a file was applied with them last."""
        layouts: dict[str, Layout] = {}
        for stored in sorted(store.sequences.all(), key=lambda stored: stored.updated_at):
            if stored.source is Source.FILE:
                layouts |= stored.definition.layouts
        return Library({one.template.name: one.template for one in store.templates.all()}, layouts)

    def with_files(self, templates: Mapping[str, Template], definitions: Iterable[Definition]) -> Library:
        """As it will be when these files are applied."""
        layouts = dict(self.layouts)
        for definition in definitions:
            layouts |= definition.layouts
        return Library({**self.templates, **templates}, layouts)

    def assemble(self, sequence: Sequence, before: Definition | None = None) -> Definition:
        """A sequence with the templates it uses, those that these include, and the layouts they are put into.

        Args:
            before: what was known so far: a template that is gone is taken from there.
        """
        used = {step.template for step in sequence.steps if step.template is not None}
        templates = reach({**(before.templates if before else {}), **self.templates}, used) if used else {}
        wanted = {*(template.layout for template in templates.values()), sequence.layout or "default"}
        return Definition(
            sequence, templates, {name: layout for name, layout in self.layouts.items() if name in wanted}
        )


def reach(known: Mapping[str, Template], names: set[str]) -> dict[str, Template]:
    """Templates by name, with all that they include, directly or not; unknown names are left out."""
    from drip.render.includes import included_names

    found: dict[str, Template] = {}
    waiting = sorted(names)
    while waiting:
        name = waiting.pop()
        if name in found or name not in known:
            continue
        template = found[name] = known[name]
        for source in (template.markdown, template.html, template.text):
            waiting += included_names(source or "", known)
    return found


def check_step(store: Store, settings: Settings, definition: Definition, step: Step) -> None:
    """Refuse a step that could not be sent.

    Raises:
        FieldInvalid: it has no content, names no template that exists, or its words can't be used.
    """
    if step.template is not None and step.template not in definition.templates:
        known = [one.template.name for one in store.templates.all()]
        hint = did_you_mean(step.template, known)
        raise FieldInvalid("template_id", f"there is no template {step.template!r}", hint, "template_not_found")
    if step.template is None and (step.subject is None or (step.html is None and step.text is None)):
        hint = "give subject with html or body_text, or template_id"
        raise FieldInvalid("" if step.subject else "subject", "the step has no content", hint, "content_missing")
    used = definition.templates[step.template] if step.template else None
    if not (step.subject or (used and used.subject) or "").strip():
        raise FieldInvalid("subject", "neither the step nor its template has a subject", None, "content_missing")
    check_words(step.subject, step.html, step.text)
    compile_or_refuse(definition, step, settings)


def check_words(subject: str | None, html: str | None, text: str | None) -> None:
    """Lint what came over the API; raises FieldInvalid with the first error."""
    _lint("subject", subject, "subject")
    _lint("html", html, "html")
    _lint("body_text", text, "text")


def compile_or_refuse(definition: Definition, step: Step, settings: Settings) -> None:
    """Compile a step as it will be for sending; raises FieldInvalid where that fails."""
    from drip.render.compile import compile_step

    try:
        compile_step(definition, step, settings, trusted=False)
    except RenderFailed as error:
        field = "template_id" if step.template else "html" if step.html is not None else "body_text"
        raise FieldInvalid(field, error.message, error.hint) from error


def _lint(field: str, source: str | None, kind: Kind) -> None:
    from drip.render.guard import too_long
    from drip.render.lint import inspect_template

    if source is None:
        return
    if (why := too_long(source)) is not None:
        raise FieldInvalid(field, f"it {why}", "Gmail clips what is over 102 KB")
    for finding in inspect_template(source, kind).findings:
        if finding.severity is Severity.ERROR:
            raise FieldInvalid(field, f"line {finding.line}: {finding.message}", finding.hint)
