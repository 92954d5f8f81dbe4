"""What becomes of templates, statuses and sequences whose files change, go, or meet what the API made."""

from __future__ import annotations

from dataclasses import replace

from drip.core.sequence import Definition, Layout, SequenceStatus, Source, Template
from drip.engine.apply import Origin, apply
from drip.engine.authoring import add_step, create_sequence
from drip.engine.plan import ChangeKind, Incoming, Plan, make_plan
from drip.engine.status import set_status
from tests.lab import Lab, a_sequence, a_step

ADA = "ada@example.com"
ONE, TWO = a_step("one"), a_step("two", "2d")


def test_a_template_alone_makes_a_revision(lab: Lab) -> None:
    sequence = a_sequence(a_step("one", template="hello"))

    def write(text: str) -> None:
        templates = {"hello": Template("hello", text=text)}
        apply(
            *(lab.store, lab.settings, [Incoming(Definition(sequence, templates), "a.yaml")], templates),
            prune=False,
            now=lab.now,
            origin=Origin(),
        )

    write("Hello.")
    write("Hello.")
    write("Hello again.")
    assert [revision.number for revision in lab.store.sequences.revisions(1)] == [2, 1]
    lab.subscribe(ADA)
    lab.tick()
    assert b"Hello again." in lab.transport.sent[0][1]


def test_a_template_of_a_file_makes_a_revision_of_what_the_api_made_with_it(lab: Lab) -> None:
    def do(words: str, layout: str = "<p>{{ content }}</p>") -> Plan:
        templates = {"tips": Template("tips", markdown=words, subject="S")}
        step = a_step("first", template="tips")
        definition = Definition(a_sequence(step, id="files"), templates, {"default": Layout("default", layout)})
        incoming = [Incoming(definition, "sequences/files.yaml")]
        planned = make_plan(lab.store, lab.settings, incoming, templates, prune=False, now=lab.now)
        origin = Origin("Ada", "abc123", dirty=True)
        done = apply(lab.store, lab.settings, incoming, templates, prune=False, now=lab.now, origin=origin)
        assert done == planned
        return planned

    do("Old words.")
    made = create_sequence(lab.store, lab.settings, a_sequence(id="", name="Api"), lab.now, key_id=None)
    add_step(lab.store, lab.settings, made.slug, a_step("", template="tips", position=1), lab.now, key_id=None)
    set_status(lab.store, made.slug, SequenceStatus.ACTIVE, lab.now)
    lab.subscribe("ada@example.com", made.slug)
    assert do("Old words.").changes == 0

    plan = do("New words.")
    assert [str(change) for one in plan.sequences if one.slug == made.slug for change in one.changes] == [
        "template tips changed"
    ]
    stored = lab.store.sequences.by_slug(made.slug)
    assert stored is not None
    assert (stored.revision, stored.source, stored.path) == (3, Source.API, None)
    revision = lab.store.sequences.revisions(stored.id)[0]
    assert (revision.number, revision.author, revision.commit, revision.dirty) == (3, "Ada", "abc123", True)
    lab.tick()
    (content,) = [content for _, content in lab.transport.sent]
    assert b"New words." in content
    assert do("New words.").changes == 0
    assert [str(change) for change in do("New words.", "<b>{{ content }}</b>").sequences[0].changes] == [
        "layout default changed"
    ]


def test_a_status_is_put_back_only_when_the_files_own_has_changed(lab: Lab) -> None:
    sequence = a_sequence(ONE)
    active, draft, archived = SequenceStatus.ACTIVE, SequenceStatus.DRAFT, SequenceStatus.ARCHIVED

    def stands() -> SequenceStatus:
        found = lab.store.sequences.by_slug("welcome")
        assert found is not None
        return found.status

    lab.apply(sequence)
    lab.store.sequences.set_status(1, archived, lab.now)
    (plan,) = lab.apply(sequence).sequences
    assert (plan.drift, plan.status, plan.empty, stands()) == (archived, None, True, archived)
    lab.apply(replace(sequence, steps=(ONE, TWO)))  # other changes leave it too
    assert stands() is archived
    lab.apply(replace(sequence, status=draft))
    assert stands() is draft
    # the file catches up with what a command has set: nothing changes, but it counts as the file's word
    lab.store.sequences.set_status(1, active, lab.now)
    assert lab.apply(replace(sequence, status=active)).changes == 0
    lab.store.sequences.set_status(1, archived, lab.now)
    lab.apply(replace(sequence, status=active))
    assert stands() is archived


def test_a_file_that_is_gone_is_mentioned_and_with_prune_archived_or_deleted(lab: Lab) -> None:
    lab.apply(a_sequence(ONE), a_sequence(ONE, id="empty"), a_sequence(ONE, id="stays"))
    lab.subscribe(ADA)
    plan = lab.apply(a_sequence(ONE, id="stays"))
    assert [(one.slug, one.kind) for one in plan.sequences] == [
        ("empty", ChangeKind.MISSING),
        ("welcome", ChangeKind.MISSING),
    ]
    assert plan.changes == 0
    assert lab.tick().counts["sent"] == 1
    lab.subscribe("bob@example.com")
    plan = lab.apply(a_sequence(ONE, id="stays"), prune=True)
    assert [(one.slug, one.kind, one.affected) for one in plan.sequences] == [
        ("empty", ChangeKind.DELETE, 0),
        ("welcome", ChangeKind.ARCHIVE, 1),
    ]
    assert lab.store.sequences.slugs() == ["stays", "welcome"]
    assert lab.tick().counts == {}
    assert lab.apply(a_sequence(ONE, id="stays"), prune=True).sequences == ()
    # the file comes back, and brings its status with it
    lab.apply(a_sequence(ONE, id="stays"), a_sequence(ONE))
    assert lab.tick().counts["sent"] == 1


def test_what_the_api_made_is_not_missed_and_a_file_of_that_name_takes_it_over(lab: Lab) -> None:
    lab.store.sequences.save(Definition(a_sequence(ONE)), now=lab.now, source=Source.API, key_id="k1")
    assert lab.plan(prune=True).sequences == ()
    (plan,) = lab.apply(a_sequence(ONE)).sequences
    assert [(change.field, change.before, change.now) for change in plan.changes] == [("source", "api", "file")]
    stored = lab.store.sequences.by_slug("welcome")
    assert stored is not None
    assert (stored.source, stored.path) == (Source.FILE, "sequences/welcome.yaml")
    assert lab.plan(a_sequence(ONE)).sequences == ()
