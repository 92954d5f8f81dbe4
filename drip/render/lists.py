"""Lists of Markdown that blocks of Jinja2 cut in pieces, made one again.

A loop around `- {{ item }}` is a list of its own in every turn for Markdown; people mean one list.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from markdown_it.token import Token

from drip.render.placeholders import LIST_EDGE, Placeholders
from drip.render.tags import Tag, TagKind

_LISTS = {"bullet_list_open": "ul", "ordered_list_open": "ol"}
_MIDDLE = frozenset({"else", "elif"})
_SET = re.compile(r"\{%[-+]?\s*set\s+[\w\s,.]+=")
_ENDS = frozenset({"endif", "endfor"})


@dataclass(slots=True)
class _Plain:
    """Tokens that are no list; also a container with its content."""

    tokens: list[Token]


@dataclass(slots=True)
class _List:
    """A list: its first and last token, and its items."""

    opening: Token
    items: list[Token]
    closing: Token


@dataclass(slots=True)
class _Block:
    """`if` or `for`: its tags, and what lies between each and the next."""

    tags: list[Token]
    branches: list[list[_Node]] = field(default_factory=list)


_Node = _Plain | _List | _Block


def join_lists(tokens: Sequence[Token], placeholders: Placeholders) -> list[Token]:
    """The same tokens, with the lists joined that only blocks lie between."""
    joined, _ = _read_to_close(_single_tags(tokens, placeholders), 0, placeholders)
    return joined


def _single_tags(tokens: Iterable[Token], placeholders: Placeholders) -> list[Token]:
    """Lines of several tags as one token for each."""
    singles = []
    for token in tokens:
        if token.type != "tags":
            singles.append(token)
            continue
        for word in placeholders.word.finditer(token.content):
            singles.append(Token("tags", "", 0, content=word[0], map=token.map, block=True))
    return singles


def _tag(token: Token, placeholders: Placeholders) -> Tag | None:
    word = placeholders.word.fullmatch(token.content) if token.type == "tags" else None
    return placeholders.tag(word) if word else None


def _read(tokens: list[Token], index: int, placeholders: Placeholders) -> tuple[list[_Node], int]:
    """Nodes from `index` on, up to the tag or token that ends what encloses them."""
    nodes: list[_Node] = []
    while index < len(tokens):
        token = tokens[index]
        tag = _tag(token, placeholders)
        if tag is not None and (tag.word in _ENDS or tag.word in _MIDDLE):
            return nodes, index
        if tag is not None and tag.word in ("if", "for"):
            block, index = _read_block(tokens, index, placeholders)
            nodes.append(block)
        elif token.nesting == 1:
            node, index = _read_container(tokens, index, placeholders)
            nodes.append(node)
        elif token.nesting == -1:
            return nodes, index
        else:
            nodes.append(_Plain([token]))
            index += 1
    return nodes, index


def _read_block(tokens: list[Token], index: int, placeholders: Placeholders) -> tuple[_Node, int]:
    block = _Block([tokens[index]])
    index += 1
    while index < len(tokens):
        branch, index = _read(tokens, index, placeholders)
        block.branches.append(branch)
        tag = _tag(tokens[index], placeholders) if index < len(tokens) else None
        if tag is None:
            break  # it ends outside of this container
        block.tags.append(tokens[index])
        index += 1
        if tag.word in _ENDS:
            return block, index
    return _Plain(_flat(block)), index


def _read_container(tokens: list[Token], index: int, placeholders: Placeholders) -> tuple[_Node, int]:
    opening = tokens[index]
    inner, index = _read_to_close(tokens, index + 1, placeholders)
    if index == len(tokens):
        return _Plain([opening, *inner]), index
    closing = tokens[index]
    if opening.type in _LISTS:
        return _List(opening, inner, closing), index + 1
    return _Plain([opening, *inner, closing]), index + 1


def _read_to_close(tokens: list[Token], index: int, placeholders: Placeholders) -> tuple[list[Token], int]:
    """The content of a container, its own lists joined, and the position of its closing token."""
    content: list[Token] = []
    while index < len(tokens):
        nodes, index = _read(tokens, index, placeholders)
        content += _write(nodes, placeholders)
        if index < len(tokens) and tokens[index].nesting == -1:
            break
        if index < len(tokens):  # the end of a block that began outside
            content.append(tokens[index])
            index += 1
    return content, index


def _write(nodes: list[_Node], placeholders: Placeholders) -> list[Token]:
    tokens: list[Token] = []
    index = 0
    while index < len(nodes):
        run = _run_of_lists(nodes, index, placeholders)
        if any(isinstance(node, _List) for node in run):
            tokens += _one_list(run)
        else:
            run = run[:1] or [nodes[index]]
            tokens += _looped_list(run[0], placeholders) or _written(run[0], placeholders)
        index += len(run)
    return tokens


def _run_of_lists(nodes: list[_Node], index: int, placeholders: Placeholders) -> list[_Node]:
    """The longest run from `index` on that could be the inside of one list; comments and `set` may lie between."""
    kind = _kind(nodes[index], placeholders)
    run: list[_Node] = []
    for length, node in enumerate(nodes[index:], 1):
        if kind is None or not (_silent(node, placeholders) or _kind(node, placeholders) == kind):
            break
        if not _silent(node, placeholders):
            run = nodes[index : index + length]
    return run


def _kind(node: _Node, placeholders: Placeholders) -> str | None:
    """The type of list that a node is made of, or None when there is anything else in it, or no list at all."""
    if isinstance(node, _List):
        return node.opening.type
    if isinstance(node, _Plain):
        return None
    kinds = {
        _kind(inner, placeholders) for branch in node.branches for inner in branch if not _silent(inner, placeholders)
    }
    return kinds.pop() if len(kinds) == 1 else None


def _silent(node: _Node, placeholders: Placeholders) -> bool:
    """Whether a node is comments and `{% set x = … %}` alone: they write nothing and enclose nothing."""
    if not isinstance(node, _Plain):
        return False
    tags = [_tag(token, placeholders) for token in node.tokens]
    return all(tag is not None and (tag.kind is TagKind.SILENT or _SET.match(tag.source)) for tag in tags)


def _one_list(run: list[_Node]) -> list[Token]:
    first = next(node for node in run if isinstance(node, _List))
    return [first.opening, *(token for node in run for token in _items(node)), first.closing]


def _items(node: _Node) -> list[Token]:
    if isinstance(node, _List):
        return node.items
    if isinstance(node, _Plain):
        return node.tokens
    tokens = [node.tags[0]]
    for branch, tag in zip(node.branches, node.tags[1:], strict=True):
        tokens += [token for inner in branch for token in _items(inner)]
        tokens.append(tag)
    return tokens


def _looped_list(node: _Node, placeholders: Placeholders) -> list[Token] | None:
    """A loop whose turns are items of one list: the list opens in the first turn and closes in the last."""
    if not isinstance(node, _Block) or not node.branches or len(node.branches[0]) != 1:
        return None
    tag, only = _tag(node.tags[0], placeholders), node.branches[0][0]
    if tag is None or tag.word != "for" or not isinstance(only, _List):
        return None

    def edge(source: str) -> Token:
        word = placeholders.add(Tag(source, TagKind.BLOCK, LIST_EDGE, tag.template, tag.line, tag.start))
        return Token("tags", "", 0, content=word, block=True)

    first, last, end = "{% if loop.first %}", "{% if loop.last %}", "{% endif %}"
    head = [node.tags[0], edge(first), only.opening, edge(end)]
    tail = [edge(last), only.closing, edge(end)]
    rest = [_written(inner, placeholders) for branch in node.branches[1:] for inner in branch]
    return [*head, *only.items, *tail, node.tags[1], *(token for tokens in rest for token in tokens), *node.tags[2:]]


def _written(node: _Node, placeholders: Placeholders) -> list[Token]:
    if isinstance(node, _List):
        return [node.opening, *node.items, node.closing]
    if isinstance(node, _Plain):
        return node.tokens
    tokens = [node.tags[0]]
    for branch, tag in zip(node.branches, node.tags[1:], strict=True):
        tokens += [*_write(branch, placeholders), tag]
    return tokens


def _flat(block: _Block) -> list[Token]:
    """A block without its end, as it was read."""
    tokens: list[Token] = []
    for position, branch in enumerate(block.branches):
        tokens += [*block.tags[position : position + 1], *(token for node in branch for token in _as_read(node))]
    return tokens


def _as_read(node: _Node) -> list[Token]:
    if isinstance(node, _List):
        return [node.opening, *node.items, node.closing]
    if isinstance(node, _Plain):
        return node.tokens
    return [*_flat(node), node.tags[-1]]
