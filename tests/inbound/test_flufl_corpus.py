"""The corpus that flufl.bounce is developed with: bounces of many servers since 2000, with whom each is about."""

from __future__ import annotations

import ast
import subprocess
import sys
import tarfile
from importlib.metadata import version
from pathlib import Path

import pytest

from drip.core.reports import Report, ReportKind
from drip.inbound.read import Reader


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The source of the version that is installed: the corpus is in no wheel."""
    wanted = f"flufl.bounce=={version('flufl.bounce')}"
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
    subprocess.run([*pip, "--dest", str(tmp_path), wanted], check=True, timeout=300)
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        opened.extractall(tmp_path, filter="data")
    return archive.with_name(archive.name.removesuffix(".tar.gz")) / "tests"


def expectations(source: Path) -> list[tuple[str, set[str], bool]]:
    """(file, whom it is about, whether only for now), as its own tests have them."""
    module = ast.parse((source / "test_detectors.py").read_text())
    table = next(
        node.value
        for node in module.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "DETECTORS"
    )
    rows = ast.literal_eval(table)
    return [(name, {who.decode().lower() for who in people}, soft) for _, name, people, soft in rows if people]


@pytest.mark.slow
def test_most_of_it_is_understood_and_nothing_is_made_worse(source: Path) -> None:
    reader, understood, right, rows = Reader(None), 0, 0, expectations(source)
    for name, people, soft in rows:
        found = reader.read((source / "data" / name).read_bytes())
        if not isinstance(found, Report):
            continue
        understood += 1
        right += {(finding.address or "").lower() for finding in found.findings} == people
        if soft:
            assert found.kind is not ReportKind.HARD, name
    shares = f"{understood} of {len(rows)} understood, {right} with exactly the right people"
    assert len(rows) >= 90, shares
    assert understood / len(rows) >= 0.95, shares
    assert right / len(rows) >= 0.9, shares
    print(shares)
