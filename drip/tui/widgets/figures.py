"""The state of the whole, as figures with a word under each."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Grid
from textual.reactive import var

from drip.tui.marks import due, number
from drip.tui.queries import Glance
from drip.tui.widgets.line import Line

BESIDE = "\0"
"""Between a figure and a word that stands beside it."""


class Figures(Grid):
    """Due, sending, sent, failed, unknown, deferred, webhooks, worker."""

    glance: var[Glance | None] = var(None)

    def compose(self) -> ComposeResult:
        """Eight of them."""
        for _ in range(8):
            yield Line(Text("…\n", "dim"), classes="figure")

    def watch_glance(self) -> None:
        """Show them."""
        if self.glance is None or not self.is_mounted:
            return
        for widget, (figure, word, colour) in zip(self.query(Line), _figures(self.glance), strict=True):
            head, _, beside = figure.partition(BESIDE)
            widget.say(Text.assemble((head, f"bold {colour}".strip()), (beside, "dim"), "\n", (word, "dim")))

    def on_mount(self) -> None:
        """Show what is known."""
        self.watch_glance()


def _figures(glance: Glance) -> Iterator[tuple[str, str, str]]:
    state, backlog = glance.state, glance.backlog
    yield _due_now(glance)
    yield number(state.sending), "sending", "cyan" if state.sending else ""
    yield number(state.sent_today), "sent today", "green" if state.sent_today else ""
    yield _deferred(glance)
    yield _flag("!", state.failed), "failed", "red" if state.failed else ""
    yield _flag("?", state.unknown), "unknown", "magenta" if state.unknown else ""
    dead = f", ! {number(backlog.dead)} dead" if backlog.dead else ""
    yield f"{number(backlog.waiting)} wait{dead}", "webhooks", "red" if dead else ""
    yield due(glance.state.next_due_at, glance.at) or "nobody waits", "next due", ""


def _flag(glyph: str, count: int) -> str:
    return f"{glyph} {number(count)}" if count else "0"


def _due_now(glance: Glance) -> tuple[str, str, str]:
    if glance.limited is not None:
        words = f"due, room {due(glance.limited.until, glance.at)}"
        return number(glance.state.due_now), words, "yellow"
    return number(glance.state.due_now), "due now", "cyan" if glance.state.due_now else ""


def _deferred(glance: Glance) -> tuple[str, str, str]:
    reasons = sorted(glance.state.deferred.items(), key=lambda item: -item[1])
    if not reasons:
        return "0", "deferred", ""
    words = ", ".join(f"{number(count)} {reason}" for reason, count in reasons)
    return f"~ {number(sum(glance.state.deferred.values()))}{BESIDE} deferred", words, "yellow"
