from __future__ import annotations

from tests.cli.conftest import Cli

WITH_TEMPLATE = "name: T\nsteps:\n  - {id: a, delay: 0, template: hello}\n"


def test_what_is_exported_changes_nothing_when_it_is_applied(cli: Cli) -> None:
    text = cli("export", "welcome").stdout
    cli.write("sequences/welcome.yaml", text)
    assert cli.json("plan")["changes"] in (0, [])


def test_the_status_is_that_of_the_database(cli: Cli) -> None:
    cli("status", "welcome", "archived")
    assert "status: archived\n" in cli("export", "welcome").stdout


def test_templates_are_named_and_written_where_they_are_missing(cli: Cli) -> None:
    cli.write("sequences/t.yaml", WITH_TEMPLATE)
    cli.write("sequences/templates/hello.md", "---\nsubject: Hi\n---\nHello.\n")
    cli("apply")
    result = cli("export", "t")
    assert "    template: hello\n" in result.stdout
    assert "it uses hello.md" in result.stderr
    said = cli("export", "t", "--templates", "elsewhere").stderr
    assert said.startswith("made")
    assert (cli.folder / "elsewhere/hello.md").read_text() == '---\nsubject: "Hi"\n---\nHello.\n'
    assert cli("export", "t", "--templates", "elsewhere").stderr.startswith("kept")
    assert cli.json("export", "t")["templates"] == {"hello.md": '---\nsubject: "Hi"\n---\nHello.\n'}


def test_what_does_not_exist(cli: Cli) -> None:
    assert "did you mean 'welcome'" in cli("export", "welcom", code=2).stderr
    cli.write("sequences/t.yaml", WITH_TEMPLATE)
    cli.write("sequences/templates/hello.md", "---\nsubject: Hi\n---\nHello.\n")
    cli("apply")
    assert "can't be written" in cli("export", "t", "--templates", "drip.yaml/x", code=2).stderr
