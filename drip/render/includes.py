"""`include` done while compiling: the text of a template, spliced in where its name stands.

Only templates that are handed in can be included; there is no disk here, and no name that is made while rendering.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from jinja2 import Environment, TemplateSyntaxError, meta, nodes

from drip.errors import RenderFailed, did_you_mean
from drip.render.environment import GIVES_UP, why_given_up
from drip.render.placeholders import Placeholders
from drip.render.tags import Tag, TagKind

DEEPEST = 20
"""Templates within templates."""
LARGEST = 2_000_000
"""Characters of a template with all that it includes."""

_PARSER = Environment()
_SUFFIX = re.compile(r"\.(?:md|html|txt)$")
_MAY_REFER = re.compile("include|import|extends")
"""Every tag that names another template is written with one of these."""
_SETS = frozenset({"set", "macro"})


@dataclass(frozen=True, slots=True)
class _Include:
    names: tuple[str, ...]
    may_miss: bool


def splice(
    text: str,
    placeholders: Placeholders,
    known: Mapping[str, object],
    fetch: Callable[[str, bool], str],
) -> str:
    """Put what is included into a text with hidden tags.

    What an included template sets, it sets for itself.

    Args:
        text: with hidden tags.
        placeholders: the tags.
        known: the names that may be included; `x.md`, `x.html` and `x.txt` are `x` where there is no such name.
        fetch: gives the text for a known name, with hidden tags of the same placeholders; the flag says that it goes
            in the middle of a line.

    Raises:
        RenderFailed: a name is not known, or not written as one.
    """

    size = len(text)

    def replace(word: re.Match[str]) -> str:
        tag = placeholders.tag(word)
        if tag.word != "include":
            return word[0]
        name = _choose(tag, known)
        if name is None:
            return ""
        in_line = not _alone(text, word)
        nonlocal size
        inner = _scoped(fetch(name, in_line), placeholders, tag)
        size += len(inner)
        if size > LARGEST:
            raise RenderFailed(f"{tag.template}, line {tag.line}: what is included gets too long")
        return inner

    return placeholders.word.sub(replace, text)


def known_name(name: str, known: Mapping[str, object]) -> str | None:
    """The name under which an include is known, or None."""
    if name in known:
        return name
    stem = _SUFFIX.sub("", name)
    return stem if stem in known else None


def included_names(source: str, known: Mapping[str, object]) -> set[str]:
    """The known names that a source includes; empty when it does not parse."""
    if not known or not _MAY_REFER.search(source):
        return set()
    try:
        names = list(meta.find_referenced_templates(_PARSER.parse(source)))
    except (TemplateSyntaxError, *GIVES_UP):
        return set()
    found = (known_name(name, known) for name in names if name is not None)
    return {name for name in found if name is not None}


def check_path(path: Sequence[str], name: str) -> None:
    """Refuse templates that include themselves, or each other too deeply.

    Raises:
        RenderFailed: they do.
    """
    if name in path:
        raise RenderFailed(f"template {name!r} includes itself: " + " → ".join([*path, name]))
    if len(path) >= DEEPEST:
        raise RenderFailed(f"template {name!r} is included more than {DEEPEST} deep")


def _choose(tag: Tag, known: Mapping[str, object]) -> str | None:
    include = _read(tag)
    for name in include.names:
        found = known_name(name, known)
        if found is not None:
            return found
    if include.may_miss:
        return None
    name = include.names[0]
    raise RenderFailed(f"{tag.template}, line {tag.line}: there is no template {name!r}", did_you_mean(name, known))


def _read(tag: Tag) -> _Include:
    try:
        node = _PARSER.parse(tag.source).find(nodes.Include)
    except TemplateSyntaxError as error:
        raise RenderFailed(f"{tag.template}, line {tag.line}: {error.message}") from error
    except GIVES_UP as error:
        raise RenderFailed(f"{tag.template}, line {tag.line}: {why_given_up(error)}") from error
    template = node.template if node else None
    items = template.items if isinstance(template, (nodes.List, nodes.Tuple)) else [template]
    names = [item.value for item in items if isinstance(item, nodes.Const) and isinstance(item.value, str)]
    if node is None or not names or len(names) != len(items):
        message = f"{tag.template}, line {tag.line}: what is included must be written as a name in quotes"
        raise RenderFailed(message, "{% include 'name' %}")
    return _Include(tuple(names), node.ignore_missing)


def _alone(text: str, word: re.Match[str]) -> bool:
    """Whether an include is all there is on its line."""
    before = text[text.rfind("\n", 0, word.start()) + 1 : word.start()]
    behind = text.find("\n", word.end())
    return not before.strip() and not text[word.end() : len(text) if behind < 0 else behind].strip()


def _scoped(text: str, placeholders: Placeholders, include: Tag) -> str:
    if not any(placeholders.tag(word).word in _SETS for word in placeholders.word.finditer(text)):
        return text
    opening, closing = (
        placeholders.add(Tag(source, TagKind.BLOCK, word, include.template, include.line, include.start))
        for source, word in (("{% with %}", "with"), ("{% endwith %}", "endwith"))
    )
    return f"{opening}{text}{closing}"
