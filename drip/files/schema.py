"""JSON Schemas of the project's files, for editors: completion, hover texts, and the plain mistakes.

The reader decides what is valid; a schema says a part of it. Both know the same keys, and a test holds them together.
"""

from __future__ import annotations

from typing import Any

from drip.core.sequence import DelayFrom, Resubscribe, SequenceStatus

DRAFT = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]

DURATION: Schema = {
    "description": "A length of time: 0, 45s, 30m, 36h, 3d, 2w, sums like `1d 12h`, or ISO 8601 like P3DT12H.",
    "anyOf": [
        {"const": 0},
        {"type": "string", "pattern": r"^\s*(0|(\d{1,9}\s*[wdhms]\s*)+|P[0-9WDTHMS]+)\s*$"},
    ],
}
ADDRESS: Schema = {"type": "string", "pattern": "@", "examples": ["Ana <ana@example.com>"]}
CLOCK: Schema = {"type": "string", "pattern": r"^\s*([01]?[0-9]|2[0-3]):[0-5][0-9]\s*$"}


def described(schema: Schema, description: str) -> Schema:
    """A schema with another description."""
    return {**schema, "description": description}


def mapping(properties: Schema, description: str, required: tuple[str, ...] = ()) -> Schema:
    """A mapping with these keys and no others."""
    schema: Schema = {
        "type": "object",
        "description": description,
        "properties": properties,
        "additionalProperties": False,
    }
    return {**schema, "required": list(required)} if required else schema


def optional(schema: Schema) -> Schema:
    """A schema whose value may also be left empty."""
    return {"anyOf": [schema, {"type": "null"}], "description": schema.get("description", "")}


def sequence_schema() -> Schema:
    """The JSON Schema (draft 2020-12) of a sequence file."""
    properties = {
        "name": described(_TEXT, "What people call the sequence. Default: its id, which is the file's name."),
        "status": _words(SequenceStatus, "draft (default) holds its people; active sends; archived refuses new ones."),
        "from": described(ADDRESS, "The sender of every step. Default: `from` of drip.yaml."),
        "reply_to": described(ADDRESS, "Where answers go. Default: `reply_to` of drip.yaml."),
        "delay_from": _words(DelayFrom, "What delays count from: the step before (default), or the start."),
        "timezone": described(_TEXT, "The zone of subscribers without one of their own, as Europe/Madrid."),
        "send_window": _window("The local hours in which steps may go out."),
        "stale_after": optional(described(DURATION, "A step more overdue than this is skipped; null: never.")),
        "resubscribe": _words(Resubscribe, "Who may start the sequence again that has ended for them."),
        "stop_when": described(_TEXT, "An expression over the subscriber's variables; once true, the sequence ends."),
        "variables": _variables(),
        "layout": described(_TEXT, "The layout around every HTML part: a file in templates/layouts/, without .html."),
        "steps": {"type": "array", "description": "The emails, in order.", "items": _step()},
        "tests": {"type": "array", "description": "What `drip test` checks.", "items": _test()},
    }
    schema = mapping(properties, "An email sequence: its id is the file's name.", ("steps",))
    return {"$schema": DRAFT, "title": "drip sequence", **_with_empty(schema, "stale_after", "send_window")}


_TEXT: Schema = {"type": "string"}


def _words(kind: type[SequenceStatus | DelayFrom | Resubscribe], description: str) -> Schema:
    return {"description": description, "enum": [member.value for member in kind]}


def _with_empty(schema: Schema, *already: str) -> Schema:
    """Lets every key that is not required be written without a value, as the reader does."""
    required = schema.get("required", [])
    properties = {
        name: value if name in required or name in already else optional(value)
        for name, value in schema["properties"].items()
    }
    return {**schema, "properties": properties}


def _window(description: str) -> Schema:
    days = {
        "description": "mon-fri, or sat,sun, or a list; fri-mon goes over the weekend. Default: every day.",
        "anyOf": [_TEXT, {"type": "array", "items": _TEXT, "minItems": 1}],
    }
    hours = {
        "type": "string",
        "description": "09:00-18:00; 22:00-06:00 goes over midnight. Default: the whole day.",
        "pattern": r"^\s*[0-9]{1,2}:[0-9]{2}\s*[-–]\s*[0-9]{1,2}:[0-9]{2}\s*$",
    }
    return optional({**mapping({"days": days, "hours": hours}, description), "minProperties": 1})


