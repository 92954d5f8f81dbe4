"""`doctor`: everything that must be right before mail goes out, with the cure of what is not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from drip.cli.arguments import PLACE, json_option, new_address
from drip.cli.invocation import Invocation, pass_invocation

if TYPE_CHECKING:
    from drip.core.checkup import Check
    from drip.project import Project

COLOURS = {"ok": "green", "warning": "yellow", "failure": "red"}


@click.command("doctor")
@click.option("--send", is_flag=True, help="Also mail a message to yourself, to see what arrives.")
@click.option("--to", "address", metavar="EMAIL", help="Where --send mails to; without it, where answers go.")
@click.option("--selector", metavar="NAME", help="The DKIM selector that your mail service gave you.")
@click.option("--resolver", type=PLACE, metavar="HOST:PORT", help="The DNS server to ask; without it, the system's.")
@json_option
@click.pass_context
@pass_invocation
def doctor_command(
    invocation: Invocation,
    context: click.Context,
    send: bool,
    address: str | None,
    selector: str | None,
    resolver: tuple[str, int] | None,
    as_json: bool,
) -> None:
    """Look at everything that mail depends on.

    Files, database, secrets, the login at the mail server, base_url, the clock, and what the DNS says of the From
    domains: MX, SPF, DKIM and DMARC, with the records to publish. Nothing is changed, and nothing sent without --send.
    The exit code is 1 when there is a failure; warnings alone are 0. While mail goes into the outbox, what only the
    world would mind is a warning.

    \b
    Example:
      drip doctor
      drip doctor --selector s1 --resolver 1.1.1.1:53
      drip doctor --send --to you@example.com
    """
    from drip.cli.output import write_json
    from drip.core.checkup import Level

    to = new_address(address, "--to") if address else None
    _require_address(resolver)
    checks = []
    for check in _examine(invocation, resolver, selector, to, send=send):
        checks.append(check)
        if not as_json:
            _show(check)
    counts = {level: sum(check.level is level for check in checks) for level in Level}
    if as_json:
        write_json({"checks": [_object(check) for check in checks], **_summary(counts)})
    else:
        _conclude(counts)
    if counts[Level.FAILURE]:
        context.exit(1)


def _require_address(server: tuple[str, int] | None) -> None:
    import ipaddress

    from drip.errors import Invalid

    try:
        ipaddress.ip_address(server[0] if server else "::1")
    except ValueError:
        assert server is not None
        raise Invalid(f"--resolver: {server[0]!r} is no IP address", "as in --resolver 1.1.1.1:53") from None


def _examine(
    invocation: Invocation, resolver: tuple[str, int] | None, selector: str | None, to: str | None, *, send: bool
) -> Iterator[Check]:
    from drip.core.checkup import failure
    from drip.core.settings import TransportKind
    from drip.errors import FilesInvalid

    try:
        project = invocation.project
    except FilesInvalid as error:
        for problem in error.problems:
            yield failure("config", str(problem), "set it right: without drip.yaml nothing else can be looked at")
        return
    from drip.cli.project import examination

    yield from examination.examine_files(project)
    yield from examination.examine_database(project)
    yield from examination.examine_secrets(project.settings)
    yield from examination.examine_transport(project)
    leaves = project.settings.transport is TransportKind.SMTP
    for check in (*examination.examine_web(project.settings), *_examine_names(project, resolver, selector)):
        yield check if leaves or check.name == "clock" else _milder(check)
    if send:
        yield _send(invocation, to)


def _milder(check: Check) -> Check:
    """While mail goes into a folder, the world does not mind."""
    from dataclasses import replace

    from drip.core.checkup import Level

    return replace(check, level=Level.WARNING) if check.level is Level.FAILURE else check


def _examine_names(project: Project, server: tuple[str, int] | None, selector: str | None) -> Iterator[Check]:
    from drip.core.address import domain_of
    from drip.core.checkup import warning
    from drip.engine.names import NoResolver
    from drip.engine.sender_domain import Way, examine_domain, own_record
    from drip.transport.resolver import Resolver

    smtp = project.settings.smtp if project.settings.transport == "smtp" else None
    envelope = domain_of(smtp.envelope_from) if smtp is not None and smtp.envelope_from else None
    dkim = smtp.dkim if smtp else None
    way = Way(smtp.host if smtp else None, envelope, dkim, selector)
    try:
        names = Resolver(server)
        for domain in _from_domains(project):
            yield from examine_domain(names, domain, way)
    except NoResolver as error:
        cure = "run it where the DNS can be asked, or name a server: --resolver 1.1.1.1:53"
        record = own_record(dkim) if dkim else None
        yield warning("dns", f"{error.message}: MX, SPF, DKIM and DMARC were not looked at", cure, record)


def _from_domains(project: Project) -> list[str]:
    """The domains that stand in From anywhere, the project's own first."""
    settings, found = project.settings, [project.settings.sender.domain]
    for definition in project.files().definitions:
        sequence = definition.sequence
        senders = [step.sender or sequence.sender or settings.sender for step in sequence.steps]
        found += [sender.domain for sender in senders]
    return list(dict.fromkeys(domain.lower() for domain in found))


def _send(invocation: Invocation, to: str | None) -> Check:
    from drip.core.checkup import failure, ok
    from drip.core.delivery import OutcomeKind
    from drip.engine.trial import letter_to_oneself, send_trial

    settings = invocation.settings
    address = to or (settings.reply_to or settings.sender).email
    message, token = letter_to_oneself(settings, address, invocation.now())
    outcome = send_trial(invocation.project.transport, settings, message, token)
    said = f"{outcome.code or ''} {outcome.text}".strip()
    if outcome.kind is OutcomeKind.SENT:
        wanted = "look for spf=pass, dkim=pass and dmarc=pass in its Authentication-Results"
        return ok("send", f"{address}: {said}; {wanted}")
    return failure("send", f"{address}: {said}", "the server's words say why; `drip guide sending-for-real` helps")


def _show(check: Check) -> None:
    from drip.cli.output import clean, line, paint

    line(f"{paint(check.level.value.ljust(8), COLOURS[check.level])} {check.name:<15} {clean(check.message)}")
    if check.cure:
        line(f"{'':24} → {clean(check.cure)}")
    if check.record:
        for name, value in (("name", check.record.name), ("type", check.record.type), ("value", check.record.value)):
            line(f"{'':26} {name:<6} {clean(value)}")


def _conclude(counts: Any) -> None:
    from drip.cli.output import count, note
    from drip.core.checkup import Level

    found = [(counts[Level.FAILURE], "failure"), (counts[Level.WARNING], "warning")]
    note(", ".join(count(number, noun) for number, noun in found if number) or "all is well")


def _summary(counts: Any) -> dict[str, int]:
    from drip.core.checkup import Level

    return {"ok": counts[Level.OK], "warnings": counts[Level.WARNING], "failures": counts[Level.FAILURE]}


def _object(check: Check) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "name": check.name,
        "status": check.level.value,
        "message": check.message,
        "cure": check.cure,
        "record": asdict(check.record) if check.record else None,
    }
