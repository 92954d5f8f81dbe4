"""A database of its own on the server that the tests run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from drip.store.invariants import violations
from drip.store.opening import open_url
from drip.store.store import Store
from tests.databases import drop, new_postgres
from tests.lab import Lab, a_sequence, a_step


@pytest.fixture
def url() -> Iterator[str]:
    """A database of its own."""
    made = new_postgres()
    yield made
    drop(made)


@pytest.fixture
def lab(url: str, tmp_path: Path) -> Iterator[Lab]:
    lab = lab_on(url, tmp_path)
    with lab.store.opened():
        lab.apply(a_sequence(a_step("one"), a_step("two", "1d")))
        yield lab
        assert violations(lab.store.database) == []


def lab_on(url: str, folder: Path) -> Lab:
    lab = Lab(folder)
    lab.store = Store(open_url(url), lab.settings)
    return lab


def until(reached: Callable[[], bool]) -> None:
    """Wait for what another connection brings about."""
    for _ in range(24_000):
        if reached():
            return
        threading.Event().wait(0.005)
    raise AssertionError("it did not come about")
