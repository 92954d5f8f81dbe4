"""The pages as HTML, with headers that let them load nothing, be framed by nobody, and tell nobody where one was."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from fastapi import Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from drip.api.pages.words import Words, words_for
from drip.engine.unsubscribe import Consent, Holder, masked

_FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Button:
    """Something that can be done."""

    name: str
    value: str
    label: str
    note: str
    look: str = "soft"


def render_page(holder: Holder, accept_language: str, *, undone: bool, may_undo: bool) -> Response:
    """The page for who a link is for, as things stand with them.

    Args:
        undone: they have just taken an opt-out back.
        may_undo: an opt-out can be taken back by the link.
    """
    words = words_for(accept_language)
    sender, email = holder.sender.name or holder.sender.email, masked(holder.contact.email)

    def say(text: str) -> str:
        return text.replace("{sender}", sender).replace("{email}", email)

    everything = Button("scope", "all", words.leave_all, say(words.all_note))
    undo = [Button("action", "undo", words.undo, words.undo_note)] if may_undo else []
    if undone:
        title, line, buttons = words.back, words.back_now, list[Button]()
    elif holder.consent is Consent.NONE:
        title, line, buttons = words.left_all, words.left_all_now, undo
    elif holder.consent is Consent.SEQUENCE:
        title, line, buttons = words.left_series, words.left_series_now, [*undo, everything]
    else:
        title, line, buttons = words.ask, words.asked, _choices(holder, words, say(words.series_note), everything)
    return _response(200, words, title, [say(line)], sender=sender, buttons=buttons)


def render_missing(accept_language: str) -> Response:
    """The page for every link that is not right; it says nothing of why."""
    words = words_for(accept_language)
    return _response(404, words, words.missing, [words.missing_now])


def _choices(holder: Holder, words: Words, note: str, everything: Button) -> list[Button]:
    """A series that has ended can't be left."""
    series = Button("scope", "sequence", words.leave_series, note, "strong")
    return [series, everything] if holder.in_series else [replace(everything, look="strong")]


def _response(
    status: int, words: Words, title: str, lines: list[str], *, sender: str = "", buttons: list[Button] | None = None
) -> Response:
    template, style, digest = _parts()
    page = template.render(
        language=words.language, title=title, lines=lines, sender=sender, buttons=buttons or [], style=Markup(style)
    )
    policy = (
        f"default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    headers = {
        "Content-Security-Policy": policy,
        "Content-Language": words.language,
        "Vary": "Accept-Language",
        "Referrer-Policy": "no-referrer",
        "X-Robots-Tag": "noindex, nofollow",
        "Cache-Control": "no-store",
    }
    return Response(page, status, headers, "text/html; charset=utf-8")


@cache
def _parts() -> tuple[Template, str, str]:
    """The template, its style, and the style's SHA-256 for the policy."""
    environment = Environment(loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined)
    style = (_FOLDER / "page.css").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode("ascii")
    return environment.get_template("page.html"), style, digest
