"""Verdicts as a JUnit report, in the form that CI systems read: testsuites, testsuite, testcase, failure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from drip.cli.files.verdicts import side_by_side
from drip.cli.output import clean
from drip.engine.verdicts import Verdict


def junit_report(verdicts: Sequence[Verdict], paths: Mapping[str, str]) -> bytes:
    """The whole file.

    Args:
        paths: the file of each sequence.
    """
    root = Element("testsuites", {"name": "drip test", **_counts(verdicts)})
    for slug, group in groupby(verdicts, key=lambda verdict: verdict.sequence):
        of_one = list(group)
        suite = SubElement(root, "testsuite", {"name": slug, **_counts(of_one)})
        for verdict in of_one:
            _case(suite, verdict, paths[slug])
    indent(root)
    written: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return written + b"\n"


def _case(suite: Element, verdict: Verdict, path: str) -> None:
    test = verdict.test
    case = SubElement(
        suite, "testcase", classname=verdict.sequence, name=clean(test.name), file=path, line=str(test.line)
    )
    if not verdict.passed:
        first = next(line for line in verdict.lines if not line.same)
        message = clean(f"expected {first.expected}, got {first.got}")
        failure = SubElement(case, "failure", type="difference", message=message)
        failure.text = "\n".join(text for text, _ in side_by_side(verdict))


def _counts(verdicts: Sequence[Verdict]) -> dict[str, str]:
    failed = sum(not verdict.passed for verdict in verdicts)
    return {"tests": str(len(verdicts)), "failures": str(failed), "errors": "0", "skipped": "0"}
