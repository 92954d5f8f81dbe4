"""What an edit does to files, sequences and everybody in them; that the plan says so before."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, time, timedelta
from functools import cache
from pathlib import Path

import pytest

from drip.core.difference import EditKind
from drip.core.sequence import Definition, SendWindow, SequenceStatus
from drip.engine import people
from drip.engine.apply import Origin, apply
from drip.engine.plan import ChangeKind, Incoming
from drip.errors import DatabaseUnavailable
from drip.store.invariants import violations
from tests.databases import put_back
from tests.engine.stage import EDITS, NOW, ONE, PLACES, RETRY, THREE, TWO, Place, S, cast, places
from tests.lab import DAY, HOUR, START, Lab, a_sequence, a_step, open_lab, utc

ADA = "ada@example.com"


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with the cast in it, to be copied."""
    folder = tmp_path_factory.mktemp("cast")
    with open_lab(folder) as lab:
        cast(lab)
        lab.store.database.backup_to(folder / "copy.db")
    return folder / "copy.db"


@pytest.fixture
def on_stage(staged: Path, tmp_path: Path) -> Iterator[Lab]:
    """A lab with the cast in it."""
    shutil.copy(staged, tmp_path / "copy.db")
    with open_lab(tmp_path) as lab:
        put_back(lab.store.database, tmp_path / "copy.db")
        lab.now = NOW
        yield lab
        assert violations(lab.store.database) == []


@pytest.fixture(scope="module")
def afterwards(staged: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[str, Place]]:
    """Where everybody is after an edit; each is done once."""

    @cache
    def after(edit: str) -> dict[str, Place]:
        folder = tmp_path_factory.mktemp("edit")
        shutil.copy(staged, folder / "copy.db")
        with open_lab(folder) as lab:
            put_back(lab.store.database, folder / "copy.db")
            lab.now = NOW
            lab.apply(*([] if edit == FILE_GONE else [EDITS[edit][0]]), prune=edit == FILE_GONE)
            return places(lab)

    return after


FILE_GONE = "the file gone"


@pytest.mark.parametrize("name", PLACES)
@pytest.mark.parametrize("edit", [*EDITS, FILE_GONE])
def test_the_table_of_edits_row_by_row_and_state_by_state(
    afterwards: Callable[[str], dict[str, Place]], edit: str, name: str
) -> None:
    moved = EDITS[edit][1] if edit in EDITS else {}
    status, step, due = afterwards(edit)[name]
    wanted = moved.get(name, PLACES[name])
    assert (status, step) == wanted[:2]
    assert due == wanted[2] or (wanted[2] == RETRY and isinstance(due, datetime) and due < NOW + DAY)


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_moves_everybody_as_the_table_says_and_plan_has_said_so(on_stage: Lab, edit: str) -> None:
    lab, (after, moved) = on_stage, EDITS[edit]
    retry = lab.person("deferred@example.com").next_send_at
    before = places(lab)
    assert before == {name: (*place[:2], retry if place[2] == RETRY else place[2]) for name, place in PLACES.items()}
    planned = lab.plan(after)
    assert places(lab) == before
    done = lab.apply(after)
    assert done == planned
    assert places(lab) == {**before, **moved}
    assert planned.affected == len(moved)
    assert lab.plan(after).sequences == ()


@pytest.mark.parametrize("edit", EDITS)
def test_whatever_was_edited_nobody_has_a_step_twice_and_everybody_gets_on(on_stage: Lab, edit: str) -> None:
    lab, (after, _) = on_stage, EDITS[edit]
    had = {
        (delivery.email, delivery.step)
        for name in PLACES
        for delivery in lab.store.deliveries.of_subscription(lab.person(f"{name}@example.com").id)
        if delivery.state in ("sent", "unknown")
    }
    lab.apply(after)
    lab.move("3h")
    for _ in range(30):
        lab.move("1d")
        lab.tick()
        assert lab.tick().counts == {}
    sent = [(envelope.recipient, _subject(content)) for envelope, content in lab.transport.sent]
    assert len({envelope.token for envelope, _ in lab.transport.sent}) == len(sent)
    if edit != "an id changed":  # there the same words are another step
        assert len(sent) == len(set(sent))
        assert not had & set(sent)
    still = {name for name in PLACES if lab.person(f"{name}@example.com").status is S.ACTIVE}
    assert still == ({"unknown"} if after.steps else {"before", "waiting", "past", "deferred", "unknown"})


def _subject(content: bytes) -> str:
    line = next(line for line in content.split(b"\r\n") if line.startswith(b"Subject: "))
    return line.removeprefix(b"Subject: Subject of ").decode()


