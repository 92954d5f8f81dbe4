"""What needs a person, as a table and in full."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, tzinfo

from rich.table import Table as Grid
from rich.text import Text
from textual.reactive import var

from drip.core.delivery import DeliveryState
from drip.core.plain import moment
from drip.engine.records import Delivery, WebhookDelivery
from drip.errors import Problem, Severity
from drip.tui.marks import mark, safe, short_moment
from drip.tui.queries import Troubles
from drip.tui.widgets.table import Table


@dataclass(frozen=True, slots=True)
class Item:
    """One trouble."""

    key: str
    what: Delivery | WebhookDelivery | Problem
    cures: tuple[str, ...]
    """The actions that cure it."""
    cure: str
    """They in words, with their keys."""

    @property
    def short_cure(self) -> str:
        """The keys alone."""
        return " ".join(part.split()[0] for part in self.cure.split(" · "))


def items_of(troubles: Troubles, problems: tuple[Problem, ...]) -> tuple[Item, ...]:
    """What holds people up comes first."""
    found = [Item(f"u{one.id}", one, ("settle", "open"), "y was sent · n was not") for one in troubles.unknown]
    found += [
        Item(f"p{at}", one, ("edit",), "e edit") for at, one in enumerate(problems) if one.severity is Severity.ERROR
    ]
    found += [Item(f"f{one.id}", one, ("retry", "open"), "R retry") for one in troubles.failed]
    found += [Item(f"w{one.id}", one, ("replay",), "R post again") for one in troubles.dead]
    found += [
        Item(f"p{at}", one, ("edit",), "e edit") for at, one in enumerate(problems) if one.severity is Severity.WARNING
    ]
    return tuple(found)


class TroubleTable(Table):
    """A line each."""

    items: var[tuple[Item, ...]] = var(())

    def __init__(self, zone: tzinfo, clock: Callable[[], datetime], *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._zone, self._clock = zone, clock

    def watch_items(self) -> None:
        """Draw."""
        self.show()

    def on_resize(self) -> None:
        """More or less fits."""
        self.show()

    def show(self) -> None:
        """Draw what changed."""
        self.display = bool(self.items)
        if not self.is_mounted or not self.size.width:
            return
        wide = self.size.width >= 140
        names = ["state", "cure", "what", "where", *(["when"] if wide else []), "why"]
        rows = [(item.key, self._cells(item, wide)) for item in self.items]
        self.show_rows(names, self.fitted(names, rows, {"why": 12, "where": 10, "what": 16}))

    @property
    def item(self) -> Item | None:
        """What is under the cursor."""
        key = self.cursor_key
        return next((item for item in self.items if item.key == key), None)

    def _cells(self, item: Item, wide: bool) -> list[Text]:
        what, where, why, when = _line(item, self._clock(), self._zone)
        state = mark(_state(item))
        narrow = self.size.width < 100
        what_room, where_room = (22, 14) if narrow else (34, 24)
        cells = [state, Text(item.short_cure if narrow else item.cure, "bold"), safe(what, what_room)]
        cells += [safe(where, where_room), *([Text(when, "dim")] if wide else [])]
        return [*cells, safe(why, self.size.width)]


def _state(item: Item) -> str:
    match item.what:
        case Delivery(state=state):
            return state.value
        case WebhookDelivery():
            return "dead"
        case Problem(severity=severity):
            return severity.value


def _line(item: Item, now: datetime, zone: tzinfo) -> tuple[str, str, str, str]:
    match item.what:
        case Delivery() as one:
            why = " ".join(part for part in (one.reason, one.code and str(one.code), one.answer) if part)
            return one.email, f"{one.sequence}/{one.step}", why, short_moment(one.at, zone, now)
        case WebhookDelivery() as post:
            why = f"{post.status or ''} {post.answer or ''}".strip()
            return post.event, post.url, why, short_moment(post.last_attempt_at, zone, now)
        case Problem() as problem:
            place = f"{problem.path}:{problem.line}" if problem.line else problem.path
            return place, problem.where, problem.message, ""


def detail(item: Item, zone: tzinfo) -> Grid:
    """All that is known of one."""
    table = Grid.grid(padding=(0, 2))
    for name, value in _fields(item, zone):
        if value:
            table.add_row(Text(name, "dim"), safe(value))
    table.add_row(Text("cure", "dim"), Text(item.cure, "bold"))
    return table


def _fields(item: Item, zone: tzinfo) -> Iterator[tuple[str, str]]:
    match item.what:
        case Delivery() as one:
            yield "delivery", f"{one.id}: {one.step} of {one.sequence} for {one.email}"
            yield one.state.value, moment(one.at, zone)
            yield "why", _REASONS.get(one.reason or "", str(one.reason or ""))
            yield "server said", f"{one.code or ''} {one.answer or ''}".strip()
            yield "attempts", str(one.attempts)
            if one.state is DeliveryState.UNKNOWN:
                yield "so", "practically all of these were sent: look into the server's log, then say what became of it"
        case WebhookDelivery() as post:
            yield "webhook", f"{post.event} ({post.event_id}) to {post.url}"
            yield "attempts", f"{post.attempts}, the last {moment(post.last_attempt_at, zone)}"
            yield "it said", f"{post.status or ''} {post.answer or ''}".strip()
        case Problem() as problem:
            yield problem.severity.value, problem.message
            yield "where", f"{problem.path}:{problem.line}:{problem.column} {problem.where}"
            yield "instead", problem.hint or ""


_REASONS = {
    "interrupted": "interrupted: the process died between the last octet and the server's answer",
    "no_answer": "no_answer: the connection was lost between the last octet and the server's answer",
    "restored": "restored: it was due in what a restored database has lost",
    "render": "render: a template or a variable is wrong",
    "condition": "condition: `when` or `stop_when` could not be evaluated",
    "address": "address: it can't be used with this server",
    "refused": "refused: the server does not want the message",
    "no_mailbox": "no_mailbox: the mailbox or its domain does not exist",
    "attempts": "attempts: refused for the time being until the attempts ran out",
}
