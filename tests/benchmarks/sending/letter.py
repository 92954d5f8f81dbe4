"""The message of the benchmarks: about 5 KB with text and HTML, with a name and a plan filled in."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

from drip.engine.apply import Origin, apply
from drip.engine.subscribe import Request, subscribe_many
from drip.project import open_project

_PERSONAL = "You are on the {plan} plan, {name}, and this is what is new for you."
_WORDS = "This paragraph is the same for everybody, and is here so that the message has a length that is usual today."

SEQUENCE = """
name: Benchmark
status: active
steps:
  - id: only
    delay: 0
    subject: "News for {{ name }}"
    template: letter
"""


def html(name: str, plan: str) -> str:
    """The HTML part for one person, about 3 KB."""
    words = "\n".join(f"<p>{_WORDS}</p>" for _ in range(24))
    personal = _PERSONAL.format(name=name, plan=plan)
    return f"<html><body><h1>Hello {name}</h1>\n<p>{personal}</p>\n{words}\n<p>See you, {name}</p></body></html>\n"


def text(name: str, plan: str) -> str:
    """The text part for one person, about 1.5 KB."""
    return "\n\n".join([f"Hello {name}", _PERSONAL.format(name=name, plan=plan), *[_WORDS] * 12, f"See you, {name}\n"])


def make_project(folder: Path, port: int, people: int, *, connections: int = 4, slug: str = "letter") -> None:
    """A project whose people are all due now."""
    templates = folder / "sequences" / "templates"
    templates.mkdir(parents=True)
    (templates / "letter.html").write_text(html("{{ name }}", "{{ plan }}"))
    (templates / "letter.txt").write_text(text("{{ name }}", "{{ plan }}"))
    (folder / "sequences" / f"{slug}.yaml").write_text(SEQUENCE)
    (folder / "drip.yaml").write_text(
        "from: Us <us@example.com>\nbase_url: https://mail.example.com\ntransport: smtp\n"
        f"smtp: {{host: 127.0.0.1, port: {port}, security: none, connections: {connections}}}\n"
    )
    project = open_project(folder)
    earlier = datetime.now(UTC) - timedelta(hours=1)
    with project.opened() as store:
        apply(store, project.settings, project.incoming(project.files()), {}, prune=False, now=earlier, origin=Origin())
        requests = [
            Request(f"person{number}@example.com", f"Ana {number}", {"plan": "pro"}) for number in range(people)
        ]
        for start in range(0, people, 5000):
            subscribe_many(store, project.settings, slug, requests[start : start + 5000], earlier)


def copy_project(source: Path, target: Path) -> None:
    """The same once more, to be sent again."""
    shutil.copytree(source, target)
