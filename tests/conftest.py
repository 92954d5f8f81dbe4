"""What every test needs, whoever started pytest."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Every module is compiled once, not in each of the hundreds of processes that tests start, whatever the machine says.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# Those processes write and stop as they do in a shell, also where this one was started in the background.
os.environ.pop("PYTHONUNBUFFERED", None)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A commit is right or wrong whoever asks, however slow the machine: the examples of a property follow from its source.
settings.register_profile(
    "drip", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
# To find what these do not: `--hypothesis-profile search`, with other examples each time.
settings.register_profile("search", settings.get_profile("drip"), derandomize=False, print_blob=True)
settings.register_profile("thorough", settings.get_profile("search"), max_examples=2000)
settings.load_profile("drip")


def pytest_configure() -> None:
    """Put this Python's `drip` and `python` in front: the README calls `.venv/bin/python`, nothing is activated."""
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is about SQLite alone, where the tests are run on another database."""
    if os.environ.get("DRIP_TEST_DATABASE", "sqlite") == "sqlite":
        return
    config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("sqlite")])
    items[:] = [item for item in items if not item.get_closest_marker("sqlite")]


@pytest.fixture(autouse=True)
def _databases(request: pytest.FixtureRequest) -> Iterator[None]:
    """On PostgreSQL: a test's databases go when it ends."""
    folder = request.getfixturevalue("tmp_path") if "tmp_path" in request.fixturenames else None
    yield
    if folder is not None and "tests.databases" in sys.modules:
        sys.modules["tests.databases"].forget(folder)
