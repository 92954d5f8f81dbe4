"""drip.yaml: finding it, and reading it into `Settings` with every problem in it reported at once.

It is read every minute from cron: neither templates nor anything else that is slow to import may enter.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from drip.core.address import Address
from drip.core.settings import OnUnknown, Settings, TransportKind, UndefinedRule, UnsubscribeScope
from drip.errors import FilesInvalid, Invalid, Problem
from drip.files import values
from drip.files.config_around import read_http, read_inbound, read_webhooks
from drip.files.config_sending import read_limits, read_retry, read_smtp
from drip.files.disk import FileTrouble, read_file
from drip.files.document import Document
from drip.files.environment import fill
from drip.files.reader import Section, section_of
from drip.files.servers import base_url, database_url, file_path
from drip.files.tree import WHOLE_FILE, ListNode

FILE_NAME = "drip.yaml"

CONFIG_KEYS = (
    "database", "sequences", "from", "reply_to", "authorized_domains", "timezone", "base_url", "postal_address",
    "undefined", "project", "feedback_id", "unsubscribe_scope", "transport", "outbox", "smtp", "limits", "retry",
    "on_unknown", "stale_after", "http", "webhooks", "webhooks_allow_private", "inbound",
)  # fmt: skip
"""The keys of drip.yaml."""


def find_config(start: Path) -> Path:
    """The drip.yaml of a folder or of its nearest parent that has one.

    Raises:
        Invalid: there is none.
    """
    folder = Path(os.path.abspath(start))
    for candidate in (folder, *folder.parents):
        if (candidate / FILE_NAME).is_file():
            return candidate / FILE_NAME
    if (folder / "drip.yml").is_file():
        raise Invalid(f"there is no {FILE_NAME} here, but a drip.yml", f"rename it to {FILE_NAME}")
    hint = "`drip init` makes a project; `drip -C DIR` uses another folder"
    raise Invalid(f"there is no {FILE_NAME} in {folder} or above it", hint)


def load_settings(path: Path, environ: Mapping[str, str]) -> Settings:
    """Read a drip.yaml.

    Args:
        environ: what `${NAME}` is filled from.

    Raises:
        FilesInvalid: with every problem in it.
    """
    settings, problems = read_settings(path, environ)
    if settings is None or problems:
        raise FilesInvalid(problems)
    return settings


def read_settings(path: Path, environ: Mapping[str, str]) -> tuple[Settings | None, tuple[Problem, ...]]:
    """Read as much of a drip.yaml as can be read: with problems, only to look at what else the project has.

    Args:
        environ: what `${NAME}` is filled from.

    Returns:
        The settings, the default in place of what is wrong, or None when nothing can be read; and every problem,
        by place, none when the settings can be used.
    """
    path = Path(os.path.abspath(path))
    document = Document(path.name)
    settings = _read(document, path, environ)
    problems = sorted(document.problems, key=lambda problem: (problem.line, problem.column))
    return settings, tuple(problems) if settings is None or document.failed else ()


def _read(document: Document, path: Path, environ: Mapping[str, str]) -> Settings | None:
    try:
        raw = read_file(path)
    except FileTrouble as trouble:
        document.report(WHOLE_FILE, "", str(trouble), trouble.hint)
        return None
    root = document.read(raw, empty="the file is empty: it needs at least `from`")
    if root is None:
        return None
    section = section_of(document, fill(document, root, environ), "", CONFIG_KEYS)
    return None if section is None else _settings(section, path)


def _settings(section: Section, path: Path) -> Settings:
    folder = path.parent
    sender = section.parsed("from", values.address) if section.require("from", _FROM_HINT) else None
    transport = section.choice("transport", TransportKind) or TransportKind.OUTBOX
    retry = read_retry(section)
    defaults = Settings(folder=folder, path=path, sender=Address(""), project=folder.name or "drip")
    stale_after = section.duration("stale_after", positive=True)
    return Settings(
        folder=folder,
        path=path,
        sender=sender or defaults.sender,
        project=section.parsed("project", values.line) or defaults.project,
        database=section.parsed("database", lambda text: database_url(text, folder), wanted="a database", secret=True)
        or database_url(defaults.database, folder),
        sequences=_path(section, "sequences", folder) or folder / defaults.sequences,
        reply_to=section.parsed("reply_to", values.address),
        authorized_domains=_authorized_domains(section, sender),
        timezone=section.parsed("timezone", values.existing_zone) or defaults.timezone,
        base_url=section.parsed("base_url", base_url),
        postal_address=section.text("postal_address"),
        undefined=section.choice("undefined", UndefinedRule) or defaults.undefined,
        feedback_id=section.parsed("feedback_id", values.feedback_id),
        unsubscribe_scope=section.choice("unsubscribe_scope", UnsubscribeScope) or defaults.unsubscribe_scope,
        transport=transport,
        outbox=_path(section, "outbox", folder) or folder / defaults.outbox,
        smtp=read_smtp(section, folder, needed=transport is TransportKind.SMTP),
        limits=read_limits(section),
        retry=retry,
        on_unknown=section.choice("on_unknown", OnUnknown) or defaults.on_unknown,
        stale_after=None if section.is_null("stale_after") else stale_after or defaults.stale_after,
        http_rate_limit=read_http(section),
        webhooks=read_webhooks(section),
        webhooks_allow_private=section.flag("webhooks_allow_private") or False,
        inbound=read_inbound(section, folder),
    )


_FROM_HINT = "write from: Ana <ana@example.com>"


def _path(section: Section, key: str, folder: Path) -> Path | None:
    return section.parsed(key, lambda text: file_path(text, folder), wanted="a path")


def _authorized_domains(section: Section, sender: Address | None) -> frozenset[str]:
    own = frozenset({sender.domain} if sender is not None else ())
    if not section.has("authorized_domains"):
        return own
    listed = frozenset(section.texts("authorized_domains", values.domain, "a list of domains"))
    for missing in own - listed if isinstance(section.get("authorized_domains"), ListNode) else ():
        section.error("authorized_domains", f"the domain of `from`, {missing}, is not among them", f"add {missing}")
    return listed | own
