"""The parts of a step as sources ready for Jinja2: all that can be done before there is a person.

Markdown, includes, the layout, its CSS and the text part are made here, once; no value enters.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape

from drip.core.sequence import Definition, Source, Step, Template
from drip.errors import RenderFailed, did_you_mean
from drip.render.includes import check_path, included_names, splice
from drip.render.nesting import DEEPEST, too_deep
from drip.render.page import before_body_end, built_in_layout, inline_css, is_document, settle, with_body
from drip.render.placeholders import Placeholders, Restored
from drip.render.tags import Tag, TagKind, normalize
from drip.render.text import html_to_text

_CONTENT = re.compile(r"\{\{[-+]?\s*content\s*(?:\|\s*safe\s*)?[-+]?\}\}")
_ONE_PARAGRAPH = re.compile(r"<p>((?:(?!</?p\b).)*)</p>\s*", re.DOTALL)
_UNSUBSCRIBE = re.compile(r"\bunsubscribe_url\b")
_FOOTER = "{{ drip_footer }}"


@dataclass(frozen=True, slots=True)
class Content:
    """What a step says: its own words, or those of its template."""

    label: str
    """How errors name it."""
    subject: str
    subject_label: str
    markdown: str | None
    html: str | None
    text: str | None
    layout: str | None
    """The template's own layout; None leaves it to the sequence."""


@dataclass(frozen=True, slots=True)
class Sources:
    """The three templates of a step."""

    subject: Restored
    text: Restored
    text_footer: bool
    """The text has no link for unsubscribing and gets the footer."""
    html: Restored | None
    """None: text alone."""


def content_of(definition: Definition, step: Step) -> Content:
    """The content of a step.

    Raises:
        RenderFailed: it has none, no subject, or names a template that is not there.
    """
    own = f"step {step.key!r}"
    if step.template is None:
        content = Content(own, step.subject or "", own, step.body, step.html, step.text, None)
    else:
        template = definition.templates.get(step.template)
        if template is None:
            hint = did_you_mean(step.template, definition.templates)
            raise RenderFailed(f"{own}: there is no template {step.template!r}", hint)
        label = label_of(template.name)
        given = step.subject is not None
        subject, subject_label = (step.subject, own) if given else (template.subject, label)
        content = Content(
            label, subject or "", subject_label, template.markdown, template.html, template.text, template.layout
        )
    if not content.subject.strip():
        raise RenderFailed(f"{content.subject_label} has no subject")
    if content.markdown is None and content.html is None and content.text is None:
        raise RenderFailed(f"{content.label} has no content", "give it a template, a body, html or text")
    return content


def label_of(template: str) -> str:
    """How errors name a template."""
    return f"template {template!r}"


def is_trusted(definition: Definition, step: Step) -> bool:
    """Whether no template that a step uses or includes came over the API."""
    return all(definition.templates[name].source is Source.FILE for name in templates_of(definition, step))


def templates_of(definition: Definition, step: Step) -> set[str]:
    """The names of the templates that a step uses, or that those include."""
    own = definition.templates.get(step.template or "")
    sources = list(_sources_of(own)) if own else [step.body, step.html, step.text]
    used = {own.name} if own else set()
    while sources:
        for name in included_names(sources.pop() or "", definition.templates):
            if name not in used:
                used.add(name)
                sources += _sources_of(definition.templates[name])
    return used


def build_sources(definition: Definition, content: Content, parse: Callable[[str, str], None]) -> Sources:
    """Make the three templates of a step.

    Args:
        definition: where layouts and includes come from.
        content: what the step says.
        parse: is called with every source and its label before anything is done with it, and raises when it can't be
            a template.

    Raises:
        RenderFailed: one can't be used; the message names it, and the line.
    """
    return _Builder(definition, content, parse).build()


