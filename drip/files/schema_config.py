"""The JSON Schema of drip.yaml; see `drip.files.schema`."""

from __future__ import annotations

from drip.core.settings import (
    PROVIDERS,
    ImapSecurity,
    OnUnknown,
    Security,
    TransportKind,
    UndefinedRule,
    UnsubscribeScope,
)
from drip.files.config_around import WEBHOOK_EVENTS
from drip.files.schema import ADDRESS, DRAFT, DURATION, Schema, described, mapping, optional

_TEXT: Schema = {"type": "string"}
_FILLED: Schema = {"type": "string", "pattern": r"\$\{"}
_RATE: Schema = {"type": "string", "pattern": r"^\s*[0-9]{1,9}\s*/\s*[smhd]\s*$|\$\{"}


def config_schema() -> Schema:
    """The JSON Schema (draft 2020-12) of drip.yaml. Every value may be `${NAME}` or `${NAME:-default}`."""
    properties = {
        "database": described(_TEXT, "sqlite:///drip.db (default), or postgresql://user:${PGPASSWORD}@host/name."),
        "sequences": described(_TEXT, "The folder of sequence files. Default: sequences."),
        "from": described(ADDRESS_OR_FILLED, "The sender, for all that has no other."),
        "reply_to": described(ADDRESS_OR_FILLED, "Where answers go."),
        "authorized_domains": _list(_TEXT, "From domains allowed. Default: the domain of `from`."),
        "timezone": described(_TEXT, "The zone of windows and of what is shown. Default: UTC."),
        "base_url": described(_TEXT, "Where people reach the HTTP side, https; unsubscribe links need it."),
        "postal_address": described(_TEXT, "Shown in the footer."),
        "undefined": _words(UndefinedRule, "What a variable without a value is: empty text (default), or an error."),
        "project": described(_TEXT, "The project's name, for Feedback-ID and webhooks. Default: the folder's."),
        "feedback_id": described(_TEXT, "The sender id of Feedback-ID: 5 to 15 characters, always the same."),
        "unsubscribe_scope": _words(
            UnsubscribeScope, "What one click unsubscribes from: all (default), or the sequence."
        ),
        "transport": _words(TransportKind, "How mail leaves: outbox (default; files in a folder), or smtp."),
        "outbox": described(_TEXT, "The folder of the outbox, a Maildir. Default: outbox."),
        "smtp": _smtp(),
        "limits": _limits(),
        "retry": _retry(),
        "on_unknown": _words(OnUnknown, "What to do when nobody knows whether a message was sent. Default: hold."),
        "stale_after": described(DURATION_OR_FILLED, "A step more overdue is skipped; null: never. Default: 7d."),
        "http": _optional_keys(
            mapping(
                {
                    "rate_limit": described(
                        _RATE, "How often one API key may ask: 600/m. Default: as often as it likes."
                    )
                },
                "The HTTP API.",
            )
        ),
        "webhooks": _list(_webhook(), "Endpoints that are told what happens."),
        "webhooks_allow_private": _flag("Lets webhook URLs set over the API reach private addresses. Default: false."),
        "inbound": _inbound(),
    }
    schema = _optional_keys(mapping(properties, "A drip project.", ("from",)))
    return {"$schema": DRAFT, "title": "drip.yaml", **schema}


ADDRESS_OR_FILLED: Schema = {"anyOf": [ADDRESS, _FILLED]}
DURATION_OR_FILLED: Schema = {"anyOf": [*DURATION["anyOf"], _FILLED]}


def _optional_keys(schema: Schema) -> Schema:
    required = schema.get("required", [])
    properties = {name: value if name in required else optional(value) for name, value in schema["properties"].items()}
    return {**schema, "properties": properties}


def _words(
    kind: type[ImapSecurity | OnUnknown | Security | TransportKind | UndefinedRule | UnsubscribeScope], text: str
) -> Schema:
    return {"description": text, "anyOf": [{"enum": [member.value for member in kind]}, _FILLED]}


def _list(items: Schema, description: str) -> Schema:
    return {"type": "array", "description": description, "items": items}


def _flag(description: str) -> Schema:
    return {"description": description, "anyOf": [{"type": "boolean"}, _FILLED]}


def _whole(low: int, high: int | None, description: str) -> Schema:
    bounds = {"minimum": low} if high is None else {"minimum": low, "maximum": high}
    return {"description": description, "anyOf": [{"type": "integer", **bounds}, _FILLED]}


def _factor(description: str) -> Schema:
    return {"description": description, "anyOf": [{"type": "number", "minimum": 1, "maximum": 100}, _FILLED]}


