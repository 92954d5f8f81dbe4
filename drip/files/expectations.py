"""The `tests:` of a sequence file, as `drip.core.expectations` has them. Nothing is run here."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import UTC, date, datetime
from typing import Any

from drip.core.address import parse_email
from drip.core.delivery import Reason
from drip.core.expectations import (
    DEFAULT_START,
    SKIP_REASONS,
    Ending,
    ExpectedStep,
    SampleSubscriber,
    SequenceTest,
)
from drip.core.moments import parse_moment
from drip.files import values
from drip.files.document import Document
from drip.files.reader import Section, plain_value, section_of
from drip.files.tree import MappingNode, Node, Scalar
from drip.files.wording import BadValue, either, quote, suggest

TEST_KEYS = ("name", "subscribe", "expect")
SUBSCRIBE_KEYS = ("at", "email", "name", "timezone", "variables")
EXPECT_KEYS = ("step", "on", "at", "after", "subject", "skipped")

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def read_tests(sequence: Section, steps: Collection[str]) -> tuple[SequenceTest, ...]:
    """`tests:`.

    Args:
        steps: the keys of the sequence's steps.
    """
    found = []
    for where, node in sequence.items("tests", "a list of tests"):
        section = section_of(sequence.document, node, where, TEST_KEYS)
        if section is not None:
            found.append(_test(section, steps))
    return tuple(found)


def _test(section: Section, steps: Collection[str]) -> SequenceTest:
    section.require("name", "write name: a free user gets all three")
    expected: list[ExpectedStep] = []
    ending: Ending | None = None
    if not section.has("expect"):
        section.require("expect", "write expect: with the steps that must be sent")
    for where, node in section.items("expect", "a list of steps and a last word"):
        if ending is not None:
            section.document.report(node, where, f"nothing can follow after {ending.value!r}", "put it last")
        if isinstance(node, Scalar):
            ending = _ending(section.document, node, where) or ending
        elif (step := _step(section.document, node, where, steps)) is not None:
            expected.append(step)
    return SequenceTest(
        name=section.text("name") or "",
        subscriber=_subscriber(section),
        steps=tuple(expected),
        ending=ending,
        line=section.node.line,
    )


def _subscriber(test: Section) -> SampleSubscriber:
    section = test.section("subscribe", SUBSCRIBE_KEYS)
    if section is None:
        return SampleSubscriber()
    default = SampleSubscriber()
    return SampleSubscriber(
        at=section.parsed("at", _moment, wanted="a time like 2026-03-27T09:30Z") or DEFAULT_START,
        email=section.parsed("email", parse_email) or default.email,
        name=section.text("name") or "",
        timezone=section.parsed("timezone", values.zone_name),
        variables=_variables(section),
    )


def _moment(text: str) -> datetime:
    moment = parse_moment(text)
    if not 1971 <= moment.year <= 9000:
        raise BadValue(f"{quote(text)} is out of range")
    return moment.astimezone(UTC)


def _variables(section: Section) -> dict[str, Any]:
    node = section.get("variables")
    if not section.has("variables"):
        return {}
    if not isinstance(node, MappingNode):
        section.error("variables", "they are not names with values", "write variables: {name: Ada}")
        return {}
    where = section.path("variables")
    return {
        name: plain_value(section.document, value, f"{where}.{name[:60]}") for name, (_, value) in node.entries.items()
    }


def _ending(document: Document, node: Scalar, where: str) -> Ending | None:
    words = [ending.value for ending in Ending]
    if node.text in words:
        return Ending(node.text)
    hint = suggest(node.text, words, listing=False) or "a step is written as {step: welcome}"
    document.report(node, where, f"found {quote(node.text)}, wanted a step, or {either(words)}", hint)
    return None


def _step(document: Document, node: Node, where: str, steps: Collection[str]) -> ExpectedStep | None:
    section = section_of(document, node, where, EXPECT_KEYS)
    if section is None or not section.require("step", "write step: with the id of a step"):
        return None

    def known(text: str) -> str:
        if text not in steps:
            raise BadValue(f"there is no step {quote(text)}", suggest(text, steps))
        return text

    key = section.parsed("step", known)
    if section.has("skipped"):
        for other in ("subject",):
            if section.has(other):
                section.error(other, "a step that is skipped has none", f"remove `{other}`")
    expected = ExpectedStep(
        step=key or "",
        on=section.parsed("on", _date, wanted="a date like 2026-03-27"),
        at=section.parsed("at", values.clock, wanted="a time of day like '09:30'"),
        after=section.duration("after"),
        subject=section.text("subject"),
        skipped=_skipped(section),
    )
    return expected if key is not None else None


def _skipped(section: Section) -> Reason | bool:
    node = section.get("skipped")
    words = [reason.value for reason in SKIP_REASONS]
    if isinstance(node, Scalar) and node.text in words:
        return Reason(node.text)
    if isinstance(node, Scalar) and node.text in ("true", "false"):
        return node.text == "true"
    if section.has("skipped"):
        section.error("skipped", f"wanted true, {either(words)}")
    return False


def _date(text: str) -> date:
    try:
        if _DATE.fullmatch(text) is None:
            raise ValueError
        return date.fromisoformat(text)
    except ValueError:
        raise BadValue(f"{quote(text)} is not a date", "write it as 2026-03-27") from None
