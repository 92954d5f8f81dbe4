"""`check`, `schema`, and where a project is found."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.cli.conftest import Cli


def test_check_is_quiet_about_what_is_good(files: Cli) -> None:
    result = files("check")
    assert (result.stdout, result.stderr) == ("", "1 sequence file: no problems\n")
    assert files.json("check") == {"problems": []}


def test_a_wrong_drip_yaml_hides_no_problem_of_a_sequence(empty: Cli) -> None:
    empty.write("drip.yaml", "transprt: smtp\n")
    empty.write("sequences/a.yaml", "name: A\nfrom: Ada <ada@other.example>\nstatus: actve\nsteps: []\n")
    problems = empty.json("check", code=1)["problems"]
    assert [(problem["path"], problem["where"]) for problem in problems if problem["severity"] == "error"] == [
        ("drip.yaml", "transprt"),
        ("drip.yaml", "from"),
        ("sequences/a.yaml", "status"),
    ]
    assert not any("authorised" in problem["message"] for problem in problems)
    assert "no such key" in empty("plan", code=2).stderr


def test_check_reports_every_problem_at_its_place(files: Cli) -> None:
    files.write("sequences/bad.yaml", "name: Bad\nstatus: actve\nsteps:\n  - {id: a, delay: 3, subject: x, body: y}\n")
    result = files("check", code=1)
    assert "sequences/bad.yaml:2:9: status:" in result.stdout
    assert "sequences/bad.yaml:4:20: steps[0].delay:" in result.stdout
    assert result.stderr == "2 sequence files: 2 errors\n"
    problems = files.json("check", code=1)["problems"]
    assert [problem["line"] for problem in problems] == [2, 4]
    assert set(problems[0]) == {"path", "line", "column", "severity", "where", "message", "hint"}
    assert {problem["severity"] for problem in problems} == {"error"}


def test_warnings_alone_are_no_failure(empty: Cli) -> None:
    empty.write("sequences/a.yaml", "name: A\nsteps:\n  - {delay: 0, subject: x, body: y}\n")
    assert "warning" in empty("check").stdout
    assert empty.json("check")["problems"][0]["severity"] == "warning"


def test_what_gmail_would_clip_is_seen_with_the_layout_and_its_css_in_place(empty: Cli) -> None:
    """Neither the layout nor the body is over 102 KB; 1,500 cells with a style each are."""
    style = (
        "<style>td { color: #123456; padding: 10px; font-family: Georgia, serif; border: 1px solid #dddddd }</style>"
    )
    empty.write(
        "sequences/templates/layouts/wide.html", f"<html><head>{style}</head><body>{{{{ content }}}}</body></html>"
    )
    cells = "<tr><td>cell</td></tr>" * 1500
    step = "steps:\n  - {{id: one, delay: 0, subject: S, html: '<p>Hi</p>{}'}}\n"
    empty.write("sequences/long.yaml", "name: L\nlayout: wide\n" + step.format(f"<table>{cells}</table>"))
    empty.write("sequences/short.yaml", "name: S\nlayout: wide\n" + step.format(""))
    found = [one for one in empty.json("check")["problems"] if "more than 102" in one["message"]]
    assert [(one["path"], one["where"], one["severity"]) for one in found] == [
        ("sequences/long.yaml", "steps[0]", "warning")
    ]


def test_a_broken_drip_yaml_is_a_problem_like_any_other(empty: Cli) -> None:
    empty.write("drip.yaml", "from: nobody\n")
    assert empty.json("check", code=1)["problems"][0]["path"] == "drip.yaml"


def test_a_template_that_does_not_compile_is_found(empty: Cli) -> None:
    empty.write("sequences/a.yaml", "steps:\n  - {id: a, delay: 0, subject: x, body: '{{ name'}\n")
    assert "sequences/a.yaml:2" in empty("check", code=1).stdout


@pytest.mark.parametrize(
    ("body", "layout", "words"),
    [
        ("<p class='a' class='{{ plan }}'>x</p>", "{{ content }}", "{{ plan }} can't stand there"),
        ("{% block a %}x{% endblock %}", "{% block a %}{% endblock %}{{ content }}", "block 'a' defined twice"),
        ("<p>x</p>", "{{ content | trim }}", "layout 'plain' has no {{ content }}"),
    ],
)
def test_what_could_be_sent_to_nobody_is_found_before_it_is_applied(
    files: Cli, body: str, layout: str, words: str
) -> None:
    """Each part can be read by itself; only all together can't be made into a message."""
    files("apply", "--yes")
    files.write("sequences/templates/layouts/plain.html", layout)
    files.write(
        "sequences/bad.yaml",
        "name: Bad\nstatus: active\nlayout: plain\nsteps:\n"
        f'  - {{id: a, delay: 0, subject: x, text: y}}\n  - {{id: b, delay: 0, subject: x, html: "{body}"}}\n',
    )
    (problem,) = [one for one in files.json("check", code=1)["problems"] if one["severity"] == "error"]
    assert words in problem["message"]
    assert (problem["path"], problem["line"], problem["where"]) == ("sequences/bad.yaml", 6, "steps[1]")
    for command in ("plan", "apply"):
        assert "sequences/bad.yaml:6:5: steps[1]: " in files(command, code=2).stderr
    assert "bad" not in files("list").stdout


def test_no_files_are_a_beginning(empty: Cli) -> None:
    assert "`drip init` writes an example" in empty("check").stderr
    assert "`drip init` writes an example" in empty("plan").stderr
    assert "`drip init` writes an example" in empty("apply").stderr


@pytest.mark.parametrize("options", [[], ["--config"], ["--json"], ["--config", "--json"]])
def test_schemas_are_json_schemas(tmp_path: Path, options: list[str]) -> None:
    schema = json.loads(Cli(tmp_path)("schema", *options).stdout)
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert ("transport" in schema["properties"]) == ("--config" in options)


def test_the_config_option_takes_another_file(files: Cli, tmp_path: Path) -> None:
    files.write("other/live.yaml", "from: Live <live@example.com>\nsequences: ../sequences\n")
    files("--config", "other/live.yaml", "apply")
    assert (files.folder / "other" / "drip.db").exists()
    assert not (files.folder / "drip.db").exists()


def test_a_project_is_found_from_inside_of_it(cli: Cli) -> None:
    done = subprocess.run(
        ["drip", "list", "--json"], cwd=cli.folder / "sequences", capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)[0]["id"] == "welcome"
    assert not list((cli.folder / "sequences").glob("*.db"))
