"""What is wrong with a page of HTML in which Jinja2's tags are hidden: its tags, and where its variables stand."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from jinja2 import Environment, TemplateSyntaxError, nodes

from drip.render.environment import GIVES_UP
from drip.render.markup import OPTIONAL_END, VOID, Attribute, Element, Opaque, Quote, scan
from drip.render.placeholders import Placeholders
from drip.render.tags import Tag, TagKind

LINK_ATTRIBUTES = frozenset({"action", "background", "formaction", "href", "poster", "src"})
"""Attributes that hold a URL which is opened or loaded."""

_SAFE_LINKS = frozenset({"unsubscribe_url", "preferences_url"})
_INSIDE = re.compile(r"^\{\{[-+]?\s*|\s*[-+]?\}\}$")
_MIDDLE = frozenset({"else", "elif"})
_PARSER = Environment()


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong at one place of a page."""

    offset: int
    """In the page with hidden tags, in characters."""
    tag: Tag | None
    """The tag it is about, if any."""
    message: str
    hint: str | None
    warning: bool = False


def value_faults(page: str, placeholders: Placeholders) -> Iterator[Fault]:
    """Variables where escaping does not protect, and links that should not be as they are."""
    for part in scan(page):
        if isinstance(part, Opaque):
            yield from _opaque_faults(part, page, placeholders)
            continue
        for attribute in part.attributes:
            yield from _attribute_faults(attribute, page, placeholders)


def _opaque_faults(part: Opaque, page: str, placeholders: Placeholders) -> Iterator[Fault]:
    if part.name not in ("script", "style"):
        return
    for word in placeholders.word.finditer(page, part.start, part.end):
        tag = placeholders.tag(word)
        if tag.kind is TagKind.EXPRESSION:
            yield Fault(word.start(), tag, f"a variable inside <{part.name}>", "no escaping makes it safe there")
        elif tag.kind is TagKind.BLOCK and part.name == "style":
            hint = "CSS is moved into the elements before a template is filled in: put the tag around the element"
            yield Fault(word.start(), tag, "a tag inside <style>", hint)


def _attribute_faults(attribute: Attribute, page: str, placeholders: Placeholders) -> Iterator[Fault]:
    words = [
        word
        for word in placeholders.word.finditer(page, attribute.start, attribute.end)
        if placeholders.tag(word).kind is TagKind.EXPRESSION
    ]
    if words and attribute.quote is Quote.BARE:
        tag = placeholders.tag(words[0])
        hint = f'write {attribute.name}="{tag.source}"'
        yield Fault(words[0].start(), tag, "a variable in an attribute without quotes", hint)
    if words and attribute.name.startswith("on"):
        yield Fault(words[0].start(), placeholders.tag(words[0]), "a variable inside a script", None)
    name = placeholders.word.sub("", attribute.name)
    if name not in LINK_ATTRIBUTES:
        return
    if words and not _has_scheme(attribute, placeholders) and not is_safe_link(placeholders.tag(words[0])):
        tag = placeholders.tag(words[0])
        hint = f"write {{{{ {_INSIDE.sub('', tag.source)} | url }}}}"
        yield Fault(words[0].start(), tag, "a variable as a link without the `url` filter", hint, warning=True)
    if attribute.value.strip().lower().startswith("http://"):
        yield Fault(attribute.start, None, "the link is not encrypted", "https://", warning=True)


def _has_scheme(attribute: Attribute, placeholders: Placeholders) -> bool:
    """Whether a link begins with something written, so that its scheme is not the variable's."""
    value = attribute.value.lstrip()
    first = placeholders.word.match(value)
    while first is not None and placeholders.tag(first).kind is not TagKind.EXPRESSION:
        value = value[first.end() :].lstrip()
        first = placeholders.word.match(value)
    return first is None


