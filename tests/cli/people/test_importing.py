"""`import`: files as people really have them."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import pytest

from drip.cli.people import csv_file
from drip.cli.people.csv_file import LONGEST_FIELD, MOST_LINES, BadRow, Row, read_people
from drip.errors import Invalid
from tests.cli.conftest import Cli


def _read(content: str | bytes) -> list[Row | BadRow]:
    return list(read_people(io.BytesIO(content.encode() if isinstance(content, str) else content)))


def test_created_existing_and_refused_with_line_numbers(ada: Cli) -> None:
    ada("suppress", "add", "never@example.com")
    people = (
        "email,name,started_at,plan\n"
        "bob@example.com,Bob,2026-03-27T09:30:00Z,pro\n"
        "ada@example.com,Ada,,\n"
        "nobody,,,\n"
        "\n"
        "never@example.com,,,\n"
        "eve@example.com,,tomorrow,\n"
        "BOB@example.com,,,\n"
    )
    path = ada.write("people.csv", people)
    trial = ada.json("import", "welcome", str(path), "--dry-run", code=1)
    assert len(ada.json("subscribers")) == 1
    report = ada.json("import", "welcome", "people.csv", code=1)
    assert trial == report
    assert (report["created"], report["existing"]) == (1, 2)
    assert [(row["line"], row["code"]) for row in report["refused"]] == [
        (4, "invalid_field"),
        (6, "contact_suppressed"),
        (7, "invalid_field"),
    ]
    bob = ada.json("subscriber", "welcome", "bob@example.com")
    assert (bob["name"], bob["started_at"], bob["variables"]) == ("Bob", "2026-03-27T09:30:00.000Z", {"plan": "pro"})


def test_the_report_in_words(cli: Cli) -> None:
    result = cli("import", "welcome", "-", stdin="email\na@example.com\nnobody\n", code=1)
    assert result.stdout.startswith("created 1, existing 0, refused 1\ninvalid_field: 1\n  line 3: 'nobody' is not")
    assert cli("import", "welcome", "-", stdin="email\na@example.com\n").stdout == "created 0, existing 1, refused 0\n"


def test_a_dry_run_says_so_and_changes_nothing(cli: Cli) -> None:
    result = cli("import", "welcome", "-", "--dry-run", stdin="email\na@example.com\n")
    assert result.stdout == "created 1, existing 0, refused 0\n"
    assert "nothing was changed" in result.stderr
    assert cli.json("subscribers") == []
    assert "subscribed" not in cli("log").stdout


def test_many_people_in_batches(cli: Cli) -> None:
    people = "email\n" + "".join(f"p{number}@example.com\n" for number in range(2500)) + "p1@example.com\n"
    for options in (["--dry-run"], []):
        report = cli.json("import", "welcome", "-", *options, stdin=people)
        assert (report["created"], report["existing"], report["refused"]) == (2500, 1, [])


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "bom"])
def test_delimiters_line_ends_and_byte_order_marks(delimiter: str, end: str, mark: bytes) -> None:
    rows = [["Email ", "NAME", "city"], ["a@example.com", '"Ada, L; ""x"""', "Köln"], ["b@example.com", "", ""]]
    content = mark + end.join(delimiter.join(row) for row in rows).encode()
    assert _read(content) == [
        Row(2, "a@example.com", 'Ada, L; "x"', None, {"city": "Köln"}),
        Row(3, "b@example.com"),
    ]


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ("x@example.com,A\0da,", "control character, U+0000"),
        ("x@example.com,A\x1b[31mda,", "control character, U+001B"),
        ("x@example.com,,bell\x07", "plan has a control character"),
        ('x@example.com,"two\nlines",', "name has a control character"),
        ("x@example.com,,a,b", "it has 4 fields, the header 3"),
        (f"x@example.com,,{'x' * (LONGEST_FIELD + 1)}", "longer than"),
        (f"x@example.com,,{'x' * 200_000}", "field larger than field limit"),
        ('"x@example.com,,', "a quote is not closed"),
        ('"x"y@example.com,,', "behind a closing quote"),
        (",Nobody,", "it has no email"),
        ("   ,Nobody,", "it has no email"),
    ],
)
def test_one_bad_row_stops_no_other(bad: str, why: str) -> None:
    first, wrong, last = _read(f"email,name,plan\na@example.com,Ada,\n{bad}\nb@example.com,Bob,pro\n")
    assert isinstance(first, Row)
    assert isinstance(wrong, BadRow)
    assert (wrong.line, why in wrong.message) == (3, True), wrong.message
    assert last == Row(3 + bad.count("\n") + 1, "b@example.com", "Bob", None, {"plan": "pro"})


