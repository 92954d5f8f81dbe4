"""Rows 9 and 10: who has opted out gets nothing more, whatever happens at the same time or later."""

from __future__ import annotations

import re
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from unittest.mock import patch

import httpx
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from drip.core.moments import to_milliseconds
from drip.core.subscription import SuppressionReason
from drip.core.tokens import Purpose, make_token
from drip.engine.keys import create_key
from drip.engine.records import Claim
from drip.engine.suppress import suppress
from drip.store.claims import Claims
from tests.engine.test_opt_out_properties import OptOuts
from tests.faults.processes import PATIENCE, Child
from tests.faults.registry import Case, Control, Figures, Row
from tests.faults.rows.overlap import no_fence
from tests.faults.trial import SEQUENCE, Trial, a_trial, run_drip

DUE = 30
TWO_STEPS = SEQUENCE + '  - {id: two, delay: 0, subject: "And again, {{ name }}", text: "Hello again."}\n'


def opt_out_trial(case: Case) -> Figures:
    """Everybody opts out, one after the other, by every way there is, while two messages for each are going out."""
    random = case.random
    connections = random.randint(1, 4)
    with a_trial(case, due=DUE, sequence=TWO_STEPS, connections=connections, latency=0.004) as one:
        leaving = Leaving(one)
        worker = one.start()
        people = random.sample(range(DUE), DUE)
        told = {}
        for number in people:
            time.sleep(random.random() * 0.3 / connections / DUE * 8)
            email = f"p{number}@example.com"
            random.choice(leaving.ways)(number, email)
            told[email] = (time.time(), one_marked(one, email))
        code = worker.wait()
        leaving.end()
        figures = Figures(trials=1, faults=len(told))
        figures.breach(code not in (0, 3), one.errors.read_text())
        one.finish()
        messages = one.messages()
        total = Counter(message.recipients[0] for message in messages)
        for email, (moment, marked) in told.items():
            late = [message for message in messages if message.recipients[0] == email and message.time > moment]
            figures.breach(total[email] > marked, f"{email}: marked after the opt-out ({total[email]} of {marked})")
            figures.breach(len(late) > 1, f"{email}: {len(late)} messages after the opt-out")
            figures.counts["late"] += len(late)
        twice = [key for key, count in Counter((m.message_id, m.recipients) for m in messages).items() if count > 1]
        figures.duplicates = len(twice)
        figures.breach(bool(twice), f"mailed twice: {twice[:3]}")
        one.look_over(figures)
    return figures


def one_marked(one: Trial, email: str) -> int:
    """How many of a person's messages have been marked so far; the opt-out is committed when this is asked."""
    with one.project().opened() as store:
        return int(
            store.database.value(
                "SELECT COUNT(*) FROM delivery d JOIN subscription s ON s.id = d.subscription_id"
                " JOIN contact c ON c.id = s.contact_id"
                " WHERE c.email = ? AND d.state IN ('sending', 'sent', 'unknown')",
                email,
            )
        )


class Leaving:
    """Every way to opt out, beside a running API."""

    def __init__(self, one: Trial) -> None:
        self._one = one
        with one.project().opened() as store:
            self._secret = store.secret()
            key = create_key(store, "trial", datetime.now(UTC)).secret
        self._server = run_drip(one, "serve", "127.0.0.1:0")
        port = _port(one, self._server)
        headers = {"Authorization": f"Bearer {key}"}
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=30)
        self.ways: list[Callable[[int, str], None]] = [
            self.one_click,
            self.page,
            self.api,
            self.complaint,
            self.command,
        ]

    def one_click(self, number: int, email: str) -> None:
        """What the mailbox's own button does."""
        self._post(f"/u/{self._token(number)}", data={"List-Unsubscribe": "One-Click"})

    def page(self, number: int, email: str) -> None:
        """The page's button for everything."""
        self._post(f"/u/{self._token(number)}", data={"scope": "all"})

    def api(self, number: int, email: str) -> None:
        """The application's own request."""
        self._post("/v1/suppressions", json={"email": email})

    def command(self, number: int, email: str) -> None:
        """The operator's command."""
        code = run_drip(self._one, "suppress", "add", email).wait()
        assert code == 0, self._one.errors.read_text()

    def complaint(self, number: int, email: str) -> None:
        """What a complaint does."""
        with self._one.project().opened() as store:
            suppress(store, email, SuppressionReason.COMPLAINT, datetime.now(UTC))

    def end(self) -> None:
        """End the API."""
        self._client.close()
        self._server.kill()

    def _token(self, number: int) -> str:
        return make_token(self._secret, Purpose.UNSUBSCRIBE, number + 1)

    def _post(self, path: str, **content: object) -> None:
        answer = self._client.post(path, **content)  # type: ignore[arg-type]
        assert answer.status_code in (200, 201, 303), (path, answer.status_code, answer.text[:200])


def _port(one: Trial, server: Child) -> int:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and server.poll() is None:
        found = re.search(
            r"listening on http://127\.0\.0\.1:(\d+)", one.errors.read_text() if one.errors.exists() else ""
        )
        if found:
            return int(found[1])
        time.sleep(0.01)
    raise AssertionError(f"the API did not start: {one.errors.read_text()}")


EXAMPLES = 25
"""Runs of the state machine in a trial."""


def opt_out_machine(case: Case) -> Figures:
    """Random sequences of everything that writes: who opted out stays out."""
    figures = Figures(trials=1, faults=EXAMPLES)
    machine = seed(case.random.getrandbits(64))(type("Seeded", (OptOuts,), {}))
    try:
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=EXAMPLES,
                stateful_step_count=30,
                deadline=None,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            ),
        )
    except AssertionError as error:
        undone = OptOuts.who_opted_out_stays_out.__name__ in traceback.format_exc()
        figures.breaches.append(f"{'an opt-out was undone' if undone else 'illegal'}: {str(error)[:300]}")
    figures.checked = EXAMPLES
    return figures


@contextmanager
def whole_rows() -> Iterator[None]:
    """A worker saves the row as it was when it was read, as `save()` of all columns does."""

    def release(self: Claims, worker_id: int, claims: Iterable[Claim]) -> None:
        for claim in claims:
            self._database.run(
                "UPDATE subscription SET status = 'active', cancel_reason = NULL, cancelled_at = NULL, owner = NULL,"
                " next_step_id = ?, next_send_at = ? WHERE id = ?",
                *(claim.step_id, to_milliseconds(claim.due_at), claim.subscription_id),
            )

    with patch.object(Claims, "release", release):
        yield


ROWS = [
    Row(
        number=9,
        promise="An opt-out holds from the moment it is confirmed",
        fault="one-click, page, API, command, complaint, at random moments of a running send",
        ci=500,
        release=10_000,
        unit="opt-outs",
        per_trial=DUE,
        trial=opt_out_trial,
        databases=("sqlite", "postgresql"),
        promised=("sqlite", "postgresql"),
        control=Control("looks at consent before the claim only", no_fence, within=5, shows="marked after"),
    ),
    Row(
        number=10,
        promise="An opt-out is never undone by the program",
        fault="random sequences of subscribe, re-subscribe, apply, edits, retry, resolve, late answers, dead workers",
        ci=1000,
        release=10_000,
        unit="runs",
        per_trial=EXAMPLES,
        trial=opt_out_machine,
        control=Control("saves all columns", whole_rows, within=8, shows="undone"),
    ),
]