def is_safe_link(tag: Tag) -> bool:
    """Whether an expression gives a link that is safe to open: drip's own, or one that `url` was the last to touch."""
    try:
        tree = _PARSER.parse(tag.source)
    except (TemplateSyntaxError, *GIVES_UP):
        return True  # said elsewhere
    output = tree.find(nodes.Output)
    return output is not None and all(_is_safe(node) for node in output.nodes)


def _is_safe(node: nodes.Node) -> bool:
    if isinstance(node, nodes.CondExpr):
        return _is_safe(node.expr1) and (node.expr2 is None or _is_safe(node.expr2))
    while isinstance(node, nodes.Filter) and node.name in ("trim", "e", "escape", "default", "d") and node.node:
        node = node.node
    if isinstance(node, nodes.Filter):
        return node.name == "url"
    return isinstance(node, (nodes.Const, nodes.TemplateData)) or (
        isinstance(node, nodes.Name) and node.name in _SAFE_LINKS
    )


def structure_faults(page: str, placeholders: Placeholders) -> list[Fault]:
    """Elements that are not closed, and end tags that close nothing.

    The branches of an `if` are looked at one by one, each from where the `if` began; after it, the first one counts.
    """
    open_elements: list[Element] = []
    branches: list[_Branch] = []
    faults: list[Fault] = []
    for part in _parts(page, placeholders):
        if isinstance(part, Element):
            _step(part, open_elements, faults)
            continue
        if part.word in ("if", "for"):
            branches.append(_Branch(list(open_elements)))
        elif branches and part.word in _MIDDLE:
            faults += _opened_twice(branches[-1].before, open_elements)
            branches[-1].first = branches[-1].first or list(open_elements)
            open_elements = list(branches[-1].before)
        elif branches and part.word in ("endif", "endfor"):
            open_elements = branches.pop().first or open_elements
    faults += [_unclosed(element) for element in open_elements if element.name not in OPTIONAL_END]
    return faults


def _opened_twice(before: list[Element], open_elements: list[Element]) -> list[Fault]:
    """An element that one branch leaves open: a parser sees it open in every branch and closes it as often."""
    hint = "write the element once, with the condition in its attributes"
    return [
        Fault(
            element.start, None, f"<{element.name}> is opened in one branch and closed behind them", hint, warning=True
        )
        for element in open_elements[len(before) :]
        if element.name not in OPTIONAL_END
    ]


@dataclass(slots=True)
class _Branch:
    before: list[Element]
    first: list[Element] | None = None


def _parts(page: str, placeholders: Placeholders) -> list[Element | Tag]:
    """Elements, and the blocks that stand between them, in order."""
    elements = [part for part in scan(page) if isinstance(part, Element)]
    opaque = list(scan(page))
    starts = [part.start for part in opaque]
    parts: list[tuple[int, Element | Tag]] = [(element.start, element) for element in elements]
    for word in placeholders.word.finditer(page):
        index = bisect_right(starts, word.start()) - 1
        if index < 0 or opaque[index].end <= word.start():
            parts.append((word.start(), placeholders.tag(word)))
    return [part for _, part in sorted(parts, key=lambda pair: pair[0])]


def _step(element: Element, open_elements: list[Element], faults: list[Fault]) -> None:
    if element.name in VOID or element.self_closed:
        return
    if not element.closing:
        open_elements.append(element)
        return
    for index in range(len(open_elements) - 1, -1, -1):
        if open_elements[index].name == element.name:
            faults += [_unclosed(inner) for inner in open_elements[index + 1 :] if inner.name not in OPTIONAL_END]
            del open_elements[index:]
            return
        if open_elements[index].name not in OPTIONAL_END and not _open(element.name, open_elements):
            break
    if element.name != "p":  # browsers make an empty paragraph of a stray </p>
        faults.append(Fault(element.start, None, f"</{element.name}> closes nothing", None))


def _open(name: str, open_elements: list[Element]) -> bool:
    return any(element.name == name for element in open_elements)


def _unclosed(element: Element) -> Fault:
    return Fault(element.start, None, f"<{element.name}> is not closed", f"add </{element.name}>")
