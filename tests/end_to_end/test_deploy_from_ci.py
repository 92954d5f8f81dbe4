"""The guide page "Deploy from CI" and the hooks for pre-commit: every command and every file in them is tried."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from drip.files.starter import write_starter
from tests.end_to_end.test_readme import ROOT, shell

PAGE = (ROOT / "drip/guide/deploy-from-ci.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    """The blocks of the page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


SHELL = blocks("sh")
PRE_COMMIT, CONFIG, WORKFLOW = blocks("yaml")
SUITE = blocks("python")[0]
HOOKS = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))
JOBS: dict[str, Any] = yaml.safe_load(WORKFLOW)["jobs"]

pytestmark = pytest.mark.slow

GH = """#!/bin/sh
echo "$@" > "$0.said"
cp "$5" "$0.body"
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The starter in git, with the page's drip.yaml."""
    folder = tmp_path / "checkout"
    write_starter(folder)
    (folder / "drip.yaml").write_text(CONFIG)
    git = "git init -q . && git add . && git -c user.name=A -c user.email=a@example.com commit -qm one"
    subprocess.run(["bash", "-c", git], cwd=folder, check=True)
    return folder


def run_job(name: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """The `run:` steps of a job, but for the installation of drip."""
    steps = [step["run"] for step in JOBS[name]["steps"] if "run" in step]
    done: subprocess.CompletedProcess[str] = shell("true", folder)
    for step in steps:
        if not step.startswith("pip install"):
            database = f"sqlite:///{folder.parent}/drip.db"
            done = shell(step, folder, DRIP_DATABASE=database)
            if done.returncode:
                break
    return done


def with_gh(folder: Path) -> Path:
    """A `gh` that keeps what it was told."""
    gh = folder.parent / "bin" / "gh"
    gh.parent.mkdir(exist_ok=True)
    gh.write_text(GH)
    gh.chmod(0o755)
    return gh


def plan(folder: Path) -> tuple[subprocess.CompletedProcess[str], Path]:
    gh = with_gh(folder)
    step = JOBS["plan"]["steps"][-1]["run"]
    database = f"sqlite:///{folder.parent}/drip.db"
    script = f'PATH="{gh.parent}:$PATH"\n{step}'
    return shell(script, folder, DRIP_DATABASE=database, PULL_REQUEST="https://example.com/1"), gh


def test_the_files_are_checked_and_tested(checkout: Path) -> None:
    for block in SHELL[:1]:
        assert shell(block, checkout).returncode == 0
    assert run_job("check", checkout).returncode == 0
    assert (checkout / "drip-tests.xml").is_file()
    assert not (checkout.parent / "drip.db").exists()


def test_a_failing_test_fails_the_job(checkout: Path) -> None:
    path = checkout / "sequences/welcome.yaml"
    path.write_text(path.read_text().replace("delay: 2d", "delay: 3d"))
    assert run_job("check", checkout).returncode == 1


def test_the_plan_becomes_a_comment_and_the_merge_is_applied(checkout: Path) -> None:
    done, gh = plan(checkout)
    assert done.returncode == 0, done.stderr
    assert (gh.parent / "gh.said").read_text() == "pr comment https://example.com/1 --body-file comment.md\n"
    assert "+ welcome   sequences/welcome.yaml" in (gh.parent / "gh.body").read_text()
    assert run_job("apply", checkout).returncode == 0
    said = shell(SHELL[1], checkout, DRIP_DATABASE=f"sqlite:///{checkout.parent}/drip.db").stdout
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=checkout, capture_output=True, text=True, check=True)
    assert commit.stdout[:10] in said
    done, gh = plan(checkout)
    assert done.returncode == 0
    assert "No changes." in (gh.parent / "gh.body").read_text()


def test_a_plan_that_can_not_be_made_fails_the_job(checkout: Path) -> None:
    (checkout / "sequences/welcome.yaml").write_text("name: Welcome\nsteps: 3\n")
    done, gh = plan(checkout)
    assert done.returncode == 1
    assert not (gh.parent / "gh.said").exists()


def test_an_edit_with_people_in_it_is_applied_without_a_question(checkout: Path) -> None:
    database = f"sqlite:///{checkout.parent}/drip.db"
    assert run_job("apply", checkout).returncode == 0
    shell("drip subscribe welcome ada@example.com", checkout, DRIP_DATABASE=database)
    path = checkout / "sequences/welcome.yaml"
    path.write_text(path.read_text().replace("delay: 0", "delay: 1d", 1))
    assert "1 person waits for it" in plan(checkout)[1].parent.joinpath("gh.body").read_text()
    assert run_job("apply", checkout).returncode == 0


def test_the_hooks_are_those_of_the_page_and_run(checkout: Path) -> None:
    wanted = [hook["id"] for repo in yaml.safe_load(PRE_COMMIT)["repos"] for hook in repo["hooks"]]
    assert wanted == [hook["id"] for hook in HOOKS]
    for hook in HOOKS:
        assert (hook["language"], hook["pass_filenames"]) == ("python", False)
        assert shell(hook["entry"], checkout).returncode == 0
        for path in ("drip.yaml", "sequences/welcome.yaml", "sequences/templates/first-project.md"):
            assert re.search(hook["files"], path)


def test_the_suite_of_the_page_passes(checkout: Path) -> None:
    (checkout / "test_mail.py").write_text(SUITE)
    done = shell("python -m pytest -q -p no:cacheprovider -c /dev/null --rootdir .", checkout)
    assert "1 passed" in done.stdout, done.stdout + done.stderr
