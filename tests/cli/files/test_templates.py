"""`templates`: what steps share, and which do."""

from __future__ import annotations

from tests.cli.conftest import Cli

FILES = {
    "sequences/templates/hello.md": "---\nsubject: Hello\n---\nHi {{ name }} {% include 'sign' %}\n",
    "sequences/templates/sign.md": "Yours\n",
    "sequences/templates/spare.md": "Nobody's\n",
    "sequences/a.yaml": "steps:\n  - {id: one, delay: 0, template: hello}\n"
    "  - {id: two, delay: 1d, subject: x, body: \"{% include 'sign' %}\"}\n",
}


def test_templates_and_where_they_are_used(files: Cli) -> None:
    for name, text in FILES.items():
        files.write(name, text)
    found = {one["id"]: one for one in files.json("templates")}
    assert {name: [(use["sequence_id"], use["step"]) for use in one["used_by"]] for name, one in found.items()} == {
        "hello": [("a", "one")],
        "sign": [("a", "one"), ("a", "two")],
        "spare": [],
    }
    assert (found["hello"]["subject"], found["hello"]["source"]) == ("Hello", "file")
    assert not list(files.folder.glob("drip.db*"))
    assert "a one, a two" in files("templates").stdout


def test_what_was_applied_counts_where_a_file_is_wrong(files: Cli) -> None:
    for name, text in FILES.items():
        files.write(name, text)
    files("apply")
    files.write("sequences/a.yaml", "steps: none\n")
    result = files("templates")
    assert "a one, a two" in result.stdout
    assert "`drip check`" in result.stderr


def test_without_templates_that_is_said(files: Cli) -> None:
    assert files.json("templates") == []
    assert "sequences/templates" in files("templates").stderr