def _variables() -> Schema:
    one = mapping(
        {
            "default": {"description": "Used where neither subscription nor contact has a value."},
            "required": {"type": "boolean", "description": "Subscribing is refused without a value."},
            "example": {"description": "Shown by `drip preview`."},
        },
        "One variable.",
    )
    return {
        "type": "object",
        "description": "What the templates may use. Once any is declared, `drip check` lists those that are not.",
        "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"},
        "additionalProperties": optional(one),
    }


def _step() -> Schema:
    properties = {
        "id": {
            "type": "string",
            "description": "The step's identity for ever: unique in the file; never give one to another step.",
            "pattern": "^[a-z0-9]([a-z0-9-]{0,98}[a-z0-9])?$",
        },
        "delay": described(DURATION, "The wait before this step: 0, 45s, 30m, 36h, 3d, 2w, `1d 12h`."),
        "subject": described(_TEXT, "The subject line; may hold {{ variables }}. Default: the template's."),
        "template": described(_TEXT, "The content: a file in templates/, without its suffix."),
        "body": described(_TEXT, "The content in Markdown; makes both the HTML part and the text part."),
        "html": described(_TEXT, "The content in HTML."),
        "text": described(_TEXT, "The content in plain text: alone, or beside `html`."),
        "at": described(CLOCK, "The first such time at or after the delay, in the subscriber's zone."),
        "when": described(_TEXT, "An expression over the variables; the step is skipped unless it is true."),
        "send_window": _window("Overrides the sequence's; null: any time."),
        "from": described(ADDRESS, "The sender. Default: the sequence's."),
        "reply_to": described(ADDRESS, "Where answers go. Default: the sequence's."),
        "headers": {
            "type": "object",
            "description": "More headers; only X-… and Feedback-ID.",
            "propertyNames": {"pattern": "^([Xx]-[A-Za-z0-9-]+|[Ff][Ee][Ee][Dd][Bb][Aa][Cc][Kk]-[Ii][Dd])$"},
            "additionalProperties": _TEXT,
        },
    }
    contents = [{"required": ["template"]}, {"required": ["body"]}, {"anyOf": _HTML_OR_TEXT}]
    schema = _with_empty(mapping(properties, "One email.", ("delay",)), "send_window")
    return {**schema, "oneOf": contents}


_HTML_OR_TEXT = [{"required": ["html"]}, {"required": ["text"]}]


def _test() -> Schema:
    subscriber = {
        "at": described(_TEXT, "When they start, with an offset: 2026-03-27T09:30+01:00."),
        "email": described(_TEXT, "Their address. Default: ada@example.com."),
        "name": described(_TEXT, "Their name."),
        "timezone": described(_TEXT, "Their zone."),
        "variables": {"type": "object", "description": "Their variables."},
    }
    step = {
        "step": described(_TEXT, "The id of the step that is expected next."),
        "on": {"type": "string", "description": "The local day it is sent.", "pattern": r"^\d{4}-\d{2}-\d{2}$"},
        "at": described(CLOCK, "The local time it is sent."),
        "after": described(DURATION, "The time since the step before it; since the start for the first."),
        "subject": described(_TEXT, "The subject as it arrives."),
        "skipped": {"description": "true, or why: when, stale.", "enum": [True, False, "when", "stale"]},
    }
    expected = _with_empty(mapping(step, "A step that is sent, or skipped.", ("step",)))
    words = {"enum": ["completed", "cancelled", "failed", "active"], "description": "What it all ends with; last."}
    properties = {
        "name": described(_TEXT, "What the test shows."),
        "subscribe": _with_empty(mapping(subscriber, "The made-up subscriber.")),
        "expect": {"type": "array", "description": "What must come of it.", "items": {"anyOf": [expected, words]}},
    }
    return _with_empty(mapping(properties, "One test.", ("name", "expect")))
