"""What is imported: cron starts drip every minute."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.cli.conftest import Cli

HEAVY = {"jinja2", "yagmail", "rich", "fastapi", "pydantic", "textual", "uvicorn", "httpx"}
LOOK = "import sys, json, atexit; atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr))"


def _modules(*args: str) -> set[str]:
    program = f"{LOOK}; sys.argv = ['drip', *{list(args)!r}]; from drip.cli.main import main; main()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize("option", ["--help", "-h", "--version"])
def test_help_and_version_import_click_alone(option: str) -> None:
    modules = _modules(option)
    ours = {name for name in modules if name.partition(".")[0] == "drip"}
    assert ours == {"drip", "drip.cli", "drip.cli.main", "drip.errors"}
    outside = {name.partition(".")[0] for name in modules} - set(sys.stdlib_module_names) - {"drip", "__main__"}
    assert {name for name in outside if not name.startswith(("_", "sitecustomize"))} == {"click"}


@pytest.mark.parametrize("arguments", [["run", "--once"], ["run", "--once", "--json"], ["-v", "run", "--once"]])
def test_a_run_with_nothing_due_imports_nothing_heavy(cli: Cli, arguments: list[str]) -> None:
    cli("subscribe", "welcome", "ada@example.com", "--at", "2090-01-01T00:00:00Z")
    assert _modules("-C", str(cli.folder), *arguments) & HEAVY == set()


def test_a_run_with_smtp_and_nothing_due_does_not_load_the_mailer(cli: Cli) -> None:
    smtp = "transport: smtp\nsmtp: {host: localhost, port: 2, security: none}\n"
    cli.write("drip.yaml", (cli.folder / "drip.yaml").read_text() + smtp)
    assert _modules("-C", str(cli.folder), "run", "--once") & HEAVY == set()


@pytest.mark.sqlite
@pytest.mark.parametrize("command", ["status", "list"])
def test_a_look_loads_nothing_that_composes_messages(cli: Cli, command: str) -> None:
    modules = _modules("-C", str(cli.folder), command)
    assert modules & (HEAVY - {"rich"}) == set()
    assert {name for name in modules if name.startswith("drip.render")} == set()
    assert modules & {"drip.engine.why", "drip.engine.compose", "drip.engine.stats", "email.utils"} == set()
