"""Projects on disk, made from the texts of their files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

from drip.core.settings import Settings
from drip.errors import FilesInvalid, Problem, Severity
from drip.files.config import load_settings
from drip.files.sequences import ProjectFiles, load_project_files

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
FROM = "from: Ana <ana@example.com>\n"
CONFIG = "from: Ana <ana@example.com>\nbase_url: https://mail.example.com\npostal_address: 1 Example Street\n"


def write(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write the files, and a drip.yaml and a folder of sequences where they have none."""
    (folder / "sequences").mkdir(parents=True, exist_ok=True)
    for name, content in {"drip.yaml": CONFIG, **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else dedent(content).encode())
    return folder


def settings(folder: Path, text: str, environ: Mapping[str, str] | None = None) -> Settings:
    """What a drip.yaml of that text says."""
    return load_settings(write(folder, {"drip.yaml": text}) / "drip.yaml", environ or {})


def load(folder: Path, environ: Mapping[str, str] | None = None) -> ProjectFiles:
    """Everything that the project's files say."""
    return load_project_files(load_settings(folder / "drip.yaml", environ or {}))


def problems(folder: Path, environ: Mapping[str, str] | None = None) -> tuple[Problem, ...]:
    """All problems of a project, also when drip.yaml can't be used."""
    try:
        return load(folder, environ).problems
    except FilesInvalid as error:
        return error.problems


def errors(found: tuple[Problem, ...]) -> list[Problem]:
    """The errors among the problems."""
    return [problem for problem in found if problem.severity is Severity.ERROR]


def place(problem: Problem) -> str:
    """`path:line:column`, or `path` without a line."""
    return f"{problem.path}:{problem.line}:{problem.column}" if problem.line else problem.path


def step(*lines: str) -> str:
    """A sequence of one step with these lines after its delay."""
    return "steps:\n- id: a\n  delay: 0\n" + "".join(f"  {line}\n" for line in lines)


X = "sequences/x.yaml"
BODY = step("subject: Hi", "body: Hello")
"""The file `X` at its shortest."""