def test_the_plan_counts_people_step_by_step(on_stage: Lab) -> None:
    after = a_sequence(ONE, a_step("new", "1d"), replace(TWO, delay=5 * DAY), a_step("end"))
    (plan,) = on_stage.plan(after).sequences
    assert (plan.kind, plan.people) == (ChangeKind.CHANGE, 7)
    counts = {step.edit.key: (step.edit.kind, step.people) for step in plan.steps}
    assert set(counts) == {"new", "two", "end", "three"}
    kind, new = counts["new"]
    assert kind is EditKind.ADDED
    # before, waiting, paused and deferred get it; past, failed and unknown are past it
    assert (new.will_get, new.never) == (4, 3)
    _, two = counts["two"]
    # deferred had one two days ago: a day later is long past
    assert (two.waiting, dict(two.go_on_to), two.due_now) == (5, {"new": 3}, 1)
    kind, three = counts["three"]
    assert kind is EditKind.REMOVED
    assert (three.waiting, dict(three.go_on_to)) == (1, {"end": 1})


def test_a_renamed_step_is_said_to_be_removed_and_added(on_stage: Lab) -> None:
    (plan,) = on_stage.plan(EDITS["an id changed"][0]).sequences
    assert [(step.edit.key, step.edit.kind, step.edit.renamed_to) for step in plan.steps] == [
        ("deux", EditKind.ADDED, None),
        ("two", EditKind.REMOVED, "deux"),
    ]


def test_a_step_that_was_removed_and_added_again_is_not_sent_again(on_stage: Lab) -> None:
    lab = on_stage
    lab.apply(a_sequence(ONE, THREE))
    lab.apply(a_sequence(ONE, TWO, THREE))
    # past had two; failed had tried it, and is not where it was any more
    assert lab.person("past@example.com").next_step == "three"
    assert lab.person("waiting@example.com").next_step == "two"
    assert lab.person("failed@example.com").next_step == "three"


def test_the_position_of_the_last_step_handled_follows_edits(on_stage: Lab) -> None:
    lab = on_stage

    def positions() -> list[int]:
        return [lab.person(f"{name}@example.com").current_step for name in ("before", "waiting", "past", "completed")]

    assert positions() == [0, 1, 2, 3]
    lab.apply(a_sequence(a_step("zero"), ONE, TWO, THREE))
    assert positions() == [0, 2, 3, 4]
    lab.apply(a_sequence(TWO, THREE))  # one is gone: nothing of today's is behind who had only that
    assert positions() == [0, 0, 1, 2]


def test_a_message_that_becomes_due_at_once_is_announced(on_stage: Lab) -> None:
    lab = on_stage
    after = a_sequence(ONE, replace(TWO, delay=timedelta(0)), THREE)
    (plan,) = lab.plan(after).sequences
    assert (plan.due_now, plan.affected) == (1, 2)  # waiting; the paused one moves, but is not due
    (step,) = plan.steps
    assert (step.people.due_now, step.people.earlier, step.people.unchanged) == (1, 2, 3)
    lab.apply(after)
    assert lab.tick().counts["sent"] == 1


def test_a_sequence_that_is_activated_makes_its_overdue_steps_due(lab: Lab) -> None:
    draft = a_sequence(ONE, status=SequenceStatus.DRAFT)
    lab.apply(draft)
    lab.subscribe(ADA)
    lab.subscribe("later@example.com", started_at=START + 9 * DAY)
    lab.move("1d")
    (plan,) = lab.plan(replace(draft, status=SequenceStatus.ACTIVE)).sequences
    assert (plan.status, plan.due_now, plan.affected) == ((SequenceStatus.DRAFT, SequenceStatus.ACTIVE), 1, 1)
    lab.apply(replace(draft, status=SequenceStatus.ACTIVE))
    assert lab.tick().counts == {"sent": 1, "completed": 1}


def test_edits_of_a_draft_move_its_people_and_make_nothing_due(lab: Lab) -> None:
    draft = a_sequence(replace(ONE, delay=DAY), status=SequenceStatus.DRAFT)
    lab.apply(draft)
    lab.subscribe(ADA)
    plan = lab.apply(replace(draft, steps=(ONE,)))
    assert (plan.due_now, plan.affected) == (0, 1)
    assert lab.person(ADA).next_send_at == START


