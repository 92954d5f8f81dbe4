"""Markdown with hidden Jinja2 tags, to HTML: CommonMark, tables and strikethrough; HTML in it is the operator's own.

Tags on a line of their own stand between blocks, and lists and tables go through loops whole. No value of a person
ever enters here: tags are words of `drip.render.placeholders`.
"""

from __future__ import annotations

import re
from functools import lru_cache

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock, html_block
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

from drip.render.lists import join_lists
from drip.render.placeholders import Placeholders
from drip.render.tags import TagKind

_ROW = re.compile(r"<tr>\s*<td[^>]*>([^<]*)</td>\s*(?:<td[^>]*></td>\s*)*</tr>")
_ANGLED = re.compile(r"<(\w+)>")


def markdown_to_html(source: str, placeholders: Placeholders) -> str:
    """Render Markdown in which tags are hidden; the words come out where the tags belong in the HTML."""
    parser = _parser()
    environment = {"placeholders": placeholders}
    tokens = join_lists(parser.parse(source, environment), placeholders)
    page = str(parser.renderer.render(tokens, parser.options, environment))
    return _ROW.sub(lambda row: _loose_row(row, placeholders), page)


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    parser.block.ruler.before(
        "table", "tags", _tags_line, {"alt": ["paragraph", "reference", "blockquote", "list", "tags"]}
    )
    parser.block.ruler.at("html_block", _html_block, {"alt": ["paragraph", "reference", "blockquote"]})
    parser.inline.ruler.before("autolink", "tag_link", _tag_link)
    parser.core.ruler.before("inline", "conditional_paragraphs", _conditional_paragraphs)
    parser.add_render_rule("tags", _render_tags)
    return parser


def _tags_line(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    """A line of nothing but blocks is a block itself, wherever it stands; within a table it belongs to the table."""
    placeholders: Placeholders = state.env["placeholders"]
    line = state.src[state.bMarks[start_line] + state.tShift[start_line] : state.eMarks[start_line]]
    if not placeholders.stands_alone(line):
        return False
    if silent:
        return str(state.parentType) != "table"
    token = state.push("tags", "", 0)
    token.content = line
    token.map = [start_line, start_line + 1]
    state.line = start_line + 1
    return True


def _conditional_paragraphs(state: StateCore) -> None:
    """A paragraph that is one `{% if … %}…{% endif %}` goes as a whole when the condition is not true."""
    placeholders: Placeholders = state.env["placeholders"]
    tokens: list[Token] = []
    for token in state.tokens:
        tokens.append(token)
        if token.type != "paragraph_close" or token.hidden:
            continue
        opening, inline = tokens[-3:-1]
        if ends := _ends_of_condition(inline.content, placeholders):
            first, last = ends
            inline.content = inline.content[len(first) : -len(last)]
            tokens[-3:] = [_tags_token(first, token), opening, inline, token, _tags_token(last, token)]
    state.tokens = tokens


def _ends_of_condition(content: str, placeholders: Placeholders) -> tuple[str, str] | None:
    """The words of the `if` and `endif` that enclose a text, when it has no other branch and is one condition."""
    words = list(placeholders.word.finditer(content))
    if len(words) < 2 or words[0].start() != 0 or words[-1].end() != len(content):
        return None
    depth = 0
    for word in words:
        tag = placeholders.tag(word).word
        depth += (tag == "if") - (tag == "endif")
        if (depth == 0 and word is not words[-1]) or (depth == 1 and tag in ("else", "elif")):
            return None
    return (words[0][0], words[-1][0]) if placeholders.tag(words[-1]).word == "endif" else None


def _tags_token(word: str, like: Token) -> Token:
    return Token("tags", "", 0, content=word, level=like.level, block=True)


def _html_block(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    """As CommonMark's, but `<{{ url }}>` alone on its line is no element."""
    placeholders: Placeholders = state.env["placeholders"]
    angled = _ANGLED.match(state.src, state.bMarks[start_line] + state.tShift[start_line])
    if angled is not None and placeholders.word.fullmatch(angled[1]):
        return False
    return html_block(state, start_line, end_line, silent)


def _tag_link(state: StateInline, silent: bool) -> bool:
    """`<{{ url }}>` is a link, as `<https://…>` is."""
    placeholders: Placeholders = state.env["placeholders"]
    angled = _ANGLED.match(state.src, state.pos)
    word = placeholders.word.fullmatch(angled[1]) if angled else None
    if angled is None or word is None or placeholders.tag(word).kind is not TagKind.EXPRESSION:
        return False
    if not silent:
        state.push("link_open", "a", 1).attrs = {"href": angled[1]}
        state.push("text", "", 0).content = angled[1]
        state.push("link_close", "a", -1)
    state.pos = angled.end()
    return True


def _render_tags(renderer: object, tokens: list[object], index: int, options: object, env: object) -> str:
    return str(getattr(tokens[index], "content", "")) + "\n"


def _loose_row(row: re.Match[str], placeholders: Placeholders) -> str:
    """A table row that a line of tags became is no row."""
    return row[1] if placeholders.stands_alone(row[1]) else row[0]
