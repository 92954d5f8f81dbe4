"""`test`: runs the `tests:` of the sequence files, and says what differs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from drip.cli.arguments import complete_files, complete_sequences, json_option
from drip.cli.invocation import Invocation, pass_invocation

if TYPE_CHECKING:
    from drip.engine.verdicts import Verdict
    from drip.files.sequences import ProjectFiles


@click.command("test")
@click.argument("sequences", metavar="[SEQ]...", nargs=-1, shell_complete=complete_sequences)
@click.option("--junit", metavar="FILE", help="Also write a JUnit report, for CI.", shell_complete=complete_files)
@json_option
@click.pass_context
@pass_invocation
def test_command(
    invocation: Invocation, context: click.Context, sequences: tuple[str, ...], junit: str | None, as_json: bool
) -> None:
    """Run the tests of the sequence files.

    Each test of `tests:` is one made-up subscriber; the engine that sends runs for them on a clock that jumps, and what
    comes of it is held against what is expected. Nothing is sent and nothing is written. The exit code is 1 when a
    test fails. Without SEQ, the tests of all sequences.

    \b
    Example:
      drip test
      drip test welcome --junit report.xml
    """
    from drip.cli.files.problems import usable
    from drip.cli.files.verdicts import verdict_object
    from drip.cli.output import line, note, write_json

    files = usable(invocation.project.files())
    verdicts = []
    for verdict in _verdicts(invocation, files, _chosen(files, sequences)):
        verdicts.append(verdict)
        if not as_json:
            for text in _lines(verdict, files):
                line(text)
    failed = sum(not verdict.passed for verdict in verdicts)
    if as_json:
        tests = [verdict_object(verdict, files.paths[verdict.sequence]) for verdict in verdicts]
        write_json({"passed": len(verdicts) - failed, "failed": failed, "tests": tests})
    else:
        note(_summary(len(verdicts), failed))
    if junit is not None:
        _write_junit(invocation, junit, verdicts, files)
    if failed:
        context.exit(1)


def _chosen(files: ProjectFiles, wanted: Sequence[str]) -> list[str]:
    from drip.errors import NotFound

    for slug in wanted:
        if slug not in files.paths:
            raise NotFound("sequence file", slug, files.paths)
    return [slug for slug in files.paths if slug in files.tests and (not wanted or slug in wanted)]


def _verdicts(invocation: Invocation, files: ProjectFiles, slugs: Sequence[str]) -> Iterator[Verdict]:
    from drip.engine.verdicts import run_test

    definitions = {definition.sequence.id: definition for definition in files.definitions}
    for slug in slugs:
        for test in files.tests[slug]:
            with invocation.project.rehearsal(test.subscriber.at) as rehearsal:
                yield run_test(rehearsal, definitions[slug], test)


def _summary(tests: int, failed: int) -> str:
    from drip.cli.output import count

    if not tests:
        return "no tests: write some as `tests:` in a sequence file"
    return f"{count(tests, 'test')}: " + (f"{failed} failed, {tests - failed} passed" if failed else "all passed")


def _lines(verdict: Verdict, files: ProjectFiles) -> Iterator[str]:
    from drip.cli.files.verdicts import side_by_side
    from drip.cli.output import clean, paint

    name = clean(f"{verdict.sequence}: {verdict.test.name}")
    if verdict.passed:
        yield f"{paint('ok', 'green')}    {name}"
        return
    place = f"{files.paths[verdict.sequence]}:{verdict.test.line}"
    yield f"{paint('FAIL', 'red')}  {name}   {clean(place)}"
    for text, same in side_by_side(verdict):
        yield text if same else paint(text, "red")


def _write_junit(invocation: Invocation, target: str, verdicts: Sequence[Verdict], files: ProjectFiles) -> None:
    from drip.cli.files.junit import junit_report
    from drip.errors import Invalid

    path = invocation.path(target)
    try:
        path.write_bytes(junit_report(verdicts, files.paths))
    except OSError as error:
        raise Invalid(f"--junit: {path} can't be written: {(error.strerror or str(error)).lower()}") from error
