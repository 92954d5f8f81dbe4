"""`preview`: messages as they would be, with nothing kept."""

from __future__ import annotations

import webbrowser
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest

from tests.cli.conftest import WELCOME, Cli

DECLARED = "variables:\n  name: {example: Grace}\n  plan: {default: free}\n"


def test_the_reading_view(files: Cli) -> None:
    files.write("sequences/welcome.yaml", DECLARED + WELCOME)
    said = files("preview", "welcome", "hello").stdout
    assert "From:     Ada <ada@example.com>\n" in said
    assert "Subject:  Hello Grace\n" in said
    assert "\nHi Grace, welcome.\n" in said
    assert "Subject:  Hello Eve\n" in files("preview", "welcome", "hello", "--var", "name=Eve").stdout


def test_a_preview_of_files_makes_no_database(files: Cli) -> None:
    files("preview", "welcome")
    assert not list(files.folder.glob("drip.db*"))


def test_all_steps_or_one_as_json(files: Cli) -> None:
    both = files.json("preview", "welcome")
    assert [one["step"] for one in both] == ["hello", "tips"]
    one = files.json("preview", "welcome", "tips")
    assert (one["subject"], one["to"]) == ("Tips", "ada@example.com")
    assert set(one) == {"step", "from", "to", "reply_to", "subject", "text", "html", "headers"}


def test_as_a_person_of_the_database(ada: Cli) -> None:
    ada("set", "welcome", "ada@example.com", "plan=pro")
    body = "body: Plan {{ plan }}."
    ada.write("sequences/welcome.yaml", DECLARED + WELCOME.replace("body: Three tips.", body))
    found = ada.json("preview", "welcome", "tips", "--as", "ADA@example.com")
    assert found["to"] == "Ada <ada@example.com>"
    assert "Plan pro." in found["text"]
    assert "did you mean" in ada("preview", "welcome", "--as", "adda@example.com", code=2).stderr


def test_parts_and_the_whole(files: Cli) -> None:
    assert "Three tips.</p>" in files("preview", "welcome", "tips", "--html").stdout
    assert files("preview", "welcome", "tips", "--text").stdout.startswith("Three tips.")
    whole = message_from_bytes(files("preview", "welcome", "tips", "--eml").stdout_bytes, policy=default)
    assert (whole["Subject"], whole["From"]) == ("Tips", "Ada <ada@example.com>")
    assert [part.get_content_type() for part in whole.walk()] == ["multipart/alternative", "text/plain", "text/html"]


def test_text_alone_has_no_html(files: Cli) -> None:
    files.write("sequences/plain.yaml", "steps:\n  - {id: a, delay: 0, subject: x, text: only this}\n")
    assert "has no HTML part" in files("preview", "plain", "a", "--html", code=2).stderr


def test_open_shows_it_in_the_browser(files: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    files("preview", "welcome", "tips", "--open")
    page = Path(unquote(urlparse(opened[0]).path))
    assert "Three tips." in page.read_text("utf-8")
    assert not page.is_relative_to(files.folder)


def test_a_file_with_errors_leaves_what_was_applied(cli: Cli) -> None:
    cli.write("sequences/welcome.yaml", "steps: none\n")
    assert cli.json("preview", "welcome", "tips")["subject"] == "Tips"
    cli.write("sequences/other.yaml", "steps: none\n")
    assert "sequences/other.yaml:1:8" in cli("preview", "other", code=2).stderr


def test_names_that_do_not_exist(files: Cli) -> None:
    assert "did you mean 'welcome'?" in files("preview", "welcom", code=2).stderr
    assert "did you mean 'tips'?" in files("preview", "welcome", "tip", code=2).stderr


def test_a_template_that_goes_wrong_is_1(files: Cli) -> None:
    files.write("sequences/bad.yaml", "steps:\n  - {id: a, delay: 0, subject: x, body: '{{ 1 / zero }}'}\n")
    result = files("preview", "bad", "a", "--var", "zero:=0", code=1)
    assert "zero" in result.stderr
    assert "Traceback" not in result.stderr
