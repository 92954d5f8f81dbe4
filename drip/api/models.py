"""What comes in: bodies and parameters, as pydantic checks them and `/openapi.json` describes them. See `answers`.

Types say in JSON Schema exactly what is accepted, as far as it can say it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic.config import JsonDict
from typing_extensions import TypeAliasType

from drip.core.address import Address, parse_address, parse_email
from drip.core.durations import LONGEST
from drip.core.moments import parse_moment
from drip.core.sequence import DelayFrom, Resubscribe, SendWindow, SequenceStatus
from drip.core.subscription import SuppressionReason
from drip.core.variables import LARGEST_NUMBER, check_name, check_value
from drip.files import values
from drip.files.inspection import LARGEST_SOURCE

LARGEST_ID = 2**63 - 1
MOST_SUBSCRIBERS = 1000

# The addresses that people have; some that a pattern could hardly describe are accepted too.
_LOCAL = r"[A-Za-z0-9_+-]{1,25}(\.[A-Za-z0-9_+-]{1,12}){0,3}"
_DOMAIN = r"([A-Za-z0-9]{1,28}(-[A-Za-z0-9]{1,14}){0,2}\.){1,3}[A-Za-z]{2,10}"
_SOME_EMAIL = f"{_LOCAL}@{_DOMAIN}"
# Every ISO 8601 moment since 1971 with an offset; a 29 February is accepted too, but that a pattern can't say.
_MOMENT = (
    r"^(197[1-9]|19[89][0-9]|2[0-9]{3})-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)"
    r"|02-(0[1-9]|1[0-9]|2[0-8]))T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?(Z|[+-](0[0-9]|1[0-3]):[0-5][0-9])$"
)
_CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9]"
_DAY = "(mon|tue|wed|thu|fri|sat|sun)"


def _moment(value: Any) -> datetime:
    if not isinstance(value, str):
        raise ValueError("a time is text: 2026-03-27T09:30:00Z")
    return parse_moment(value)


def _whole(value: Any) -> Any:
    """To JSON Schema 2.0 is an integer too."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _variables(variables: dict[str, Any]) -> dict[str, Any]:
    for name, value in variables.items():
        check_name(name)
        if not isinstance(value, str) or "\0" in value:
            _check(value)
    return variables


def _check(value: Any) -> None:
    """As the store can keep it, and with floats in the bounds of integers: in JSON they are one."""
    check_value(value)
    waiting = [value]
    while waiting:
        match waiting.pop():
            case float() as number if abs(number) > LARGEST_NUMBER:
                raise ValueError("a number is too large")
            case list() as items:
                waiting += items
            case dict() as items:
                waiting += items.values()


def _as_large_as_in_a_file(words: str) -> str:
    if len(words.encode()) > LARGEST_SOURCE:
        raise ValueError(f"at most {LARGEST_SOURCE // 1024} KiB")
    return words


def _address(text: Any) -> Address:
    if not isinstance(text, str):
        raise ValueError("an address is text: Ana <ana@example.com>")
    return parse_address(text)


VALUE: JsonDict = {
    "title": "A value of a variable",
    "anyOf": [
        {"type": "null"},
        {"type": "boolean"},
        {"type": "number", "minimum": -LARGEST_NUMBER, "maximum": LARGEST_NUMBER},
        {"type": "string", "pattern": "^[^\\u0000]*$"},
        {"type": "array", "items": {"$ref": "#/components/schemas/Value"}},
        {
            "type": "object",
            "propertyNames": {"pattern": "^[^\\u0000]*$"},
            "additionalProperties": {"$ref": "#/components/schemas/Value"},
        },
    ],
}
"""The component `Value` of the document; it is in itself, which pydantic has no words for."""

