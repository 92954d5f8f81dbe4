from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from drip.store.invariants import violations
from tests.lab import Lab, open_lab


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """A lab whose database must be legal at the end of the test, whatever was done in it."""
    with open_lab(tmp_path) as lab:
        yield lab
        assert violations(lab.store.database) == []