def test_a_zone_moves_those_without_their_own(lab: Lab) -> None:
    sequence = a_sequence(a_step("one", "1d", at=time(9)))
    lab.apply(sequence)
    lab.subscribe(ADA)
    lab.subscribe("own@example.com", variables={"timezone": "Asia/Tokyo"})
    own = lab.person("own@example.com").next_send_at
    plan = lab.apply(replace(sequence, timezone="America/New_York"))
    assert plan.affected == 1
    assert lab.person(ADA).next_send_at == START + DAY + 5 * HOUR
    assert lab.person("own@example.com").next_send_at == own


def test_who_waited_for_a_window_is_freed_when_it_is_taken_away(lab: Lab) -> None:
    sequence = a_sequence(a_step("one", send_window=SendWindow(opens=time(9), closes=time(10))))
    lab.apply(sequence)
    lab.subscribe(ADA)
    lab.now = utc("2026-03-02T20:00")
    assert lab.tick().counts == {"deferred": 1}
    plan = lab.apply(a_sequence(ONE))
    assert plan.due_now == 1
    assert lab.tick().counts["sent"] == 1


def test_unchanged_files_make_no_revision_and_no_event(on_stage: Lab) -> None:
    lab, events = on_stage, on_stage.events()
    plan = lab.apply(a_sequence(ONE, TWO, THREE))
    assert (plan.changes, plan.sequences) == (0, ())
    stored = lab.store.sequences.by_slug("welcome")
    assert stored is not None
    assert (stored.revision, lab.events()) == (1, events)


def test_content_makes_a_revision_that_says_where_it_comes_from_and_moves_nobody(on_stage: Lab) -> None:
    lab, before = on_stage, places(on_stage)
    after = a_sequence(ONE, replace(TWO, text="New words."), THREE)
    apply(
        *(lab.store, lab.settings, [Incoming(Definition(after), "sequences/welcome.yaml")], {}),
        prune=False,
        now=lab.now,
        origin=Origin("ana", "abc123", dirty=True),
    )
    newest = lab.store.sequences.revisions(1)[0]
    assert (newest.number, newest.author, newest.commit, newest.dirty) == (2, "ana", "abc123", True)
    assert places(lab) == before
    lab.move("2d")
    lab.tick()
    assert b"New words." in next(c for e, c in lab.transport.sent if e.recipient == "waiting@example.com")


def test_what_is_not_agreed_to_is_not_done_and_a_change_in_between_is_asked_again(on_stage: Lab) -> None:
    lab, before = on_stage, places(on_stage)
    after = [Incoming(Definition(a_sequence(replace(ONE, delay=DAY))), "sequences/welcome.yaml")]
    rest = {"prune": False, "now": lab.now, "origin": Origin()}
    assert apply(lab.store, lab.settings, after, {}, agree=lambda plan: False, **rest) is None  # type: ignore[arg-type]
    assert places(lab) == before
    asked = []

    def agree(plan: object) -> bool:
        asked.append(plan)
        if len(asked) == 1:
            lab.subscribe("new@example.com")
        return True

    done = apply(lab.store, lab.settings, after, {}, agree=agree, **rest)  # type: ignore[arg-type]
    assert len(asked) == 2
    assert done == asked[1] != asked[0]


def test_people_who_get_on_while_the_plan_is_read_are_no_reason_to_ask_again(on_stage: Lab) -> None:
    lab = on_stage
    after = [Incoming(Definition(a_sequence(ONE)), "sequences/welcome.yaml")]
    asked = []

    def agree(plan: object) -> bool:
        asked.append(plan)
        people.cancel(lab.store, "welcome", "waiting@example.com", lab.now)
        return True

    done = apply(*(lab.store, lab.settings, after, {}), agree=agree, prune=False, now=lab.now, origin=Origin())
    assert done is not None
    assert len(asked) == 1
    assert done.affected == 4


@pytest.mark.parametrize("method", ["reschedule", "complete", "drop_deferred_passed"])
def test_an_error_in_the_middle_leaves_everything_as_it_was(
    on_stage: Lab, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    lab, before, events = on_stage, places(on_stage), on_stage.events()

    def fail(*args: object) -> None:
        raise DatabaseUnavailable("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(lab.store.subscriptions, method, fail)
        with pytest.raises(DatabaseUnavailable):
            lab.apply(a_sequence(a_step("other"), id="other"), a_sequence(ONE))
    assert lab.store.sequences.slugs() == ["welcome"]
    assert (places(lab), lab.events()) == (before, events)
    lab.apply(a_sequence(a_step("other"), id="other"), a_sequence(ONE))
    assert lab.store.sequences.slugs() == ["other", "welcome"]
