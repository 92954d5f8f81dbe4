"""`contacts`: people by themselves; erasing leaves nothing of them but a hash."""

from __future__ import annotations

import hashlib
import re
from contextlib import ExitStack

import pytest

from drip.core.subscription import SuppressionReason
from drip.store.copying import TABLES
from tests.cli.conftest import CONFIG, Cli

HOOKED = CONFIG + "webhooks:\n  - {url: 'http://127.0.0.1:9/', secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw}\n"
FIELDS = {"id", "email", "name", "metadata", "status", "created_at", "updated_at"}
DIGEST = "erased:" + hashlib.sha256(b"ada@example.com").hexdigest()


def dump(cli: Cli) -> str:
    """Every row of every table, octets as text."""
    tables = TABLES
    assert {"contact", "subscription", "delivery", "event", "webhook_delivery", "suppression"} <= set(tables)
    return "\n".join(_words(row) for table in tables for row in cli.sql(f"SELECT * FROM {table}"))


def _words(row: tuple[object, ...]) -> str:
    return " | ".join(cell.decode("utf-8", "replace") if isinstance(cell, bytes) else str(cell) for cell in row)


@pytest.fixture
def people(ada: Cli) -> Cli:
    for name in ("bob", "cy"):
        ada("subscribe", "welcome", f"{name}@example.org", "--name", name.title())
    return ada


def test_the_newest_come_first(people: Cli) -> None:
    assert [one["email"] for one in people.json("contacts", "list")] == [
        "cy@example.org",
        "bob@example.org",
        "ada@example.com",
    ]
    shown = people("contacts", "list", "--limit", "1")
    assert "cy@example.org" in shown.stdout
    assert "bob" not in shown.stdout
    assert "2 more: --limit N shows them" in shown.stderr
    assert [one["name"] for one in people.json("contacts", "list", "--search", "ADA")] == ["Ada"]
    assert people.json("contacts", "list", "--status", "bounced") == []


def test_more_than_a_page(cli: Cli) -> None:
    rows = "email\n" + "".join(f"p{number}@example.com\n" for number in range(2001))
    cli("import", "welcome", "-", stdin=rows)
    assert len(cli.json("contacts", "list")) == 2001
    assert len(cli.json("contacts", "list", "--limit", "1001")) == 1001


def test_a_contact_is_shown_with_the_sequences_they_are_in(people: Cli) -> None:
    found = people.json("contacts", "show", "ADA@example.com")
    assert set(found) == FIELDS
    assert (found["email"], found["name"], found["metadata"], found["status"]) == (
        "ada@example.com",
        "Ada",
        {},
        "active",
    )
    shown = people("contacts", "show", "ada@example.com").stdout
    assert re.search(r"^in welcome +hello, due now$", shown, re.MULTILINE)
    assert "did you mean 'ada@example.com'?" in people("contacts", "show", "adda@example.com", code=2).stderr


def test_a_name_and_variables_are_set_and_removed(people: Cli) -> None:
    changed = people.json("contacts", "set", "ada@example.com", "name=Ada Lovelace", "plan=pro", "seats:=5")
    assert (changed["name"], changed["metadata"]) == ("Ada Lovelace", {"plan": "pro", "seats": 5})
    assert people.json("preview", "welcome", "hello", "--as", "ada@example.com")["subject"] == "Hello Ada Lovelace"
    changed = people.json("contacts", "set", "ada@example.com", "name:=null", "seats:=null")
    assert (changed["name"], changed["metadata"]) == ("", {"plan": "pro"})


@pytest.mark.parametrize("wrong", ["name:=5", "email=eve@example.com", "no value", "9=x"])
def test_what_can_not_be_set(people: Cli, wrong: str) -> None:
    before = people.json("contacts", "show", "ada@example.com")
    people("contacts", "set", "ada@example.com", "plan=pro", wrong, code=2)
    assert people.json("contacts", "show", "ada@example.com") == before


def test_nobody_is_erased_unasked(people: Cli) -> None:
    assert "--yes" in people("contacts", "erase", "ada@example.com", code=1).stderr
    assert "did you mean 'ada@example.com'?" in people("contacts", "erase", "adda@example.com", "--yes", code=2).stderr
    assert len(people.json("contacts", "list")) == 3


@pytest.fixture
def told(empty: Cli) -> Cli:
    """Ada has been mailed, told to a webhook, changed, bounced; Bob as well."""
    empty.write("drip.yaml", HOOKED)
    for name in ("welcome", "other"):
        empty.write(
            f"sequences/{name}.yaml",
            "status: active\nsteps:\n  - {id: a, delay: 0, subject: 'To {{ name }}', body: 'x {{ hobby }}'}\n"
            "  - {id: b, delay: 3d, subject: y, body: y}\n",
        )
    empty("apply")
    for name, email in (("Ada Lovelace", "ada@example.com"), ("Bob", "nada@example.com")):
        for sequence in ("welcome", "other"):
            empty("subscribe", sequence, email, "--name", name, "--var", "hobby=chess-of-" + name[:3])
    empty("run", "--once")
    empty("contacts", "set", "ada@example.com", "city=Marylebone")
    empty("set", "welcome", "ada@example.com", "hobby=whist-of-Ada")
    return empty


