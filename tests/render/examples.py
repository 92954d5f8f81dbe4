"""Short ways to a rendered message, for the tests of this folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from drip.core.address import Address
from drip.core.sequence import Definition, Layout, Sequence, Step, Template
from drip.core.settings import Settings
from drip.render.compile import CompiledStep, Recipient, compile_step
from drip.render.message import Message

NOW = datetime(2026, 3, 27, 9, 30, tzinfo=UTC)

SETTINGS = Settings(
    folder=Path("/project"),
    path=Path("/project/drip.yaml"),
    sender=Address("hola@miempresa.com", "Ana de Mi Empresa"),
    project="mi-empresa",
    postal_address="Calle Mayor 1, Madrid",
)

STEP = Step("welcome", timedelta(0), subject="Hola")

LINK = "https://mail.miempresa.com/u/abc"

BARE = {"default": Layout("default", "{{ content }}")}
"""A layout that adds nothing but what HTML itself needs."""

ANA = Address("ana@example.com", "Ana")


def recipient(variables: Mapping[str, Any] | None = None, **changes: Any) -> Recipient:
    person = Recipient(ANA, variables or {}, "tok123", LINK, LINK, None)
    return replace(person, **changes)


def compiled(
    step: Step,
    templates: Mapping[str, Template] | None = None,
    layouts: Mapping[str, Layout] | None = None,
    settings: Settings = SETTINGS,
    **sequence: Any,
) -> CompiledStep:
    whole = Sequence("onboarding", "Onboarding", steps=(step,), **sequence)
    return compile_step(Definition(whole, templates or {}, layouts or {}), step, settings)


def rendered(
    variables: Mapping[str, Any] | None = None,
    *,
    templates: Mapping[str, Template] | None = None,
    layouts: Mapping[str, Layout] | None = None,
    settings: Settings = SETTINGS,
    person: Recipient | None = None,
    **content: Any,
) -> Message:
    step = replace(STEP, **content)
    who = person or recipient(variables)
    return compiled(step, templates, layouts, settings).render(who, NOW)


def body_html(source: str, variables: Mapping[str, Any] | None = None, **content: Any) -> str:
    """What a Markdown body becomes between `<body>` and the footer."""
    return _between(rendered(variables, body=source, layouts=BARE, **content))


def page_html(source: str, variables: Mapping[str, Any] | None = None, **content: Any) -> str:
    """What an HTML body becomes between `<body>` and the footer."""
    return _between(rendered(variables, html=source, layouts=BARE, **content))


def body_text(source: str, variables: Mapping[str, Any] | None = None, **content: Any) -> str:
    """The text part of a Markdown body, without its footer."""
    return rendered(variables, body=source, **content).text.partition("\n-- \n")[0]


def page_text(source: str, variables: Mapping[str, Any] | None = None, **content: Any) -> str:
    """The text part of an HTML body, without its footer."""
    return rendered(variables, html=source, **content).text.partition("\n-- \n")[0]


def plain_text(source: str, variables: Mapping[str, Any] | None = None, **content: Any) -> str:
    """A text of the step's own, without its footer."""
    return rendered(variables, text=source, **content).text.partition("\n-- \n")[0]


def _between(message: Message) -> str:
    assert message.html is not None
    page = message.html.partition("<body>")[2].rpartition("</body>")[0]
    return page.partition('<div class="drip-footer"')[0].strip("\n")
