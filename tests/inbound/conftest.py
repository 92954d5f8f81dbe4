from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.inbound.post import PostOffice, open_post


@pytest.fixture
def post(tmp_path: Path) -> Iterator[PostOffice]:
    """Ana has had a message; what comes back is to be taken in."""
    with open_post(tmp_path) as post:
        yield post
