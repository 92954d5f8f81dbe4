"""The parts of drip.yaml around sending: `http` and `webhooks`, and `inbound` for bounces and complaints."""

from __future__ import annotations

from pathlib import Path

from drip.core.address import parse_email
from drip.core.events import PUBLIC_EVENTS, EventType
from drip.core.settings import PROVIDERS, ImapSecurity, ImapSettings, InboundSettings, Rate, WebhookEndpoint
from drip.files import values
from drip.files.document import Document
from drip.files.reader import Section, section_of, text_of
from drip.files.servers import file_path, host_name, webhook_url
from drip.files.tree import ListNode, Node, Scalar
from drip.files.wording import BadValue, either, quote, suggest

HTTP_KEYS = ("rate_limit",)
WEBHOOK_KEYS = ("url", "secret", "events")
WEBHOOK_EVENTS = tuple(kind.value for kind in EventType if kind in PUBLIC_EVENTS)
"""The events that webhooks are told."""

INBOUND_KEYS = ("address", "maildir", "imap", "token", "providers")
IMAP_KEYS = ("host", "port", "security", "user", "password", "folder", "ca_file")
SHORTEST_TOKEN = 16
"""Characters."""


def read_http(config: Section) -> Rate | None:
    """`http:`; None is no limit."""
    section = config.section("http", HTTP_KEYS)
    if section is None:
        return None
    return section.parsed("rate_limit", values.rate, wanted="a rate like 600/m", numbers=True)


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


def read_inbound(config: Section, folder: Path) -> InboundSettings:
    """`inbound:`."""
    section = config.section("inbound", INBOUND_KEYS)
    if section is None:
        return InboundSettings()
    found = InboundSettings(
        address=section.parsed("address", parse_email),
        maildir=section.parsed("maildir", lambda text: file_path(text, folder), wanted="a path"),
        imap=_imap(section, folder),
        token=section.parsed("token", _token, wanted=f"{SHORTEST_TOKEN} letters and digits, or more", secret=True),
        providers=_providers(section),
    )
    if found.maildir and found.imap:
        section.error("imap", "there is a maildir and an IMAP mailbox", "keep one of them")
    return found


def _token(text: str) -> str:
    if len(text) < SHORTEST_TOKEN or not text.isascii() or not text.isalnum():
        hint = "make one with `openssl rand -hex 24`, and write ${DRIP_INBOUND_TOKEN}"
        raise BadValue(f"a token has at least {SHORTEST_TOKEN} letters and digits, and nothing else", hint)
    return text


def _imap(inbound: Section, folder: Path) -> ImapSettings | None:
    section = inbound.section("imap", IMAP_KEYS)
    if section is None:
        return None
    for key in ("host", "user", "password"):
        section.require(key)
    host = section.parsed("host", host_name)
    user = section.parsed("user", values.line)
    password = section.parsed("password", str, wanted="text in quotes", secret=True)
    security = section.choice("security", ImapSecurity) or ImapSecurity.TLS
    port = section.integer("port", 1, 65_535) or (993 if security is ImapSecurity.TLS else 143)
    name = section.parsed("folder", _folder) or "INBOX"
    ca_file = section.parsed("ca_file", lambda text: file_path(text, folder), wanted="a path")
    if host is None or user is None or password is None:
        return None
    return ImapSettings(host, user, password, port, security, name, ca_file)


def _folder(text: str) -> str:
    if not text.isascii() or not text.isprintable():
        raise BadValue(f"{quote(text)} is not a folder's name", "names are ASCII here, as INBOX or Bounces")
    return text


def _providers(inbound: Section) -> dict[str, str]:
    """The key of each provider."""
    found: dict[str, str] = {}
    for key, node in inbound.entries("providers", "providers with their keys"):
        where = f"{inbound.path('providers')}.{key.text[:60]}"
        if key.text not in PROVIDERS:
            message = f"there is no provider {quote(key.text)}, only {either(PROVIDERS)}"
            inbound.document.report(key, where, message, suggest(key.text, PROVIDERS, listing=False))
            continue
        try:
            found[key.text] = _provider_key(key.text, text_of(node))
        except BadValue as error:
            inbound.document.report(node, where, str(error), error.hint)
    return found


def _provider_key(provider: str, text: str) -> str:
    """The key of one; see `drip.inbound.providers` for what each is."""
    wrong, hint = {
        "ses": (not text.startswith("arn:aws"), "write the ARN of the SNS topic"),
        "postmark": (":" not in text, "write user:password, as in the URL that Postmark calls"),
        "resend": (not text.startswith("whsec_"), "write the webhook's signing secret, whsec_…"),
    }.get(provider, (not text.strip(), "write the key that the provider's page shows for its webhooks"))
    if wrong:
        raise BadValue(f"it is not what {provider} is checked with", hint)
    return text.strip()
