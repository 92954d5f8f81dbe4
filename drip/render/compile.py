"""A step compiled once, and rendered for each person: the one way from a definition to a message.

No address is looked up and nothing is read: what is not in the definition, the settings or the recipient is not there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jinja2 import nodes
from markupsafe import Markup

from drip.core.address import Address
from drip.core.immutable import immutable
from drip.core.sequence import Definition, Step
from drip.core.settings import Settings
from drip.errors import RenderFailed
from drip.render.bodies import build_sources, content_of, is_trusted
from drip.render.environment import template_environment
from drip.render.footer import footer_html, footer_text
from drip.render.guard import check_tree, guarded_environment, limit_tree, render_limited, too_long
from drip.render.message import Message
from drip.render.part import Part, check_source, compile_part, render_at_once
from drip.render.placeholders import Placeholders, Restored
from drip.render.scope import language_of, plain
from drip.render.tags import normalize

_LINE_BREAKS = re.compile(r"[\s\u0085\u2028\u2029]*[\r\n\v\f\x1c-\x1e\u0085\u2028\u2029][\s\u0085\u2028\u2029]*")
_HEADER_NAME = re.compile(r"X-[A-Za-z0-9-]{1,74}|Feedback-ID", re.IGNORECASE)
_OWN_HEADER = "x-drip-delivery"
_NOT_IN_FEEDBACK_ID = re.compile(r"[^A-Za-z0-9._-]+")


@immutable
class Recipient:
    """One person, for one message."""

    to: Address
    variables: Mapping[str, Any]
    """Merged: subscription over contact over declared default."""
    delivery_token: str
    """Names the delivery; the same for the same delivery, always. In Message-ID and X-Drip-Delivery."""
    unsubscribe_url: str | None
    """None: there is no HTTP side."""
    preferences_url: str | None
    """None: there is no HTTP side."""
    unsubscribe_mailto: str | None
    """A `mailto:` URL, or a bare address; None: there is none."""


@dataclass(frozen=True, slots=True)
class CompiledStep:
    """A step ready to be rendered, for one revision of its sequence."""

    sender: Address
    reply_to: Address | None
    subject: Part
    text: Part
    text_footer: bool
    """The text has no link for unsubscribing of its own."""
    html: Part | None
    fixed_headers: tuple[tuple[str, str], ...]
    """Those that are the same for all."""
    own_headers: tuple[tuple[str, Part], ...]
    """The step's."""
    scope: Mapping[str, Any]
    """What is the same for all: `sequence`, `step`, `postal_address`."""
    postal_address: str | None

    def render(self, recipient: Recipient, now: datetime) -> Message:
        """The message for one person.

        Args:
            now: the Date; aware.

        Raises:
            RenderFailed: a part can't be rendered; the message names template, line and variable.
        """
        scope = self._scope_of(recipient)
        subject = _LINE_BREAKS.sub(" ", self.subject.render(scope)).strip()
        scope["subject"] = subject
        scope.setdefault("title", subject)
        link = recipient.unsubscribe_url or _mailto(recipient)
        language = "es" if scope["lang"].lower().startswith("es") else "en"
        html = None
        if self.html is not None:
            footer = footer_html(link, self.postal_address, language)
            html = self.html.pieces({**scope, "drip_footer": Markup(footer)})
        text = _ended(self.text.pieces(scope))
        if self.text_footer:
            text += footer_text(link, self.postal_address, language)
        return Message(
            sender=self.sender,
            reply_to=self.reply_to,
            to=recipient.to,
            subject=subject,
            text_pieces=text,
            html_pieces=html,
            message_id=f"<{recipient.delivery_token}@{self.sender.domain}>",
            date=now,
            headers=self._headers(recipient, scope),
        )

    def _scope_of(self, recipient: Recipient) -> dict[str, Any]:
        try:
            scope: dict[str, Any] = plain(recipient.variables)
        except RecursionError:
            raise RenderFailed(f"{self.text.label}: the variables are nested too deeply") from None
        scope["email"] = recipient.to.email
        scope["name"] = recipient.to.name or scope.get("name", "")
        scope.setdefault("lang", language_of(scope) or "en")
        scope["lang"] = str(scope["lang"])
        scope["unsubscribe_url"] = recipient.unsubscribe_url or _mailto(recipient) or ""
        scope["preferences_url"] = recipient.preferences_url or ""
        scope.update(self.scope)
        return scope

    def _headers(self, recipient: Recipient, scope: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
        own = tuple((name, part.render(scope)) for name, part in self.own_headers)
        taken = {name.lower() for name, _ in own}
        fixed = tuple((name, value) for name, value in self.fixed_headers if name.lower() not in taken)
        return (*_unsubscribe_headers(recipient), *fixed, ("X-Drip-Delivery", recipient.delivery_token), *own)


def compile_step(definition: Definition, step: Step, settings: Settings, *, trusted: bool = True) -> CompiledStep:
    """Do once what does not depend on the person.

    Args:
        definition: the sequence of the step, with its templates and layouts.
        step: one of its steps.
        settings: for what neither step nor sequence says.
        trusted: the step's own words are the operator's. A template that came over the API is never trusted.

    Raises:
        RenderFailed: a template does not compile; the message names it, and the line.
    """
    sequence = definition.sequence
    content = content_of(definition, step)
    compiler = _Compiler(settings, trusted and is_trusted(definition, step))
    sources = build_sources(definition, content, compiler.check)
    sender = step.sender or sequence.sender or settings.sender
    return CompiledStep(
        sender=sender,
        reply_to=step.reply_to or sequence.reply_to or settings.reply_to,
        subject=compiler.part(sources.subject, content.subject_label),
        text=compiler.part(sources.text, content.label),
        text_footer=sources.text_footer,
        html=None if sources.html is None else compiler.part(sources.html, content.label, html=True),
        fixed_headers=_fixed_headers(definition, step, settings, sender),
        own_headers=tuple((name, _header_part(name, value, step, compiler)) for name, value in step.headers),
        scope={
            "sequence": {"id": sequence.id, "name": sequence.name},
            "step": {"key": step.key, "position": sequence.position(step.key)},
            "postal_address": settings.postal_address or "",
        },
        postal_address=settings.postal_address,
    )


class _Compiler:
    """Makes parts of sources, within limits where the words are not trusted."""

    def __init__(self, settings: Settings, trusted: bool) -> None:
        self._trusted = trusted
        make = template_environment if trusted else guarded_environment
        self._text = make(html=False, undefined=settings.undefined)
        self._html = make(html=True, undefined=settings.undefined)

    def check(self, source: str, label: str) -> None:
        """Refuse a source before anything is done with it."""
        if self._trusted:
            check_source(self._text, source, label, _as_it_is, _as_it_is)
        else:
            check_source(self._text, source, label, too_long, check_tree)

    def part(self, restored: Restored, label: str, *, html: bool = False) -> Part:
        """A part that is ready to be rendered."""
        environment = self._html if html else self._text
        if self._trusted:
            return compile_part(environment, restored, label, render_at_once, _as_it_is)
        return compile_part(environment, restored, label, render_limited, limit_tree)


def _as_it_is(source: str | nodes.Template) -> None:
    """Change nothing and refuse nothing."""


def _header_part(name: str, value: str, step: Step, compiler: _Compiler) -> Part:
    label = f"step {step.key!r}, header {name}"
    if not _HEADER_NAME.fullmatch(name) or name.lower() == _OWN_HEADER:
        raise RenderFailed(f"{label} can't be set", "only X-* and Feedback-ID can")
    value = normalize(value)
    compiler.check(value, label)
    placeholders = Placeholders(value)
    restored = placeholders.restore(placeholders.hide(value, label), keep_marks=True)
    return compiler.part(restored, label)


def _fixed_headers(
    definition: Definition, step: Step, settings: Settings, sender: Address
) -> tuple[tuple[str, str], ...]:
    headers = [("List-Id", f"<{definition.sequence.id}.{sender.domain}>")]
    if settings.feedback_id is not None:
        names = (definition.sequence.id, step.key, settings.project, settings.feedback_id)
        headers.append(("Feedback-ID", ":".join(_NOT_IN_FEEDBACK_ID.sub("-", name) for name in names)))
    headers += [("Auto-Submitted", "auto-generated"), ("X-Auto-Response-Suppress", "OOF, AutoReply")]
    return tuple(headers)


def _unsubscribe_headers(recipient: Recipient) -> tuple[tuple[str, str], ...]:
    """List-Unsubscribe (RFC 2369), and the one-click header (RFC 8058), which only https may have."""
    url, mailto = recipient.unsubscribe_url, _mailto(recipient)
    links = ", ".join(f"<{link}>" for link in (url, mailto) if link)
    if not links:
        return ()
    post = (("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),)
    return (("List-Unsubscribe", links), *(post if url and url.lower().startswith("https://") else ()))


def _ended(pieces: Sequence[str]) -> list[str]:
    """The pieces with one line break at their end; what need not change stays the same object."""
    ended = list(pieces)
    while ended and not ended[-1].strip("\n"):
        ended.pop()
    if ended and ended[-1].endswith("\n") and not ended[-1].endswith("\n\n"):
        return ended
    if ended:
        ended[-1] = ended[-1].rstrip("\n")
    return [*ended, "\n"]


def _mailto(recipient: Recipient) -> str | None:
    address = recipient.unsubscribe_mailto
    return address if not address or address.lower().startswith("mailto:") else f"mailto:{address}"
