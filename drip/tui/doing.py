"""What can be done from the dashboard: each asks first, where it sends or ends something, and says what it would do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from rich.console import RenderableType
from textual.app import App

from drip.core.address import parse_email
from drip.core.plain import clean, count
from drip.core.sequence import SequenceStatus
from drip.core.subscription import SuppressionReason
from drip.core.variables import check_name, check_value, parse_json_value
from drip.engine.records import Delivery, WebhookDelivery
from drip.tui.dialogs.choice import Choice
from drip.tui.dialogs.confirm import Confirm
from drip.tui.dialogs.form import Field, Form
from drip.tui.marks import mark
from drip.tui.queries import Desk, Situation

if TYPE_CHECKING:
    from drip.engine.apply import Origin
    from drip.engine.subscribe import Request
    from drip.store.store import Store

T = TypeVar("T")

_STATUSES = {
    SequenceStatus.ACTIVE: "sends; what is overdue is due at once, within `stale_after`",
    SequenceStatus.DRAFT: "takes people and holds them",
    SequenceStatus.ARCHIVED: "takes nobody new and holds those in it",
}


class Asker(Protocol):
    """The screen that asks for something to be done."""

    @property
    def app(self) -> App[object]:
        """Where dialogs are shown."""
        ...

    def ask(self, group: str, question: Callable[[Store], T], take: Callable[[T], None], /) -> None:
        """See `Place.ask`."""
        ...

    def change(self, job: Callable[[Store], str], /) -> None:
        """See `Place.change`."""
        ...


class Doing:
    """The actions; `place` is the screen that asks, and reads again afterwards."""

    def __init__(self, desk: Desk, origin: Callable[[], Origin]) -> None:
        self._desk = desk
        self.origin = origin

    def confirmed(
        self, place: Asker, question: str, effect: RenderableType, verb: str, job: Callable[[Store], str]
    ) -> None:
        """Do a job if the user agrees."""
        if self._desk.situation is Situation.READ_ONLY:
            place.app.notify("the database can only be read", severity="warning", markup=False)
            return
        place.app.push_screen(Confirm(question, effect, verb), lambda yes: place.change(job) if yes else None)

    def set_status(self, place: Asker, slug: str, now: str) -> None:
        """Set a sequence's status."""
        choices = [(status.value, mark(status.value), words) for status, words in _STATUSES.items()]

        def change(status: SequenceStatus) -> None:
            place.change(lambda store: _set_status(self._desk, store, slug, status))

        def with_effect(overdue: int) -> None:
            if overdue == 0:
                change(SequenceStatus.ACTIVE)
                return
            people = count(overdue, "person is", "people are")
            words = f"{people} overdue, and would get the next step with the next run. What passed longer ago than"
            words += " `stale_after` is skipped."
            question = f"Make {clean(slug)} active?"
            self.confirmed(
                *(place, question, words, "Make it active"),
                lambda store: _set_status(self._desk, store, slug, SequenceStatus.ACTIVE),
            )

        def chosen(answer: str | None) -> None:
            if answer == SequenceStatus.ACTIVE:
                place.ask("overdue", lambda store: self._desk.overdue(store, slug), with_effect)
            elif answer is not None:
                change(SequenceStatus(answer))

        place.app.push_screen(Choice(f"What does {clean(slug)} do?", choices, now), chosen)

    def subscribe(self, place: Asker, slug: str) -> None:
        """Add a person to a sequence."""
        fields = [
            Field("email", "Address", "ada@example.com"),
            Field("name", "Name", "may be empty"),
            Field("variables", "Variables", "plan=pro seats:=5"),
        ]
        words = "They are in it from now: a first step without a delay is due at once."
        form = Form(f"Subscribe a person to {clean(slug)}", words, fields, "Subscribe", _read_request)

        def filled(request: Request | None) -> None:
            if request is not None:
                place.change(lambda store: _subscribe(self._desk, store, slug, request))

        place.app.push_screen(form, filled)

    def pause(self, place: Asker, slug: str, email: str) -> None:
        """Stop a person's clock: harmless, and not asked about."""
        from drip.engine.people import pause

        def job(store: Store) -> str:
            changed = pause(store, slug, email, self._desk.clock())
            return f"{email} {'is' if changed else 'was already'} paused"

        place.change(job)

    def resume(self, place: Asker, slug: str, email: str) -> None:
        """Let a person's clock go on."""
        from drip.engine.people import resume

        def job(store: Store) -> str:
            changed = resume(store, self._desk.project.settings, slug, email, self._desk.clock())
            return f"{email} {'goes on' if changed else 'was not paused'}"

        words = "What was left of the wait when they were paused begins now."
        self.confirmed(place, f"Resume {clean(email)}?", words, "Resume", job)

    def cancel(self, place: Asker, slug: str, email: str) -> None:
        """End a person's subscription."""
        from drip.engine.people import cancel

        def job(store: Store) -> str:
            changed = cancel(store, slug, email, self._desk.clock())
            return f"{email} {'is' if changed else 'was already'} cancelled in {slug}"

        words = f"{clean(email)} gets nothing more of {clean(slug)}. It is final, unless its `resubscribe` allows it."
        self.confirmed(place, f"Cancel {clean(email)}?", words, "Cancel it", job)

    def retry(self, place: Asker, slug: str, email: str) -> None:
        """Make a failed subscription active again."""
        from drip.engine.people import retry

        def job(store: Store) -> str:
            done = retry(store, self._desk.project.settings, self._desk.clock(), slug=slug, email=email)
            return f"{email} is active again" if done else f"{email} had not failed"

        words = "They are active again, from the step that failed, and it is due now."
        self.confirmed(place, f"Try {clean(email)} again?", words, "Retry", job)

    def retry_all(self, place: Asker, slug: str) -> None:
        """Make every failed subscription of a sequence active again."""
        from drip.engine.people import retry

        def job(store: Store) -> str:
            done = retry(store, self._desk.project.settings, self._desk.clock(), slug=slug)
            return f"{count(len(done), 'subscription')} of {slug} active again"

        def ask(failed: int) -> None:
            words = "They are active again, each from the step that failed, and it is due now."
            question = f"Try all {count(failed, 'failed person', 'failed people')} of {clean(slug)} again?"
            self.confirmed(place, question, words, "Retry all", job)

        place.ask("failed", lambda store: self._desk.failed(store, slug), ask)

    def skip_wait(self, place: Asker, slug: str, email: str, step: str) -> None:
        """Make a person's next step due now."""
        from drip.engine.hurry import skip_wait

        def job(store: Store) -> str:
            changed = skip_wait(store, slug, email, self._desk.clock())
            return f"{step} {'is' if changed else 'was already'} due now for {email}"

        words = f"{clean(step)} is due now, and goes out with the next run. Window, limits and conditions still hold."
        self.confirmed(place, f"Skip the wait of {clean(email)}?", words, "Skip the wait", job)

    def suppress(self, place: Asker, email: str) -> None:
        """Never mail an address again."""
        from drip.engine.suppress import suppress

        def job(store: Store) -> str:
            added, cancelled = suppress(store, email, SuppressionReason.MANUAL, self._desk.clock())
            ended = f"; {count(cancelled, 'subscription')} cancelled" if cancelled else ""
            return f"{email} {'is' if added else 'was already'} suppressed{ended}"

        words = f"{clean(email)} is never mailed again, by any sequence. All their subscriptions are cancelled."
        self.confirmed(place, f"Suppress {clean(email)}?", words, "Suppress", job)

    def settle(self, place: Asker, delivery: Delivery, sent: bool) -> None:
        """Say what became of an unknown delivery."""
        from drip.engine.people import resolve

        def job(store: Store) -> str:
            resolve(store, self._desk.project.settings, delivery.id, sent=sent, now=self._desk.clock())
            return f"delivery {delivery.id} is settled: {'sent' if sent else 'not sent'}"

        words = (
            "It counts as sent, and they go on with the next step."
            if sent
            else "They get it again if they still wait for it: twice, if the server did take the first."
        )
        question = f"{clean(delivery.step)} for {clean(delivery.email)} was {'' if sent else 'not '}sent?"
        self.confirmed(place, question, words, "It was sent" if sent else "It was not sent", job)

    def replay(self, place: Asker, post: WebhookDelivery) -> None:
        """Post a dead webhook anew."""

        def job(store: Store) -> str:
            with store.transaction():
                store.webhooks.replay([post.id], self._desk.clock())
            return f"{post.event_id} is posted again with the next run"

        words = f"{clean(post.event)} is posted to {clean(post.url)} once more, the same octets."
        self.confirmed(place, f"Post {clean(post.event_id)} again?", words, "Post it", job)


def _set_status(desk: Desk, store: Store, slug: str, status: SequenceStatus) -> str:
    from drip.engine.status import set_status

    set_status(store, slug, status, desk.clock())
    return f"{slug} is {status} now"


def _subscribe(desk: Desk, store: Store, slug: str, request: Request) -> str:
    from drip.engine.subscribe import Answer, subscribe

    answered = subscribe(store, desk.project.settings, slug, request, desk.clock())
    return f"{answered.email} {'is subscribed to' if answered.answer is Answer.CREATED else 'was already in'} {slug}"


def _read_request(given: Mapping[str, str]) -> Request:
    from drip.engine.subscribe import Request

    return Request(parse_email(given["email"]), given["name"], _read_variables(given["variables"]))


def _read_variables(text: str) -> dict[str, Any]:
    """`plan=pro seats:=5`, as on the command line.

    Raises:
        ValueError: a word is not K=V.
    """
    found: dict[str, Any] = {}
    for word in text.split():
        name, equals, value = word.partition("=")
        if not equals:
            raise ValueError(f"{word!r} is not K=V (or K:=JSON)")
        if name.endswith(":"):
            found[check_name(name[:-1])] = parse_json_value(value)
        else:
            found[check_name(name)] = check_value(value)
    return found