def _smtp() -> Schema:
    dkim = {
        "domain": described(_TEXT, "The domain that signs: that of `from`, or one above it."),
        "selector": described(_TEXT, "Names the key: the record is SELECTOR._domainkey.DOMAIN."),
        "key_file": described(_TEXT, "The private key, RSA (2048 bits) or Ed25519, in PEM."),
    }
    properties = {
        "host": described(_TEXT, "The server, as smtp.example.com."),
        "port": _whole(1, 65_535, "Default: 587."),
        "security": _words(Security, "starttls (default), tls, or none; certificates are always checked."),
        "user": described(_TEXT, "Leave out for a server that wants no login."),
        "password": described(_TEXT, "Best from the environment: ${SMTP_PASSWORD}."),
        "oauth2_file": described(_TEXT, "Gmail's OAuth2 credentials, instead of a password."),
        "connections": _whole(1, 200, "Connections in parallel, per process. Default: 4."),
        "timeout": described(DURATION_OR_FILLED, "The longest wait for an answer. Default: 30s."),
        "ca_file": described(_TEXT, "A private CA, in PEM."),
        "envelope_from": described(_TEXT, "Where bounces go; {token} in it makes it VERP."),
        "allow_plaintext": _flag("Allows `security: none` for a host that is not this machine. Default: false."),
        "dkim": mapping(dkim, "Signs messages, where the server does not.", tuple(dkim)),
    }
    return _optional_keys(mapping(properties, "The mail server."))


def _limits() -> Schema:
    ramp = {
        "start": _whole(1, None, "Messages on the first day."),
        "factor": _factor("Each day that many times the day before."),
        "until": _whole(1, None, "Where it ends."),
    }
    properties = {
        "rate": described(_RATE, "14/s, 600/m, 10000/h or 50000/d; over all processes on one database."),
        "per_day": _whole(1, None, "Messages per day."),
        "ramp": mapping(ramp, "Warm-up of a new domain or server: allowed per day, growing daily.", tuple(ramp)),
        "per_domain": {
            "type": "object",
            "description": "Rates per domain of the recipient: {gmail.com: 20/s}.",
            "additionalProperties": _RATE,
        },
    }
    return _optional_keys(mapping(properties, "How much may be sent."))


def _retry() -> Schema:
    properties = {
        "attempts": _whole(1, 100, "Tries in all; after the last the step fails. Default: 8."),
        "first": described(DURATION_OR_FILLED, "The wait after the first try. Default: 1m."),
        "factor": _factor("Each wait is that many times the one before. Default: 3."),
        "max": described(DURATION_OR_FILLED, "No wait is longer. Default: 6h."),
    }
    return _optional_keys(mapping(properties, "When a message that was refused for now is tried again."))


def _webhook() -> Schema:
    secret = {"type": "string", "pattern": r"^whsec_|\$\{"}
    properties = {
        "url": described(_TEXT, "Where events are posted."),
        "secret": {
            "description": "whsec_ and base64; a list of two while rotating.",
            "anyOf": [secret, {"type": "array", "items": secret, "minItems": 1, "maxItems": 2}],
        },
        "events": {
            "type": "array",
            "description": "The events it wants. Default: all.",
            "items": {"anyOf": [{"enum": list(WEBHOOK_EVENTS)}, _FILLED]},
            "minItems": 1,
        },
    }
    return _optional_keys(mapping(properties, "One endpoint.", ("url", "secret")))


def _inbound() -> Schema:
    imap = {
        "host": described(_TEXT, "The server."),
        "port": _whole(1, 65_535, "Default: 993, or 143 with starttls."),
        "security": _words(ImapSecurity, "tls (default) or starttls; certificates are always checked."),
        "user": described(_TEXT, "The login."),
        "password": described(_TEXT, "Best from the environment: ${IMAP_PASSWORD}."),
        "folder": described(_TEXT, "Default: INBOX."),
        "ca_file": described(_TEXT, "A private CA, in PEM."),
    }
    properties = {
        "address": described(_TEXT, "Where bounces and unsubscribe mails arrive."),
        "maildir": described(_TEXT, "The folder of that mailbox."),
        "imap": _optional_keys(mapping(imap, "That mailbox over IMAP.", ("host", "user", "password"))),
        "token": described(_TEXT, "At least 16 letters and digits; providers call /v1/inbound/NAME?token=…"),
        "providers": mapping(dict.fromkeys(PROVIDERS, _TEXT), "What each provider's signature is checked with."),
    }
    return _optional_keys(mapping(properties, "Bounces and complaints."))
