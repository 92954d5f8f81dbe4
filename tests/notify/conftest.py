from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from drip.notify.post import HttpPoster
from tests.lab import Lab, open_lab
from tests.notify.receiver import Receiver, receiving


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with open_lab(tmp_path) as lab:
        yield lab


@pytest.fixture
def poster() -> Iterator[HttpPoster]:
    poster = HttpPoster(allow_private=False, seconds=60)
    yield poster
    poster.close()
