"""The parts of drip.yaml around sending: `http` and `webhooks`, and `inbound` for bounces and complaints."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from drip.core.address import parse_email
from drip.core.settings import Rate, WebhookEndpoint
from drip.files import values
from drip.files.document import Document
from drip.files.reader import Section, section_of, text_of
from drip.files.servers import file_path, host_name, webhook_url
from drip.files.tree import ListNode, MappingNode, Node, Scalar
from drip.files.wording import BadValue, either, quote, suggest

HTTP_KEYS = ("rate_limit",)
WEBHOOK_KEYS = ("url", "secret", "events")
WEBHOOK_EVENTS = (
    "sequence.subscribed",
    "sequence.step.sent",
    "sequence.step.failed",
    "sequence.completed",
    "sequence.cancelled",
)
"""The events that webhooks are told, in the words of `http-api.md`."""

INBOUND_KEYS = ("address", "maildir", "imap", "providers")
IMAP_KEYS = ("host", "port", "user", "password", "folder")
PROVIDERS = ("ses", "postmark", "mailgun", "sendgrid", "brevo", "resend")


def read_http(config: Section) -> Rate | None:
    """`http:`; None is no limit."""
    section = config.section("http", HTTP_KEYS)
    return section.parsed("rate_limit", values.rate, wanted="a rate like 600/m") if section is not None else None


def read_webhooks(config: Section) -> tuple[WebhookEndpoint, ...]:
    """`webhooks:`; broken ones are left out."""
    found: dict[str, WebhookEndpoint] = {}
    for where, node in config.items("webhooks", "a list of webhooks"):
        webhook = _webhook(config.document, node, where)
        if webhook is not None and webhook.url in found:
            config.document.report(node, where, "its URL is listed before", "give one webhook all its events")
        elif webhook is not None:
            found[webhook.url] = webhook
    return tuple(found.values())


def _webhook(document: Document, node: Node, where: str) -> WebhookEndpoint | None:
    section = section_of(document, node, where, WEBHOOK_KEYS)
    if section is None:
        return None
    section.require("url", "write url: https://app.example.com/hooks/drip")
    section.require("secret", "write secret: ${DRIP_WEBHOOK_SECRET}")
    url = section.parsed("url", webhook_url, wanted="a URL")
    secrets = _secrets(section)
    events = _events(section)
    if url is None or not secrets:
        return None
    return WebhookEndpoint(url=url, secrets=secrets, events=events)


def _secrets(section: Section) -> tuple[str, ...]:
    node = section.get("secret")
    if not isinstance(node, ListNode):
        one = section.parsed("secret", values.webhook_secret, wanted="a webhook secret, whsec_ and base64", secret=True)
        return (one,) if one is not None else ()
    if not 1 <= len(node.items) <= 2:
        section.error("secret", f"found a list of {len(node.items)}, wanted one secret, or two while rotating")
        return ()
    found = []
    for where, item in section.items("secret", "a list of secrets"):
        try:
            found.append(values.webhook_secret(item.text if isinstance(item, Scalar) else ""))
        except BadValue as error:
            section.document.report(item, where, str(error), error.hint)
    return tuple(found)


def _events(section: Section) -> frozenset[str] | None:
    if not section.has("events"):
        return None
    node = section.get("events")
    if isinstance(node, ListNode) and not node.items:
        section.error("events", "the list is empty: it would be told nothing", "leave `events` out for all")
    return frozenset(section.texts("events", _event, "a list of events")) or None


def _event(text: str) -> str:
    if text not in WEBHOOK_EVENTS:
        raise BadValue(f"there is no event {quote(text)}", suggest(text, WEBHOOK_EVENTS))
    return text


def read_inbound(config: Section, folder: Path) -> Mapping[str, Any]:
    """`inbound:` with its values checked: `address`, `maildir` (an absolute path), `imap`, `providers`."""
    section = config.section("inbound", INBOUND_KEYS)
    if section is None:
        return {}
    found = {
        "address": section.parsed("address", parse_email),
        "maildir": section.parsed("maildir", lambda text: file_path(text, folder), wanted="a path"),
        "imap": _imap(section),
        "providers": _providers(section),
    }
    if found["maildir"] and found["imap"]:
        section.error("imap", "there is a maildir and an IMAP mailbox", "keep one of them")
    return {key: value for key, value in found.items() if value}


def _imap(inbound: Section) -> dict[str, Any] | None:
    section = inbound.section("imap", IMAP_KEYS)
    if section is None:
        return None
    for key in ("host", "user", "password"):
        section.require(key)
    found = {
        "host": section.parsed("host", host_name),
        "port": section.integer("port", 1, 65_535) or 993,
        "user": section.text("user"),
        "password": section.parsed("password", str, wanted="text in quotes", secret=True),
        "folder": section.text("folder") or "INBOX",
    }
    return found if None not in found.values() else None


def _providers(inbound: Section) -> dict[str, Any]:
    """Per provider its keys: one text, or several by name."""
    found: dict[str, Any] = {}
    for key, node in inbound.entries("providers", "providers with their keys"):
        where = f"{inbound.path('providers')}.{key.text[:60]}"
        if key.text not in PROVIDERS:
            message = f"there is no provider {quote(key.text)}, only {either(PROVIDERS)}"
            inbound.document.report(key, where, message, suggest(key.text, PROVIDERS, listing=False))
        else:
            found[key.text] = _provider(inbound.document, node, where)
    return found


def _provider(document: Document, node: Node, where: str) -> Any:
    if isinstance(node, MappingNode):
        return {name: _provider(document, value, f"{where}.{name[:60]}") for name, (_, value) in node.entries.items()}
    try:
        return text_of(node)
    except BadValue as error:
        document.report(node, where, "it is not text", error.hint)
        return None
