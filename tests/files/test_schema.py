"""The published schemas, held against the reader: same keys, good files pass, bad types do not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from drip.core.settings import PROVIDERS
from drip.files.config import CONFIG_KEYS
from drip.files.config_around import HTTP_KEYS, IMAP_KEYS, INBOUND_KEYS, WEBHOOK_KEYS
from drip.files.config_sending import DKIM_KEYS, LIMITS_KEYS, RAMP_KEYS, RETRY_KEYS, SMTP_KEYS
from drip.files.declared import VARIABLE_KEYS
from drip.files.document import Document
from drip.files.expectations import EXPECT_KEYS, SUBSCRIBE_KEYS, TEST_KEYS
from drip.files.reader import plain_value
from drip.files.schema import sequence_schema
from drip.files.schema_config import config_schema
from drip.files.sequences import SEQUENCE_KEYS
from drip.files.starter import starter_files
from drip.files.steps import STEP_KEYS, WINDOW_KEYS
from tests.files.test_config import WHOLE
from tests.files.test_sequences import ONBOARDING

ROOT = Path(__file__).parents[2]


def value_of(text: str) -> Any:
    """A YAML text as JSON has it."""
    document = Document("x")
    node = document.read(text.encode())
    assert node is not None
    assert document.problems == []
    return plain_value(document, node, "")


def properties(schema: Any, *path: str) -> set[str]:
    """The keys of the mapping at a path of properties; `[]` is a list's items, `*` any other key."""
    for name in path:
        schema = _mapping(schema)
        inner = {"[]": lambda s: s["items"], "*": lambda s: s["additionalProperties"]}.get(name)
        schema = inner(schema) if inner is not None else schema["properties"][name]
    return set(_mapping(schema)["properties"])


def _mapping(schema: Any) -> Any:
    """The alternative that is a mapping or a list."""
    options = [schema, *schema.get("anyOf", [])]
    return next(option for option in options if option.get("type") in ("object", "array"))


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        ((), SEQUENCE_KEYS),
        (("steps", "[]"), STEP_KEYS),
        (("steps", "[]", "send_window"), WINDOW_KEYS),
        (("send_window",), WINDOW_KEYS),
        (("variables", "*"), VARIABLE_KEYS),
        (("tests", "[]"), TEST_KEYS),
        (("tests", "[]", "subscribe"), SUBSCRIBE_KEYS),
    ],
)
def test_keys_of_sequence_files(path: tuple[str, ...], keys: tuple[str, ...]) -> None:
    assert properties(sequence_schema(), *path) == set(keys)


def test_keys_of_expectations() -> None:
    test = _mapping(_mapping(sequence_schema()["properties"]["tests"])["items"])
    assert set(_mapping(test["properties"]["expect"])["items"]["anyOf"][0]["properties"]) == set(EXPECT_KEYS)


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        ((), CONFIG_KEYS),
        (("smtp",), SMTP_KEYS),
        (("smtp", "dkim"), DKIM_KEYS),
        (("limits",), LIMITS_KEYS),
        (("limits", "ramp"), RAMP_KEYS),
        (("retry",), RETRY_KEYS),
        (("http",), HTTP_KEYS),
        (("webhooks", "[]"), WEBHOOK_KEYS),
        (("inbound",), INBOUND_KEYS),
        (("inbound", "imap"), IMAP_KEYS),
        (("inbound", "providers"), PROVIDERS),
    ],
)
def test_keys_of_drip_yaml(path: tuple[str, ...], keys: tuple[str, ...]) -> None:
    assert properties(config_schema(), *path) == set(keys)


@pytest.mark.parametrize("schema", [sequence_schema(), config_schema()])
def test_they_are_schemas_that_describe_everything(schema: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(schema)
    assert all(value.get("description") for value in schema["properties"].values())


def test_good_files_pass() -> None:
    sequences = Draft202012Validator(sequence_schema())
    config = Draft202012Validator(config_schema())
    starter = {name: content.decode() for name, content in starter_files().items()}
    for text in (ONBOARDING, starter["sequences/welcome.yaml"]):
        assert list(sequences.iter_errors(value_of(text))) == []
    for path in (ROOT / "sequences").glob("*.yaml"):
        assert list(sequences.iter_errors(value_of(path.read_text()))) == []
    for text in (WHOLE, starter["drip.yaml"], (ROOT / "drip.yaml").read_text(), "from: a@b.c\nsmtp:\nreply_to: ~\n"):
        assert list(config.iter_errors(value_of(text))) == []


STEP = "steps: [{id: a, delay: 0, subject: s, body: b%s}]"


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "steps: {}",
        "nmae: a\nsteps: []",
        "name: 1\nsteps: []",
        "status: on\nsteps: []",
        "stale_after: 3\nsteps: []",
        "send_window: {}\nsteps: []",
        "send_window: {hours: 9}\nsteps: []",
        "variables: {a: {required: yes}}\nsteps: []",
        "variables: {a-b: {}}\nsteps: []",
        STEP % ", dealy: 1d",
        STEP % ", text: t",
        STEP % ", at: 930",
        STEP % ", headers: {To: x}",
        STEP.replace("delay: 0", "delay: 3") % "",
        STEP.replace("id: a", "id: A b") % "",
        STEP.replace("delay: 0, ", "") % "",
        STEP.replace(", body: b", "") % "",
        STEP % "" + "\ntests: [{name: a, expect: [done]}]",
        STEP % "" + "\ntests: [{name: a, expect: [{stp: a}]}]",
    ],
)
def test_bad_sequence_files_fail(text: str) -> None:
    assert not Draft202012Validator(sequence_schema()).is_valid(value_of(text))


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "from: ana",
        "from: a@b.c\nform: x",
        "from: a@b.c\ntransport: stmp",
        "from: a@b.c\nsmtp: {port: x}",
        "from: a@b.c\nsmtp: {port: 0}",
        "from: a@b.c\nsmtp: {hots: x}",
        "from: a@b.c\nlimits: {rate: 14}",
        "from: a@b.c\nretry: {factor: 0.5}",
        "from: a@b.c\nwebhooks: {url: x}",
        "from: a@b.c\nwebhooks: [{url: x, secret: y}]",
        "from: a@b.c\ninbound: {mail: x}",
        "from: a@b.c\nauthorized_domains: b.c",
    ],
)
def test_bad_configs_fail(text: str) -> None:
    assert not Draft202012Validator(config_schema()).is_valid(value_of(text))


def test_they_are_json() -> None:
    for schema in (sequence_schema(), config_schema()):
        assert json.loads(json.dumps(schema)) == schema
