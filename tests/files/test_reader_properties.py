"""The reader is given anything at all: it answers with a value or with problems, soon, and never raises."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drip.core.address import Address
from drip.core.settings import Settings
from drip.errors import FilesInvalid
from drip.files.config import load_settings
from drip.files.document import Document
from drip.files.sequences import load_project_files
from drip.files.tree import ListNode, MappingNode, Scalar, Style, resolve
from tests.files.test_config import ENVIRON, WHOLE
from tests.files.test_sequences import FILES, ONBOARDING

PIECES = [
    "a", "steps", "delay", "0", "3d", ":", ": ", "- ", "[", "]", "{", "}", ",", "'", '"', "|", ">", "\n", "\n  ",
    "\t", "#", "&a", "*a", "!!int", "!x", "?", "%TAG", "---", "...", "\r\n", "\ufeff", "\x85", "\u2028", "<<",
    "${A}", "${", "{{ x }}", "{% if %}", "9" * 30, ".nan", "null", "true", "\\", "~", "@", "`", "é", "\U0001f600", "\0",
]  # fmt: skip
YAML = st.lists(st.sampled_from(PIECES), max_size=40).map("".join)


def check_document(raw: bytes) -> None:
    """Reading gives a tree, or says why not, and every problem has its place in the file."""
    document = Document("x.yaml")
    root = document.read(raw)
    lines = raw.count(b"\n") + raw.count(b"\r") + raw.count(b"\xe2\x80") + raw.count(b"\xc2\x85") + 2
    for problem in document.problems:
        assert 0 <= problem.line <= lines
        assert problem.column >= 0
        assert problem.message
    assert root is None or isinstance(root, (Scalar, ListNode, MappingNode))


@given(st.binary(max_size=200))
def test_any_octets_are_read_or_refused_in_words(raw: bytes) -> None:
    check_document(raw)


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_in_words(text: str) -> None:
    check_document(text.encode("utf-8", "surrogatepass"))


@given(YAML)
@settings(max_examples=500)
def test_anything_like_yaml(text: str) -> None:
    check_document(text.encode())


@given(st.text(max_size=30))
def test_any_scalar_has_one_type(text: str) -> None:
    try:
        value = resolve(Scalar(text, Style.PLAIN, 1, 1, 1))
    except ValueError:
        return
    assert value is None or isinstance(value, (str, bool, int, float))


@given(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False)
    )
)
def test_json_scalars_are_read_back(value: object) -> None:
    assert resolve(Scalar(json.dumps(value), Style.PLAIN, 1, 1, 1)) == value


def project(folder: Path) -> Settings:
    return Settings(
        folder=folder,
        path=folder / "drip.yaml",
        sender=Address("ana@example.com"),
        project="x",
        base_url="https://a.b",
        sequences=folder / "sequences",
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    for name, content in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return folder


def sequence_is_read_or_refused(folder: Path, raw: bytes) -> bool:
    """Whether it gives a definition, or problems of which one is an error; not both, and nothing is raised."""
    (folder / "sequences" / "onboarding.yaml").write_bytes(raw)
    files = load_project_files(project(folder))
    failed = any(problem.severity == "error" for problem in files.problems)
    return failed == (not files.definitions)


def config_is_read_or_refused(path: Path) -> bool:
    """Whether it gives settings that can be used, or problems that each say what and in which file."""
    try:
        return "@" in load_settings(path, ENVIRON).sender.email
    except FilesInvalid as error:
        told = [problem for problem in error.problems if problem.message and problem.path == "drip.yaml"]
        return bool(told) and len(told) == len(error.problems)


CHUNKS = 8


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_a_sequence_file_cut_off_anywhere(folder: Path, chunk: int) -> None:
    raw = ONBOARDING.encode()
    for length in range(chunk, len(raw), CHUNKS):
        assert sequence_is_read_or_refused(folder, raw[:length])


def test_a_drip_yaml_cut_off_anywhere(tmp_path: Path) -> None:
    raw = WHOLE.encode()
    path = tmp_path / "drip.yaml"
    for length in range(len(raw)):
        path.write_bytes(raw[:length])
        assert config_is_read_or_refused(path)


EDITS = st.lists(
    st.tuples(st.integers(0, 4000), st.integers(0, 12), st.sampled_from([*PIECES, ""])), min_size=1, max_size=4
)


def edited(text: str, edits: list[tuple[int, int, str]]) -> bytes:
    for at, length, piece in edits:
        at %= len(text) + 1
        text = text[:at] + piece + text[at + length :]
    return text.encode()


@given(EDITS)
@settings(max_examples=150, deadline=None)
def test_a_sequence_file_with_anything_in_it(folder: Path, edits: list[tuple[int, int, str]]) -> None:
    assert sequence_is_read_or_refused(folder, edited(ONBOARDING, edits))


@given(EDITS)
@settings(max_examples=200, deadline=None)
def test_a_drip_yaml_with_anything_in_it(
    tmp_path_factory: pytest.TempPathFactory, edits: list[tuple[int, int, str]]
) -> None:
    path = tmp_path_factory.getbasetemp() / "drip.yaml"
    path.write_bytes(edited(WHOLE, edits))
    assert config_is_read_or_refused(path)


@given(YAML)
@settings(max_examples=200, deadline=None)
def test_a_sequence_file_of_pieces(folder: Path, text: str) -> None:
    assert sequence_is_read_or_refused(folder, text.encode())


MEGABYTE = 1024 * 1024
LARGE = {
    "brackets": "'[' * M",
    "braces": "'{' * M",
    "dashes": "'- ' * (M // 2)",
    "questions": "'? ' * (M // 2)",
    "list": "'[' + 'a,' * (M // 2 - 1) + ']'",
    "keys": "''.join(f'k{n}: {n}\\n' for n in range(70000))",
    "duplicates": "'a: 1\\n' * (M // 5)",
    "unknown keys": "''.join(f'nam{n}: \\n' for n in range(45000))",
    "tag directives": "''.join(f'%TAG !a{n}! x\\n' for n in range(50000)) + '--- a'",
    "aliases": "'[' + '*a,' * (M // 3 - 1) + ']'",
    "anchors": "'- &a\\n' * (M // 5)",
    "one long name": "'name: ' + 'x' * (M - 7)",
    "digits": "'stale_after: ' + '9' * (M - 20)",
    "escapes": "'name: \"' + '\\\\\\\\n' * (M // 4) + '\"'",
    "empty lines": "'\\n' * M",
    "empty steps": "'steps:\\n' + '- {}\\n' * (M // 5 - 2)",
}


@pytest.mark.parametrize("text", LARGE.values(), ids=LARGE.keys())
def test_a_megabyte_of_anything_takes_two_seconds_and_200_mb(tmp_path: Path, text: str) -> None:
    code = f"""
import resource
from pathlib import Path
from drip.core.address import Address
from drip.core.settings import Settings
from drip.files.sequences import load_project_files
M = {MEGABYTE}
folder = Path({str(tmp_path)!r})
(folder / "sequences").mkdir()
(folder / "sequences" / "x.yaml").write_text(({text})[:M])
settings = Settings(folder, folder / "drip.yaml", Address("a@example.com"), "x", sequences=folder / "sequences")
before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
load_project_files(settings)
took = resource.getrusage(resource.RUSAGE_SELF).ru_utime - before
assert took < 2, took
# Not ru_maxrss: exec keeps the peak of the process that forked, here pytest's.
peak = next(int(line.split()[1]) for line in Path("/proc/self/status").open() if line.startswith("VmHWM"))
assert peak < 200 * 1024, peak
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
