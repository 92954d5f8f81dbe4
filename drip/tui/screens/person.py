"""A person in a sequence: what was, what is to come, and what can be done."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.reactive import var
from textual.widget import Widget

from drip.core.delivery import DeliveryState
from drip.core.plain import clean
from drip.core.subscription import SubscriptionStatus
from drip.errors import DripError
from drip.tui.queries import Story
from drip.tui.screens.place import Place
from drip.tui.widgets.line import Line
from drip.tui.widgets.story import Facts, Past, ToCome

if TYPE_CHECKING:
    from drip.store.store import Store
    from drip.tui.doing import Doing
    from drip.tui.previewing import Views

LIVE = (SubscriptionStatus.ACTIVE, SubscriptionStatus.PAUSED, SubscriptionStatus.FAILED)


class PersonScreen(Place):
    """One person in one sequence."""

    HELP = "Everything that happened to this person in this sequence, with reasons, and what is to come, in their zone."
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("p", "pause", "Pause", tooltip="Stop their clock; nothing is sent until it goes on"),
        Binding("p", "resume", "Resume", tooltip="Let their clock go on (asks)"),
        Binding("m", "message", "Message", tooltip="The next message as they would get it"),
        Binding("R", "retry", "Retry", tooltip="Try the step that failed again (asks)"),
        Binding("w", "skip_wait", "Skip the wait", tooltip="Make the next step due now (asks)"),
        Binding("c", "cancel", "Cancel", tooltip="End this subscription (asks)"),
        Binding("S", "suppress", "Suppress", tooltip="Never mail this address again (asks)"),
        Binding("y", "settle(True)", "Was sent", tooltip="The unknown delivery was sent (asks)"),
        Binding("n", "settle(False)", "Not sent", tooltip="The unknown delivery was not sent (asks)"),
    ]

    story: var[Story | None] = var(None)

    def __init__(self, slug: str, email: str) -> None:
        super().__init__()
        self.slug, self.email = slug, email

    def content(self) -> Iterable[Widget]:
        """Who, what was, what is to come."""
        yield Line(id="title")
        facts, past, to_come = Facts(self.desk.clock), Past(), ToCome(self.desk.clock)
        was = VerticalScroll(past.data_bind(PersonScreen.story), id="past")
        coming = VerticalScroll(to_come.data_bind(PersonScreen.story), id="coming")
        about = VerticalScroll(facts.data_bind(PersonScreen.story), id="facts")
        for box, title in ((was, "what was"), (coming, "what is to come"), (about, "who")):
            box.border_title = title
        yield Horizontal(Vertical(about, coming, id="person-left"), was, id="person")

    def load(self) -> None:
        """Ask for the story."""
        self.ask("story", self._story, self._take_story, gently=True)

    def refused(self, error: DripError, about: str) -> None:
        """A person who is gone is left."""
        super().refused(error, about)
        if about == "story" and self.story is None:
            self.host.back()

    def _story(self, store: Store) -> Story:
        return self.desk.story(store, self.slug, self.email)

    def _take_story(self, story: Story) -> None:
        self.story = story

    def watch_story(self) -> None:
        """The title and the keys depend on it."""
        if self.story is None:
            return
        from drip.tui.marks import mark, safe

        one = self.story.subscription
        words = mark(one.status.value).append("  ").append(safe(one.email, 60).plain, "bold")
        words.append(f"  {safe(one.name, 40).plain}" if one.name else "").append(f"   in {one.sequence_id}", "dim")
        self.query_one("#title", Line).say(words)
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only what can be done now has a key."""
        if action not in ("message", "pause", "resume", "retry", "skip_wait", "cancel", "suppress", "settle"):
            return True
        if self.story is None:
            return False
        status, one = self.story.subscription.status, self.story.subscription
        return {
            "message": bool(self.story.coming),
            "pause": status is SubscriptionStatus.ACTIVE,
            "resume": status is SubscriptionStatus.PAUSED,
            "retry": status is SubscriptionStatus.FAILED,
            "skip_wait": status is SubscriptionStatus.ACTIVE and one.next_send_at is not None,
            "cancel": status in LIVE,
            "suppress": self.story.suppressed is None,
            "settle": any(delivery.state is DeliveryState.UNKNOWN for delivery in self.story.deliveries.values()),
        }[action]

    @property
    def _doing(self) -> Doing:
        return self.host.doing

    def action_message(self) -> None:
        """Show the next message."""
        if self.story is None or not self.story.coming:
            return
        from drip.tui.dialogs.letter import Letter
        from drip.tui.previewing import views_for

        story, step = self.story, self.story.coming[0].step
        settings, now = self.desk.project.settings, self.desk.clock()
        title = f"{step.key} for {clean(self.email)}"

        def show(views: Views) -> None:
            self.app.push_screen(Letter(title, views))

        self.work("message", lambda: views_for(story, step, settings, now), show)

    def action_pause(self) -> None:
        """Stop their clock."""
        self._doing.pause(self, self.slug, self.email)

    def action_resume(self) -> None:
        """Let it go on."""
        self._doing.resume(self, self.slug, self.email)

    def action_retry(self) -> None:
        """Try again."""
        self._doing.retry(self, self.slug, self.email)

    def action_skip_wait(self) -> None:
        """Make the next step due now."""
        if self.story is not None and self.story.subscription.next_step is not None:
            self._doing.skip_wait(self, self.slug, self.email, self.story.subscription.next_step)

    def action_cancel(self) -> None:
        """End it."""
        self._doing.cancel(self, self.slug, self.email)

    def action_suppress(self) -> None:
        """Never mail them again."""
        self._doing.suppress(self, self.email)

    def action_settle(self, sent: bool) -> None:
        """Say what became of the unknown delivery."""
        if self.story is not None:
            unknown = [one for one in self.story.deliveries.values() if one.state is DeliveryState.UNKNOWN]
            self._doing.settle(self, unknown[0], sent)