NAMES = re.compile(r"(?<!n)ada@example\.com|Lovelace|-of-Ada|Marylebone", re.IGNORECASE)


@pytest.mark.parametrize("reason", [None, "complaint"])
def test_nothing_of_an_erased_person_is_left(told: Cli, reason: str | None) -> None:
    if reason:
        told("suppress", "add", "ada@example.com", "--reason", reason, "--note", "Ada Lovelace phoned")
    before = dump(told)
    assert all(re.search(word, before) for word in ("ada@example.com", "Lovelace", "whist-of-Ada", "Marylebone"))
    assert told.json("contacts", "erase", "ada@example.com", "--yes") == {"erased": True, "suppressed": bool(reason)}
    after = dump(told)
    assert NAMES.findall(after) == []
    assert ("erased:" in after) == bool(reason)
    assert "nada@example.com" in after
    assert after.count("chess-of-Bob") == before.count("chess-of-Bob")
    assert told.json("db", "check") == {"violations": []}


def test_nor_of_the_posts_of_a_sequence_that_was_deleted(told: Cli) -> None:
    with told.project.opened() as store, store.transaction():
        stored = store.sequences.by_slug("other")
        assert stored is not None
        store.erasure.sequence(stored.id)
    posts = told.sql("SELECT body FROM webhook_delivery")
    assert sum(b'"ada@example.com"' in body for (body,) in posts) > sum(
        b'"ada@example.com"' in body and b'"welcome"' in body for (body,) in posts
    )
    others = sum(b'"nada@example.com"' in body for (body,) in posts)
    told("contacts", "erase", "ada@example.com", "--yes")
    assert NAMES.findall(dump(told)) == []
    assert sum(b'"nada@example.com"' in body for (body,) in told.sql("SELECT body FROM webhook_delivery")) == others


def octets(cli: Cli) -> str:
    """All that is in the database's files."""
    return "".join(path.read_bytes().decode("latin-1") for path in sorted(cli.folder.glob("drip.db*")))


@pytest.mark.sqlite
@pytest.mark.parametrize("elsewhere", [False, True], ids=["alone", "beside a worker"])
def test_deleted_rows_are_overwritten_in_the_files(told: Cli, elsewhere: bool) -> None:
    with ExitStack() as stack:
        if elsewhere:  # who has it open keeps the write-ahead log
            stack.enter_context(told.project.opened())
            told("contacts", "set", "ada@example.com", "city=Marylebone-Road")
            assert "Marylebone-Road" in octets(told)
        told("contacts", "erase", "ada@example.com", "--yes")
        assert "nada@example.com" in octets(told)
        assert NAMES.findall(octets(told)) == []


@pytest.mark.sqlite
def test_what_is_still_read_is_told(told: Cli) -> None:
    with told.project.opened() as store:
        with store.database.snapshot():
            assert len(store.database.rows("SELECT * FROM contact")) == 2
            assert "drip.db-wal" in told("contacts", "erase", "ada@example.com", "--yes").stderr
            assert len(store.database.rows("SELECT * FROM contact")) == 2
        assert NAMES.findall(octets(told)) != []
        told("contacts", "erase", "nada@example.com", "--yes")
        assert NAMES.findall(octets(told)) == []


def test_an_erased_and_suppressed_address_stays_out_and_unknown(told: Cli) -> None:
    told("suppress", "add", "ada@example.com", "--reason", "complaint")
    told("contacts", "erase", "ada@example.com", "--yes")
    refused = told("subscribe", "welcome", "Ada@Example.com", code=1)
    assert "suppressed (complaint)" in refused.stderr
    assert told.json("import", "welcome", "-", stdin="email\nada@example.com\n", code=1)["created"] == 0
    assert NAMES.findall(dump(told)) == []
    assert DIGEST in dump(told)
    told("contacts", "erase", "ada@example.com", "--yes", code=2)


def test_who_was_only_suppressed_can_be_erased_too(cli: Cli) -> None:
    cli("suppress", "add", "ada@example.com", "--note", "5.1.1")
    assert cli.json("contacts", "erase", "ada@example.com", "--yes")["suppressed"] is True
    assert NAMES.findall(dump(cli)) == []
    with cli.project.opened() as store:
        kept = store.suppressions.get("ada@example.com")
    assert kept is not None
    assert (kept.email, kept.code, kept.reason) == (DIGEST, "5.1.1", SuppressionReason.MANUAL)


def test_a_message_of_somebody_erased_is_not_explained(told: Cli) -> None:
    delivery = told.sql("SELECT d.id FROM delivery d ORDER BY d.id LIMIT 1")[0][0]
    told("contacts", "erase", "ada@example.com", "--yes")
    assert "ada" not in told("why", str(delivery), code=2).stderr
