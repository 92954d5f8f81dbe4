"""The files of a new project, and the project of this repository."""

from __future__ import annotations

from pathlib import Path

import pytest

from drip.core.sequence import SequenceStatus
from drip.errors import Invalid
from drip.files.starter import schema_text, starter_files, write_starter
from tests.files.projects import load

ROOT = Path(__file__).parents[2]


def test_a_new_project_has_nothing_to_complain_about(tmp_path: Path) -> None:
    written = write_starter(tmp_path / "new")
    assert {str(path.relative_to(tmp_path / "new")) for path in written} == set(starter_files())
    assert {".gitignore", "drip.yaml", "sequences/schema.json", "sequences/welcome.yaml"} < set(starter_files())
    files = load(tmp_path / "new")
    assert [str(problem) for problem in files.problems] == []
    (definition,) = files.definitions
    assert len(definition.sequence.steps) == 3
    assert len(files.tests["welcome"]) == 2


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "drip.yaml").write_text("mine")
    (tmp_path / ".gitignore").symlink_to("nowhere")
    written = write_starter(tmp_path)
    assert (tmp_path / "drip.yaml").read_text() == "mine"
    assert (tmp_path / ".gitignore").is_symlink()
    assert {path.name for path in written} == {"schema.json", "welcome.yaml", "first-project.md"}
    assert write_starter(tmp_path) == []
    assert not list(tmp_path.rglob("*.partial"))


def test_a_file_in_the_way_is_said(tmp_path: Path) -> None:
    (tmp_path / "sequences").write_text("")
    with pytest.raises(Invalid, match="can't be written"):
        write_starter(tmp_path)


def test_the_project_of_this_repository() -> None:
    files = load(ROOT)
    assert [str(problem) for problem in files.problems] == []
    assert set(files.paths) >= {"onboarding", "welcome"}
    sequences = {definition.sequence.id: definition.sequence for definition in files.definitions}
    assert sequences["onboarding"].name == "Onboarding - Bienvenida"
    assert [step.template for step in sequences["onboarding"].steps] == ["bienvenida-fc9674", "followup-fc9675"]
    assert [step.delay.days for step in sequences["onboarding"].steps] == [0, 3]
    assert all(sequence.status is SequenceStatus.ACTIVE for sequence in sequences.values())


def test_the_schema_beside_its_sequences_is_todays() -> None:
    assert (ROOT / "sequences" / "schema.json").read_text() == schema_text()