class _Builder:
    """Everything of one step, over one set of placeholders."""

    def __init__(self, definition: Definition, content: Content, parse: Callable[[str, str], None]) -> None:
        self._definition = definition
        self._content = content
        self._parse = parse
        self._layout_name, self._layout = _layout_of(definition, content)
        self._known: Mapping[str, Template] = definition.templates
        self._included: dict[tuple[str, str], str] = {}
        known = (source for template in self._known.values() for source in _sources_of(template))
        own = (content.subject, content.markdown, content.html, content.text, self._layout)
        self._placeholders = Placeholders(*(source for source in (*own, *known) if source is not None))

    def build(self) -> Sources:
        content = self._content
        subject = self._spliced_text(self._hide(content.subject, content.subject_label), ())
        body = None
        if content.markdown is not None or content.html is not None:
            body = self._html(content.markdown, content.html, content.label, ())
        own_text = content.text if content.text is not None or body is not None else ""
        if own_text is not None:
            text = self._spliced_text(self._hide(own_text, content.label), ()).rstrip("\n")
        else:
            text = html_to_text(body or "", self._placeholders)
        return Sources(
            subject=self._placeholders.restore(subject, keep_marks=True),
            text=self._placeholders.restore(text, keep_marks=own_text is not None),
            text_footer=not self._has_link(text),
            html=None if body is None else self._html_part(body),
        )

    def _hide(self, source: str, label: str) -> str:
        source = normalize(source)
        self._parse(source, label)
        return self._placeholders.hide(source, label)

    def _html_part(self, body: str) -> Restored:
        page = before_body_end(body, self._footer(body)) if is_document(body) else self._in_layout(body)
        if too_deep(page):
            message = f"{self._content.label}: more than {DEEPEST} elements stand inside each other"
            raise RenderFailed(message, "close them; HTML has no <b/>, that only begins one")
        settled = settle(with_body(page), self._placeholders)
        inlined = inline_css(settled)
        lost = self._placeholders.lost(settled, inlined)
        if lost is not None and lost.source == _FOOTER:
            message = f"{self._content.label}: there is no room for the footer"
            raise RenderFailed(message, "a comment, <style>, <script> or the like is not closed")
        if lost is not None:
            raise RenderFailed(
                f"{lost.template}, line {lost.line}: {lost.source} can't stand there",
                "HTML has no such place, or a <style> is no place for it: put it around whole elements",
            )
        return self._placeholders.restore(inlined, keep_marks=False)

    def _in_layout(self, body: str) -> str:
        label = f"layout {self._layout_name!r}"
        layout = self._spliced_html(self._hide(self._layout, label), ())
        found = False

        def fill(word: re.Match[str]) -> str:
            nonlocal found
            if not _CONTENT.fullmatch(self._placeholders.tag(word).source):
                return word[0]
            found = True
            return body + footer

        footer = self._footer(layout + body)
        page = self._placeholders.word.sub(fill, layout)
        if not found:
            raise RenderFailed(f"{label} has no {{{{ content }}}}", "put it where the body belongs")
        return page

    def _footer(self, page: str) -> str:
        """The word for the footer, or nothing when the page has a link for unsubscribing."""
        return (
            "" if self._has_link(page) else self._placeholders.add(Tag(_FOOTER, TagKind.EXPRESSION, "", "footer", 1, 0))
        )

    def _has_link(self, text: str) -> bool:
        return _UNSUBSCRIBE.search(self._placeholders.reveal(text)) is not None

    def _html(self, markdown: str | None, html: str | None, label: str, path: tuple[str, ...]) -> str:
        """A body with hidden tags, what it includes spliced in."""
        if html is not None:
            return self._spliced_html(self._hide(html, label), path)
        from drip.render.markdown import markdown_to_html  # a quarter of a start, where no mail is written in Markdown

        body = markdown_to_html(self._hide(markdown or "", label), self._placeholders)
        return self._spliced_html(body, path)

    def _spliced_html(self, page: str, path: tuple[str, ...]) -> str:
        def fetch(name: str, in_line: bool) -> str:
            check_path(path, name)
            page = self._once(self._included_html, name, path)
            paragraph = _ONE_PARAGRAPH.fullmatch(page) if in_line else None
            return paragraph[1] if paragraph else page

        return splice(page, self._placeholders, self._known, fetch)

    def _spliced_text(self, text: str, path: tuple[str, ...]) -> str:
        def fetch(name: str, in_line: bool) -> str:
            check_path(path, name)
            return self._once(self._included_text, name, path)

        return splice(text, self._placeholders, self._known, fetch)

    def _once(self, make: Callable[[str, tuple[str, ...]], str], name: str, path: tuple[str, ...]) -> str:
        """A template that is included often is made once."""
        key = (make.__name__, name)
        if key not in self._included:
            self._included[key] = make(name, (*path, name))
        return self._included[key]

    def _included_html(self, name: str, path: tuple[str, ...]) -> str:
        template = self._known[name]
        if template.markdown is not None or template.html is not None:
            return self._html(template.markdown, template.html, label_of(name), path).strip("\n")
        text = self._spliced_text(self._hide(template.text or "", label_of(name)), path)
        return escape(text.strip("\n"), quote=False).replace("\n", "<br>\n")

    def _included_text(self, name: str, path: tuple[str, ...]) -> str:
        template = self._known[name]
        if template.text is not None:
            return self._spliced_text(self._hide(template.text, label_of(name)), path).rstrip("\n")
        page = self._html(template.markdown, template.html, label_of(name), path)
        return html_to_text(page, self._placeholders).rstrip("\n")


def _layout_of(definition: Definition, content: Content) -> tuple[str, str]:
    name = content.layout or definition.sequence.layout or "default"
    layout = definition.layouts.get(name)
    if layout is not None:
        return name, layout.html
    if name != "default":
        raise RenderFailed(f"{content.label}: there is no layout {name!r}", did_you_mean(name, definition.layouts))
    return "built-in", built_in_layout()


def _sources_of(template: Template) -> tuple[str | None, ...]:
    return template.markdown, template.html, template.text
