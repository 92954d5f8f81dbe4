"""The fixture `drip`, as an application's own suite uses it: another pytest, in a project of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from drip.files.starter import write_starter

SUITE = """
import pytest
from drip.errors import NotFound, Refused


def test_who_signs_up_is_welcomed_at_once(drip):
    [mail] = drip.subscribe("welcome", "ada@example.com", name="Ada")
    assert (mail.step, mail.to, mail.subject) == ("welcome", "ada@example.com", "Welcome, Ada: start here")
    assert "Create your first project" in mail.text
    assert "https://app.example.com/projects/new" in mail.html
    assert mail.message["List-Unsubscribe"]
    assert drip.outbox == [mail]


def test_time_passes_as_the_test_says(drip):
    drip.subscribe("welcome", "ada@example.com")
    assert drip.advance("1d") == []
    assert [(mail.step, mail.at.isoformat()) for mail in drip.advance("30d")] == [
        ("first-project", "2026-01-07T10:00:00+00:00"),
        ("how-is-it-going", "2026-01-12T10:00:00+00:00"),
    ]
    assert drip.now.isoformat() == "2026-02-05T09:00:00+00:00"
    assert drip.subscription("welcome", "ada@example.com").status == "completed"


def test_variables_decide(drip):
    drip.subscribe("welcome", "ada@example.com", variables={"plan": "pro"})
    drip.advance("30d")
    assert [mail.step for mail in drip.outbox] == ["welcome", "first-project"]


def test_nothing_is_left_from_other_tests(drip):
    assert drip.outbox == []
    assert drip.advance("365d") == []


def test_mistakes_are_told(drip):
    with pytest.raises(NotFound, match="welcom"):
        drip.subscribe("welcom", "ada@example.com")
    with pytest.raises(Refused):
        drip.subscribe("welcome", "not an address")
    with pytest.raises(ValueError, match="unit"):
        drip.advance("3")
    with pytest.raises(NotFound):
        drip.subscription("welcome", "ada@example.com")
"""


@pytest.fixture
def application(tmp_path: Path) -> Path:
    """A repository with mail in a folder of its own, and a suite."""
    write_starter(tmp_path / "mail")
    (tmp_path / "pytest.ini").write_text("[pytest]\ndrip_project = mail\nfilterwarnings = error\n")
    (tmp_path / "test_mail.py").write_text(SUITE)
    return tmp_path


def run_suite(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:hypothesispytest"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)


def test_an_application_tests_its_mail(application: Path) -> None:
    done = run_suite(application)
    assert "5 passed" in done.stdout, done.stdout + done.stderr
    assert not list(application.glob("**/drip.db*"))
    assert not (application / "mail" / "outbox").exists()


def test_files_with_errors_fail_with_their_places(application: Path) -> None:
    (application / "mail/sequences/welcome.yaml").write_text("name: Welcome\nsteps: 3\n")
    done = run_suite(application)
    assert "5 errors" in done.stdout
    assert "sequences/welcome.yaml:2" in done.stdout