Email = Annotated[
    str,
    Field(max_length=254),
    AfterValidator(parse_email),
    WithJsonSchema(
        {"type": "string", "maxLength": 254, "pattern": f"^{_LOCAL}@{_DOMAIN}$", "examples": ["ana@empresa.com"]}
    ),
]
ReplyTo = Annotated[
    Address,
    BeforeValidator(_address),
    WithJsonSchema(
        {"type": "string", "maxLength": 500, "pattern": f"^({_SOME_EMAIL}|[A-Za-z ]{1, 100}<{_SOME_EMAIL}>)$"}
    ),
]
Moment = Annotated[
    datetime,
    BeforeValidator(_moment),
    WithJsonSchema({"type": "string", "pattern": _MOMENT, "examples": ["2026-03-27T09:30:00Z"]}),
]
Variables = Annotated[
    dict[str, Any],
    AfterValidator(_variables),
    WithJsonSchema(
        {
            "type": "object",
            "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_]{0,99}$"},
            "additionalProperties": {"$ref": "#/components/schemas/Value"},
            "examples": [{"plan": "pro"}],
        }
    ),
]
TimeZone = TypeAliasType(
    "TimeZone",
    Annotated[
        str,
        AfterValidator(values.zone_name),
        WithJsonSchema({"type": "string", "enum": sorted(available_timezones()), "title": "An IANA time zone"}),
    ],
)
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"[^\s\x00-\x1f\x7f-\x9f\u2028\u2029]")]
PersonName = Annotated[str, Field(max_length=200)]
Subject = Annotated[str, Field(min_length=1, max_length=1000, pattern=r"^[^\x00]*[^\s\x00-\x1f\x7f-\x9f][^\x00]*$")]
Words = Annotated[
    str, Field(min_length=1, max_length=LARGEST_SOURCE, pattern=r"^[^\x00]*$"), AfterValidator(_as_large_as_in_a_file)
]
Reference = Annotated[str, Field(min_length=1, max_length=200)]
Position = Annotated[int, Field(strict=True, ge=1, le=1_000_000), BeforeValidator(_whole)]
Seconds = Annotated[int, Field(strict=True, ge=0, le=int(LONGEST.total_seconds())), BeforeValidator(_whole)]


def unset() -> Any:
    """The value of a field that may be left out and may not be null; look at `model_fields_set`."""
    return None


class Body(BaseModel):
    """A JSON object; fields that are not known are refused."""

    model_config = ConfigDict(extra="forbid")


class Window(Body):
    """The local hours in which steps may go out, as a sequence file writes them."""

    days: Annotated[str, Field(pattern=f"^{_DAY}(-{_DAY})?(,{_DAY}(-{_DAY})?)*$", max_length=100)] = "mon-sun"
    hours: Annotated[str, Field(pattern=f"^{_CLOCK}-({_CLOCK}|24:00)$")] = "00:00-24:00"

    def to_core(self) -> SendWindow:
        """As the schedule has it; raises ValueError."""
        return values.window(values.days(self.days), values.hours(self.hours))


def _window(window: Window) -> Window:
    window.to_core()
    return window


class _SequenceFields(Body):
    delay_from: DelayFrom = Field(default_factory=unset)
    timezone: TimeZone | None = None
    send_window: Annotated[Window, AfterValidator(_window)] | None = None
    stale_after_seconds: Annotated[Seconds | None, Field(description="null: the project's; 0: never")] = None
    resubscribe: Resubscribe = Field(default_factory=unset)


class SequenceIn(_SequenceFields):
    """A new sequence."""

    name: Name


class SequencePatch(_SequenceFields):
    """What is to change of a sequence."""

    name: Name = Field(default_factory=unset)
    status: SequenceStatus = Field(default_factory=unset)


class _StepFields(Body):
    subject: Subject | None = None
    html: Words | None = None
    body_text: Words | None = None
    from_email: Email | None = None
    from_name: PersonName | None = None
    reply_to: ReplyTo | None = None
    template_id: Reference | None = None


_TEXT: JsonDict = {"type": "string"}
_CONTENT: JsonDict = {
    "anyOf": [
        {"required": ["template_id"], "properties": {"template_id": _TEXT}},
        {"required": ["subject", "html"], "properties": {"subject": _TEXT, "html": _TEXT}},
        {"required": ["subject", "body_text"], "properties": {"subject": _TEXT, "body_text": _TEXT}},
    ]
}


