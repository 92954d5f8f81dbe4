"""What comes of the README's commands; that all of its blocks are tried is seen to by `test_pages`."""

from __future__ import annotations

import mailbox
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
SHELL = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
YAML = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)


def shell(script: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a block as it stands, with this Python's `drip` in front."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-euc", script],
        cwd=folder,
        env={**os.environ, "PATH": path, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def subjects(outbox: Path) -> list[str]:
    """Of the messages in a Maildir, in any order."""
    return sorted(str(message["Subject"]) for message in mailbox.Maildir(outbox, create=False))


@pytest.mark.slow
def test_the_first_command_ends_with_mail_in_the_outbox(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    done = shell(SHELL[0], clone)
    assert done.returncode == 0, done.stderr
    assert subjects(clone / "outbox") == ["Welcome, Ada: start here"]


def test_the_second_command_is_what_ci_runs() -> None:
    run = (ROOT / ".ci" / "run").read_text("utf-8")
    command = SHELL[1].strip()
    assert command.endswith(".venv/bin/python -m pytest")
    assert command in run


def test_the_five_minutes_end_with_mail_in_the_outbox(tmp_path: Path) -> None:
    done = shell(SHELL[2], tmp_path)
    assert done.returncode == 0, done.stderr
    assert subjects(tmp_path / "newsletter" / "outbox") == ["Welcome, You: start here"]


def test_real_mail_is_tried_with_those_settings(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "sequences", tmp_path / "sequences")
    (tmp_path / "drip.yaml").write_text(YAML[0].replace("smtp.your-provider.example", "127.0.0.1"), "utf-8")
    done = shell(f"drip apply --yes\n{SHELL[3]}", tmp_path, SMTP_PASSWORD="not yet")
    # no server is there: the last command says so, names the host, and asks to try again later
    assert done.returncode == 3
    assert "127.0.0.1:587" in done.stderr


def test_its_links_lead_somewhere() -> None:
    links = re.findall(r"\]\((?!https?://)([^)#]+)\)", README)
    assert "drip/guide/dashboard.svg" in links
    assert [link for link in links if not (ROOT / link).exists()] == []
