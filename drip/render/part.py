"""One part of a message as a compiled template: filled in for one person, with errors that name the place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from jinja2 import Template, TemplateSyntaxError, UndefinedError, nodes

from drip.core.sandbox import Sandbox
from drip.errors import RenderFailed
from drip.render.environment import GIVES_UP, refused_tags, why_given_up
from drip.render.placeholders import Lines, Restored

_LONGEST_TAG = 80

Fill = Callable[[Template, Mapping[str, Any]], Sequence[str]]
"""How a template is rendered into its pieces: at once, or step by step within limits."""


@dataclass(frozen=True, slots=True)
class Part:
    """The subject, the text, the HTML, or a header."""

    label: str
    """The template's, when the place of an error is not known."""
    template: Template
    lines: Lines
    fill: Fill

    def render(self, scope: Mapping[str, Any]) -> str:
        """The part for one person; raises as `pieces` does."""
        return "".join(self.pieces(scope))

    def pieces(self, scope: Mapping[str, Any]) -> Sequence[str]:
        """The part for one person in its pieces: those that are the same for all are the same objects each time.

        Raises:
            RenderFailed: it can't be rendered; the message names template, line and tag.
        """
        try:
            return self.fill(self.template, scope)
        # An operator's template runs over a stranger's values: any error is that person's alone.
        except Exception as error:
            raise self._failed(error) from error

    def _failed(self, error: Exception) -> RenderFailed:
        line = _line_of(error.__traceback__, self.template.filename or "")
        found = self.lines.find(line) if line is not None else None
        reason = error.message if isinstance(error, UndefinedError) else _reason(error)
        hint = "give it a value, or write {{ x | default('…') }}" if isinstance(error, UndefinedError) else None
        if found is None:
            return RenderFailed(f"{self.label}: {reason}", hint)
        tag, line = found
        return RenderFailed(f"{tag.template}, line {line}: {reason}, in {_shorten(tag.source)}", hint)


def compile_part(
    environment: Sandbox, restored: Restored, label: str, fill: Fill, transform: Callable[[nodes.Template], None]
) -> Part:
    """Compile a source that has been taken apart and put together again.

    Args:
        environment: for this kind of part.
        restored: the source.
        label: how errors name it.
        fill: how it will be rendered.
        transform: may change the tree before it is compiled.

    Raises:
        RenderFailed: it does not compile.
    """
    name = f"<{label}>"
    try:
        tree = environment.parse(restored.source, name, name)
        transform(tree)
        code = environment.compile(tree, name, name)
    except TemplateSyntaxError as error:
        found = restored.lines.find(error.lineno)
        place = f"{found[0].template}, line {found[1]}" if found else label
        raise RenderFailed(f"{place}: {_reason(error)}") from error
    except GIVES_UP as error:
        raise RenderFailed(f"{label}: {why_given_up(error)}") from error
    return Part(label, Template.from_code(environment, code, dict(environment.globals)), restored.lines, fill)


def check_source(
    environment: Sandbox,
    source: str,
    label: str,
    too_long: Callable[[str], str | None],
    check: Callable[[nodes.Template], None],
) -> None:
    """Refuse what can't be a template.

    Args:
        environment: that it will be compiled in.
        source: the template.
        label: how errors name it.
        too_long: why it is not to be parsed at all; None when it may be.
        check: may refuse more, with a TemplateSyntaxError.

    Raises:
        RenderFailed: it is too long, does not parse, or has what drip's templates do not have.
    """
    if (why := too_long(source)) is not None:
        raise RenderFailed(f"{label} {why}")
    try:
        tree = environment.parse(source)
        check(tree)
        refused = list(refused_tags(tree))
    except TemplateSyntaxError as error:
        raise RenderFailed(f"{label}, line {error.lineno}: {error.message}") from error
    except GIVES_UP as error:
        raise RenderFailed(f"{label}: {why_given_up(error)}") from error
    for line, name in refused:
        raise RenderFailed(f"{label}, line {line}: templates have no `{name}`", "use {% include %}")


def render_at_once(template: Template, scope: Mapping[str, Any]) -> list[str]:
    """The way of trusted templates: as `Template.render`, but not joined."""
    try:
        return list(template.root_render_func(template.new_context(dict(scope))))
    except Exception:
        template.environment.handle_exception()


def _line_of(traceback: TracebackType | None, filename: str) -> int | None:
    """The line of the template in which it went wrong: the innermost frame that is the template's."""
    line = None
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == filename:
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return line


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it calls itself without end, or a value is nested too deeply"
    if isinstance(error, TemplateSyntaxError):
        return error.message or "it can't be compiled"
    return f"{error}" if type(error).__module__.startswith("jinja2") else f"{type(error).__name__}: {error}"


def _shorten(source: str) -> str:
    words = " ".join(source.split())
    return words if len(words) <= _LONGEST_TAG else words[: _LONGEST_TAG - 1] + "…"
