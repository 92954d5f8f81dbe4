"""README and the manual as tests see them: blocks in order, and what is done with each.

Everything in a block of `sh` is run, what is in one of `yaml` is read by drip, `python` is run. A comment before a
block, which a reader does not see, says what else is to be done with it:

    <!-- start: empty -->         of the page: it begins in an empty folder, not in a project that is applied
    <!-- write: PATH -->          the block is a file, which later blocks use
    <!-- module: NAME.py -->      the block is a module that a test of its own imports
    <!-- exit: 3 -->              the last command exits with that
    <!-- in the background -->    it goes on while the rest of the page runs, and listens on port 8025
    <!-- environment: NAME -->    Python is given that variable of the shell
    <!-- not drip's: WHAT -->     YAML of another program: it is only parsed
    <!-- not run: WHY -->         the syntax is looked at, and that drip has the commands and options in it
"""

from __future__ import annotations

import base64
import json
import os
import re
import shlex
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "drip" / "guide"
PAGES = {"README": ROOT / "README.md", **{path.stem: path for path in sorted(GUIDE.glob("*.md"))}}

_BLOCK = re.compile(
    r"(?:^<!-- (?P<say>[^\n]+?) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE
)
_START = re.compile(r"^<!-- start: (\w+) -->$", re.MULTILINE)
_PLACE = "127.0.0.1:8025"
_SMTP_HOST = re.compile(r"\bsmtp\.[a-z-]+\.example\b")


SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
"""What a secret of a webhook may be."""


@dataclass(frozen=True)
class Block:
    """One block of a page."""

    page: str
    line: int
    """Where its fence is, from 1."""
    language: str
    text: str
    say: str
    """The words of the comment before it; empty without one."""

    def said(self, name: str) -> str | None:
        """What follows a word of the comment; None when it is not there."""
        word, _, rest = self.say.partition(":")
        return rest.strip() if word == name else None

    @property
    def id(self) -> str:
        """`templates:12`."""
        return f"{self.page}:{self.line}"


def blocks(page: str) -> list[Block]:
    """The blocks of a page, in order."""
    text = PAGES[page].read_text("utf-8")
    return [
        Block(
            page, text.count("\n", 0, found.start("language")) + 1, found["language"], found["text"], found["say"] or ""
        )
        for found in _BLOCK.finditer(text)
    ]


def begins_empty(page: str) -> bool:
    """Whether the page's first block makes what it needs."""
    found = _START.search(PAGES[page].read_text("utf-8"))
    return found is not None and found[1] == "empty"


def script(page: str, port: int) -> str:
    """The page as one script for bash, which stops where something is not as the page says."""
    lines = ["set -euo pipefail", "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT"]
    if not begins_empty(page):
        lines.append("{ drip init . && drip apply --yes; } >/dev/null 2>&1")
    for block in blocks(page):
        lines += [f"echo '--- {block.id}' >&2", *_run(block)]
    return "\n".join(lines).replace(_PLACE, f"127.0.0.1:{port}") + "\n"


def play(page: str, folder: Path, programs: Path) -> tuple[int, str]:
    """Type what a page tells, in a new folder, with the `drip` of one environment; 0 where all is as it says, and the
    words that were said.

    Args:
        programs: the folder of that `drip` and its `python`.
    """
    here = folder / "here"
    here.mkdir()
    environment = {
        **os.environ,
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder),
        "DRIP_WEBHOOK_SECRET": SECRET,
        "GIT_CONFIG_GLOBAL": os.devnull,
    }
    exports = "".join(f"export {name}\n" for block in blocks(page) if (name := block.said("environment")))
    said = folder / "said"
    with said.open("w") as file:
        done = subprocess.run(
            ["bash", "-c", exports + script(page, _free_port())],
            cwd=here,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            timeout=200,
            check=False,
        )
    return done.returncode, said.read_text()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _run(block: Block) -> list[str]:
    path = block.said("write") or block.said("module")
    if path is not None:
        # Nobody is asked who does not exist.
        text = _SMTP_HOST.sub("127.0.0.1", block.text)
        folder = f"mkdir -p {shlex.quote(str(Path(path).parent))}"
        return [folder, f"cat > {shlex.quote(path)} <<'END OF FILE'", text + "END OF FILE"]
    if block.said("not run") is not None or block.language not in ("sh", "python"):
        return []
    if block.language == "python":
        return ["python - <<'END OF FILE'", block.text + "END OF FILE"]
    if block.say == "in the background":
        wait = f"timeout 60 bash -c 'until curl --silent --fail http://{_PLACE}/healthz; do sleep 0.1; done' >/dev/null"
        return [f"(exec {block.text.strip()}) &", wait]
    code = block.said("exit")
    if code is None:
        return [block.text]
    *before, last = block.text.strip().splitlines()
    return [*before, f"{last} && code=0 || code=$?", f'test "$code" -eq {code}']


def commands(text: str) -> list[list[str]]:
    """What calls drip in a block, as arguments: lines of a shell, of cron, of systemd, of a Dockerfile."""
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        if line.startswith("CMD ["):
            found.append(json.loads(line.removeprefix("CMD ")))
        elif not line.startswith("Description=") and not re.search(r"\b(install|docker|COPY)\b", line):
            call = re.search(r"(?:^|[\s/=$(`])drip ((?:-[Cv]\b|[a-z-]+\b)[^|&;<`)]*)", line.partition(" #")[0])
            found += [shlex.split(re.sub(r"\s\d?>.*", "", call[1]))] if call is not None else []
    return found


def kind_of(document: Any) -> str:
    """What a block of YAML is a part of: `config`, `sequence`, `steps`, or `unknown`."""
    from drip.files.schema import sequence_schema
    from drip.files.schema_config import config_schema

    if isinstance(document, list):
        return "steps"
    keys = set(document) if isinstance(document, dict) else {""}
    if keys <= set(config_schema()["properties"]):
        return "config"
    return "sequence" if keys <= set(sequence_schema()["properties"]) else "unknown"
