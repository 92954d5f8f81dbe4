"""A lab in which somebody has been sent a message, and the mail that comes back about it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from drip.core.reports import NoReport
from drip.core.settings import SmtpSettings
from drip.core.tokens import Purpose, make_token
from drip.engine.people import find_subscription
from drip.engine.reports import Taken, take_in
from drip.inbound.read import Reader, reader_for
from tests.lab import Lab, a_sequence, a_step, open_lab

CORPUS = Path(__file__).parent / "corpus"
EMAIL = "ana@empresa.com"
VERP = "bounces+{token}@miempresa.com"


class PostOffice:
    """Takes in mail of one lab."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.reader: Reader = reader_for(lab.settings)

    def token(self, slug: str = "welcome", email: str = EMAIL, step: str = "one") -> str:
        """Of the delivery of a step."""
        found = find_subscription(self.lab.store, slug, email)
        return make_token(self.lab.store.secret(), Purpose.DELIVERY, found.person.id, found.stored.ids[step])

    def leave_token(self, slug: str = "welcome", email: str = EMAIL) -> str:
        person = find_subscription(self.lab.store, slug, email).person
        return make_token(self.lab.store.secret(), Purpose.UNSUBSCRIBE, person.id)

    def sample(self, name: str, **named: str) -> bytes:
        """A message of the corpus about the first step, or about what is named."""
        given = {"token": self.token(), "leave": self.leave_token(), **named}
        return fill((CORPUS / f"{name}.eml").read_text(), **given)

    def take(self, raw: bytes) -> list[Taken] | NoReport:
        """Take in one message."""
        found = self.reader.read(raw)
        if isinstance(found, NoReport):
            return found
        return take_in(self.lab.store, self.lab.settings, found, self.lab.now)

    def one(self, raw: bytes) -> Taken:
        """Take in one message that is a report about one person."""
        taken = self.take(raw)
        assert isinstance(taken, list), taken
        assert len(taken) == 1, taken
        return taken[0]

    @property
    def suppressed(self) -> dict[str, str]:
        """Address -> reason."""
        return {one.email: one.reason.value for one in self.lab.store.suppressions.list()}

    def status(self, slug: str = "welcome", email: str = EMAIL) -> tuple[str, str | None]:
        """Status and reason of a subscription."""
        found = self.lab.person(email, slug)
        return found.status.value, found.cancel_reason.value if found.cancel_reason else None


def fill(text: str, **named: str) -> bytes:
    """A message of the corpus with its tokens."""
    for name, value in named.items():
        text = text.replace("{" + name + "}", value)
    return text.encode()


@contextmanager
def open_post(folder: Path, **settings: Any) -> Iterator[PostOffice]:
    """A lab in which Ana has the first step of two sequences, and more to come."""
    given = {"smtp": SmtpSettings("localhost", envelope_from=VERP), **settings}
    with open_lab(folder, **given) as lab:
        steps = [a_step("one"), *(a_step(f"step-{number}", "1d") for number in range(2, 9))]
        lab.apply(a_sequence(*steps), a_sequence(a_step("one"), a_step("two", "1d"), id="news"))
        lab.subscribe(EMAIL)
        lab.subscribe(EMAIL, "news")
        lab.tick()
        assert len(lab.transport.sent) == 2
        yield PostOffice(lab)