def test_a_row_that_is_not_utf_8_is_alone() -> None:
    first, wrong, last = _read(b"email,name\na@example.com,Ada\nb@example.com,Jos\xe9\nc@example.com,Zo\xc3\xab\n")
    assert (first.email, last) == ("a@example.com", Row(4, "c@example.com", "Zoë"))
    assert isinstance(wrong, BadRow)
    assert "not UTF-8" in wrong.message


def test_a_quote_never_closed_does_not_swallow_a_long_file() -> None:
    people = "".join(f"p{number}@example.com,\n" for number in range(3 * MOST_LINES))
    rows = _read(f'email,name\nx@example.com,"\n{people}')
    assert isinstance(rows[0], BadRow)
    assert len(rows) == 1 + 3 * MOST_LINES
    assert rows[-1] == Row(2 + 3 * MOST_LINES, f"p{3 * MOST_LINES - 1}@example.com")


def test_lines_inside_of_quotes_are_counted() -> None:
    first, second = _read('email,note\na@example.com,"one\ntwo"\nb@example.com,x\n')
    assert (first.line, second.line) == (2, 4)
    assert isinstance(first, Row)
    assert first.variables == {"note": "one\ntwo"}


@pytest.mark.parametrize(
    ("content", "why", "hint"),
    [
        ("", "the file is empty", "email, name"),
        ("name,plan\n", "no column `email`", "columns"),
        ("e-mail,plan\n", "no column `email`", "'e-mail'"),
        ("email,plan,plan\n", "'plan' is there twice", ""),
        ("email,first name\n", "'first name' can't be a variable", "first_name"),
        (b"\xff\xfee\0m\0", "UTF-16", "UTF-8"),
        (b"email,na\xefve\n", "not UTF-8", "UTF-8"),
        ('"email\n', "a quote is not closed", ""),
    ],
)
def test_a_header_that_can_not_be_used(cli: Cli, content: str | bytes, why: str, hint: str) -> None:
    with pytest.raises(Invalid) as caught:
        _read(content)
    assert why in caught.value.message
    assert hint in (caught.value.hint or "")
    cli("import", "welcome", "-", stdin=content, code=2)


def test_empty_columns_of_a_spreadsheet_are_left_out() -> None:
    assert _read("email,name,,\na@example.com,Ada,,\n,,,\n") == [Row(2, "a@example.com", "Ada")]


def test_a_usual_row_is_recognised_at_a_glance_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    characters = [chr(code) for code in (*range(0x2100), *range(0xDC80, 0xDD00)) if chr(code) != '"']
    rows = [
        [*["a@b", "c", "d", "e"][:place], f"x{one}", *["f", "g", "h"][place:]]
        for one in characters
        for place in range(4)
    ]
    rows += [
        ["", "c", "d", "e"],
        [" ", "c", "d", "e"],
        ["a@b", "c"],
        ["c"] * 5,
        ["a@b", "c", "d", "x" * (LONGEST_FIELD + 1)],
    ]
    rows += [["a@b", *["x" * (LONGEST_FIELD // 2)] * 3]]
    lines = "\r\n".join(",".join(f'"{cell}"' for cell in row) for row in rows)
    content = f"email,name,plan,note\r\n{lines}".encode("utf-8", "surrogateescape")
    glanced = _read(content)
    monkeypatch.setattr(csv_file, "_UNUSUAL", re.compile(""))  # finds something in every row
    assert _read(content) == glanced
    assert len(glanced) == len(rows)
    assert {type(row) for row in glanced[-6:-2]} == {BadRow, Row}


def test_a_dry_run_knows_who_came_in_an_earlier_batch(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drip.cli.people.importing.BATCH", 2)
    people = "email\nada@example.com\nbob@example.com\nADA@example.com\neve@example.com\neve@example.com\n"
    for arguments in (["--dry-run"], []):
        found = cli.json("import", "welcome", "-", *arguments, stdin=people)
        assert (found["created"], found["existing"], found["refused"]) == (3, 2, [])


def test_an_unknown_sequence_is_said_before_reading(cli: Cli) -> None:
    assert "did you mean 'welcome'?" in cli("import", "welcom", "nowhere.csv", code=2).stderr


@pytest.mark.parametrize("name", ["nowhere.csv", "sequences"])
def test_a_file_that_can_not_be_read(cli: Cli, name: str) -> None:
    assert f"{name} can't be read" in cli("import", "welcome", name, code=2).stderr


def test_what_was_exported_is_imported_again(ada: Cli, tmp_path: Path) -> None:
    exported = ada("suppress", "export").stdout
    assert exported == "email,reason,note,added_at\n"
    ada("suppress", "add", "ada@example.com", "--reason", "complaint", "--note", "=cmd|'/c calc'!A1")
    exported = ada("suppress", "export").stdout
    assert "'=cmd" in exported
    report: dict[str, Any] = ada.json("suppress", "import", "-", stdin=exported)
    assert report == {"added": 0, "existing": 1, "refused": []}
