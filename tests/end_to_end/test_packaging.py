"""What a release is made of: complete, installed into an environment of its own with the lowest versions allowed."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

from drip import __version__
from tests.end_to_end.pages import ROOT, play

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist of what git has, and the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("built")
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder / "source")], check=True)
    command = [sys.executable, "-m", "build", "--outdir", str(folder), str(folder / "source")]
    subprocess.run(command, check=True, capture_output=True, timeout=280)
    return folder


def _tracked() -> set[str]:
    done = subprocess.run(["git", "ls-files", "drip"], cwd=ROOT, check=True, capture_output=True, text=True)
    return set(done.stdout.split())


def test_the_wheel_has_every_file_of_the_package_and_the_version(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert _tracked() <= names
    assert {name for name in names if not name.startswith(f"drip-{__version__}.dist-info/")} <= _tracked()
    assert wheel.name == f"drip-{__version__}-py3-none-any.whl"


def test_the_sdist_has_what_a_wheel_is_built_from(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert _tracked() | {"pyproject.toml", "README.md", "LICENSE"} <= names


def test_the_version_is_said_in_one_place() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["dynamic"] == ["version"]
    changes = (ROOT / "CHANGELOG.md").read_text()
    assert "## Unreleased\n" in changes or f"## {__version__} " in changes


def test_it_works_with_the_lowest_versions_that_it_allows(built: Path, tmp_path: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lowest = [wanted.partition(",")[0].replace(">=", "==") for wanted in project["dependencies"]]
    (wheel,) = built.glob("*.whl")
    venv.create(tmp_path / "venv", with_pip=True)
    programs = tmp_path / "venv" / "bin"
    install = [str(programs / "pip"), "install", "--quiet", str(wheel), *lowest]
    done = subprocess.run(install, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    for page in ("first-mail", "api"):
        folder = tmp_path / page
        folder.mkdir()
        code, said = play(page, folder, programs)
        assert code == 0, said
    dashboard = subprocess.run([str(programs / "drip"), "dashboard", "--help"], capture_output=True, check=True)
    assert dashboard.stdout.startswith(b"Usage: drip dashboard")
    load = "import drip.tui.app, drip.api.app, drip.transport.smtp, drip.inbound.dsn"
    subprocess.run([str(programs / "python"), "-c", load], check=True, timeout=60)