class StepIn(_StepFields):
    """A new step: a template, or a subject with html or body_text. A subject wins over the template's."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=_CONTENT)

    position: Position
    offset_seconds: Seconds


class StepPatch(_StepFields):
    """What is to change of a step; null clears."""

    position: Position = Field(default_factory=unset)
    offset_seconds: Seconds = Field(default_factory=unset)


class SubscriberIn(Body):
    """A person to subscribe."""

    email: Email
    name: PersonName | None = None
    variables: Variables | None = None
    started_at: Moment | None = None


class BatchItem(Body):
    """A person of a batch. What can't be refuses that person alone, so values are looked at one by one."""

    email: Annotated[str, Field(examples=["ana@empresa.com"])]
    name: Annotated[str | None, Field(description="At most 200 characters.")] = None
    variables: dict[str, Any] | None = None
    started_at: Annotated[str | None, Field(description="With an offset.", examples=["2026-03-27T09:30:00Z"])] = None

    def check(self) -> SubscriberIn:
        """The same as one that comes alone.

        Raises:
            ValidationError: it would be refused.
        """
        return SubscriberIn.model_validate(self.__dict__)


class BatchIn(Body):
    """People to subscribe at once."""

    subscribers: Annotated[list[BatchItem], Field(max_length=MOST_SUBSCRIBERS)]


class SubscriberPatch(Body):
    """Variables to merge; null removes one."""

    variables: Variables


class TemplateIn(Body):
    """A new template."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "anyOf": [
                {"required": ["html"], "properties": {"html": _TEXT}},
                {"required": ["body_text"], "properties": {"body_text": _TEXT}},
            ]
        },
    )

    name: Name
    subject: Subject | None = None
    html: Words | None = None
    body_text: Words | None = None


class TemplatePatch(Body):
    """What is to change of a template; null clears."""

    name: Name = Field(default_factory=unset)
    subject: Subject | None = None
    html: Words | None = None
    body_text: Words | None = None


class ContactIn(Body):
    """A contact to make or change. Metadata are the contact's variables; they are merged, null removes one."""

    email: Email
    name: PersonName | None = None
    metadata: Variables | None = None


class ContactPatch(Body):
    """What is to change of a contact."""

    name: PersonName | None = None
    metadata: Variables | None = None


class SuppressionIn(Body):
    """An address that is not to be mailed."""

    email: Email
    reason: SuppressionReason = SuppressionReason.MANUAL


def known_fields(route: Any, place: Iterable[Any]) -> set[str]:
    """The names that the object at a place of a route's body may have."""
    field = getattr(route, "body_field", None)
    model: Any = getattr(getattr(field, "field_info", None), "annotation", None)
    for part in place:
        if isinstance(part, int) or not isinstance(model, type) or not issubclass(model, BaseModel):
            continue
        found = model.model_fields.get(str(part))
        model = next(iter(_models_in(found.annotation)), None) if found else None
    return set(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else set()


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in getattr(annotation, "__args__", ()) for model in _models_in(part)]


_URL = {
    "type": "string",
    "maxLength": 2000,
    "pattern": r"^https://([a-z0-9]{1,30}\.){1,3}[a-z]{2,10}(/[A-Za-z0-9._-]{1,50}){0,5}/?$",
    "examples": ["https://app.example.com/hooks"],
}
_SECRET = {"type": "string", "maxLength": 200, "pattern": "^whsec_([A-Za-z0-9+/]{4}){8,16}$"}


class KeyPatch(Body):
    """What is to change of a key."""

    webhook_url: Annotated[str, WithJsonSchema(_URL)] | None = None
    webhook_secret: Annotated[str, Field(max_length=200), WithJsonSchema(_SECRET)] | None = None
    label: Name = Field(default_factory=unset)
