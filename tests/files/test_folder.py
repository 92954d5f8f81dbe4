"""Which files of a project are sequences: names, links, and what is no file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.files.projects import BODY, CONFIG, X, errors, load, problems, write


def test_sequences_are_sorted_by_id(tmp_path: Path) -> None:
    files = {f"sequences/{name}.yaml": BODY for name in ("b", "a", "a-b", "c0")} | {"sequences/d.yml": BODY}
    ids = [definition.sequence.id for definition in load(write(tmp_path, files)).definitions]
    assert ids == ["a", "a-b", "b", "c0", "d"]


def test_other_files_are_not_read(tmp_path: Path) -> None:
    files = {
        X: BODY,
        "sequences/schema.json": "{",
        "sequences/README.md": "{{",
        "sequences/.hidden.yaml": "x",
        "sequences/sub/y.yaml": "x",
        "sequences/x.yaml~": "x",
    }
    loaded = load(write(tmp_path, files))
    assert (loaded.problems, list(loaded.paths)) == ((), ["x"])


BAD_NAMES = [
    ("sequences/Onboarding.yaml", "rename it to onboarding.yaml"),
    ("sequences/my_mails.yml", "rename it to my-mails.yml"),
    ("sequences/-a.yaml", "rename it to a.yaml"),
    ("sequences/é.yaml", "(rename it to how-is-it-going.yaml)"),
    ("sequences/x.YAML", "the suffix must be written .yaml"),
]


@pytest.mark.parametrize(("name", "fragment"), BAD_NAMES)
def test_a_name_that_is_no_id(tmp_path: Path, name: str, fragment: str) -> None:
    (problem,) = problems(write(tmp_path, {name: BODY}))
    assert problem.path == name
    assert fragment in str(problem)


def test_two_files_of_one_id(tmp_path: Path) -> None:
    (problem,) = problems(write(tmp_path, {X: BODY, "sequences/x.yml": BODY}))
    assert str(problem) == "sequences/x.yml:1:1: x.yaml has the same id (keep one of them, or rename one)"


def test_what_is_no_file(tmp_path: Path) -> None:
    write(tmp_path, {})
    (tmp_path / "sequences" / "a.yaml").mkdir()
    os.mkfifo(tmp_path / "sequences" / "b.yaml")
    (tmp_path / "sequences" / "c.yaml").symlink_to("nowhere.yaml")
    assert [str(problem) for problem in problems(tmp_path)] == [
        "sequences/a.yaml:1:1: it is a folder, not a file",
        "sequences/b.yaml:1:1: it is not a file",
        "sequences/c.yaml:1:1: it is a link to a file that does not exist",
    ]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    write(tmp_path, {X: BODY})
    (tmp_path / X).chmod(0)
    assert "permission denied" in str(problems(tmp_path)[0])


def test_links_out_of_the_project_are_refused(tmp_path: Path) -> None:
    outside = tmp_path / "secret.yaml"
    outside.write_text(BODY)
    project = write(tmp_path / "project", {"shared/y.yaml": BODY})
    (project / "sequences" / "x.yaml").symlink_to(outside)
    (project / "sequences" / "y.yaml").symlink_to("../shared/y.yaml")
    loaded = load(project)
    assert [str(problem).partition(" (")[0] for problem in loaded.problems] == [
        "sequences/x.yaml:1:1: it is a link that leads out of the project's folder"
    ]
    assert [definition.sequence.id for definition in loaded.definitions] == ["y"]


@pytest.mark.parametrize("inner", ["sequences", "sequences/templates"])
def test_folders_that_lead_out_are_refused(tmp_path: Path, inner: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x.yaml").write_text(BODY)
    project = tmp_path / "project"
    (project / inner).parent.mkdir(parents=True)
    (project / inner).symlink_to(outside)
    (project / "drip.yaml").write_text(CONFIG)
    assert any("leads out of the project" in str(problem) for problem in errors(problems(project)))


def test_no_folder_of_sequences(tmp_path: Path) -> None:
    write(tmp_path, {})
    (tmp_path / "sequences").rmdir()
    assert [str(problem) for problem in problems(tmp_path)] == [
        "sequences:1:1: there is no such folder (drip.yaml names it as `sequences`)"
    ]


def test_the_folder_may_be_the_projects_own(tmp_path: Path) -> None:
    loaded = load(write(tmp_path, {"drip.yaml": CONFIG + "sequences: .\n", "x.yaml": BODY, "templates/a.md": "x"}))
    assert (loaded.problems, dict(loaded.paths), set(loaded.templates)) == ((), {"x": "x.yaml"}, {"a"})


def test_a_folder_elsewhere_that_drip_yaml_names(tmp_path: Path) -> None:
    project = write(tmp_path / "project", {"drip.yaml": CONFIG + "sequences: ../mails\n"})
    (tmp_path / "mails").mkdir()
    (tmp_path / "mails" / "x.yaml").write_text(BODY)
    assert [definition.sequence.id for definition in load(project).definitions] == ["x"]
