"""`contacts`: people by themselves, whatever sequences they are in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

from drip.cli.arguments import (
    SHOWN,
    VARIABLE,
    email_argument,
    json_option,
    limit_option,
    search_option,
    yes_option,
)
from drip.cli.invocation import Invocation, pass_invocation

if TYPE_CHECKING:
    from drip.engine.records import Contact
    from drip.store.store import Store

STATUSES = ("active", "unsubscribed", "bounced", "complained")


@click.group("contacts")
def contacts_command() -> None:
    """Look after people, whatever sequences they are in.

    A contact is one address with a name and variables. It is made when somebody is subscribed, and stays when their
    sequences are over.

    \b
    Example:
      drip contacts list --search example.com
      drip contacts erase ada@example.com
    """


@contacts_command.command("list")
@click.option("--status", type=click.Choice(STATUSES), help="Only those.")
@search_option
@limit_option
@json_option
@pass_invocation
def list_contacts(
    invocation: Invocation, status: str | None, search: str | None, limit: int | None, as_json: bool
) -> None:
    """List contacts, newest first.

    With --json all of them, unless --limit is given.

    \b
    Example:
      drip contacts list --status bounced
      drip contacts list --json | jq -r '.[].email'
    """
    from drip.cli.output import moment, note, note_more, show_table, write_json_array
    from drip.core.subscription import ContactStatus
    from drip.engine.objects import contact_object

    filters: dict[str, Any] = {
        "status": ContactStatus(status) if status else None,
        "search": search.casefold() if search else None,
    }
    with invocation.reading() as store:
        if as_json:
            write_json_array(contact_object(one) for one in store.contacts.each(**filters, limit=limit))
            return
        shown = list(store.contacts.each(**filters, limit=limit or SHOWN))
        more = store.contacts.count(**filters) - len(shown)
    if shown:
        rows = [(one.email, one.name, one.status, moment(one.created_at, invocation.zone)) for one in shown]
        show_table(["email", "name", "status", "since"], rows)
    else:
        note(
            "there is no such contact" if search or status else "there are no contacts yet: `drip subscribe` makes one"
        )
    note_more(more)


@contacts_command.command("show")
@email_argument
@json_option
@pass_invocation
def show_contact(invocation: Invocation, email: str, as_json: bool) -> None:
    """Show one contact: name, variables, and which sequences they are in.

    `drip subscriber SEQ EMAIL` shows what they were sent, and what is to come.

    \b
    Example:
      drip contacts show ada@example.com
    """
    from drip.cli.output import write_json
    from drip.engine.objects import contact_object

    with invocation.reading() as store:
        contact = _find(store, email)
        if as_json:
            write_json(contact_object(contact))
        else:
            _show(invocation, store, contact)


@contacts_command.command("set")
@email_argument
@click.argument("values", metavar="K=V...", type=VARIABLE, nargs=-1, required=True)
@json_option
@pass_invocation
def set_contact(invocation: Invocation, email: str, values: Sequence[tuple[str, Any]], as_json: bool) -> None:
    """Change a contact's name or variables.

    `name=` is the name that templates greet with. All else are variables, seen in every sequence; those of a
    subscription win over them (`drip set SEQ EMAIL`). K:=JSON sets other than text, K:=null removes one. A new
    `timezone` moves what the person waits for.

    \b
    Example:
      drip contacts set ada@example.com name="Ada Lovelace" plan=pro
      drip contacts set ada@example.com coupon:=null
    """
    from drip.cli.output import write_json
    from drip.engine.contact_book import edit_contact
    from drip.engine.objects import contact_object

    variables = dict(values)
    name = _name(variables)
    with invocation.opened() as store:
        known = _find(store, email).email
        contact = edit_contact(store, invocation.settings, known, name, variables, invocation.now())
        if as_json:
            write_json(contact_object(contact))
        else:
            _show(invocation, store, contact)


@contacts_command.command("erase")
@email_argument
@yes_option
@json_option
@pass_invocation
def erase(invocation: Invocation, email: str, yes: bool, as_json: bool) -> None:
    """Forget a person everywhere, for good.

    Their name, variables, subscriptions, deliveries, log and webhook posts are deleted. Were they suppressed, a hash
    of the address stays, which recognises it and keeps it suppressed. Backups, messages in the outbox folder, and what
    was sent or posted already are out of reach: see to those yourself.

    \b
    Example:
      drip contacts erase ada@example.com
      drip contacts erase ada@example.com --yes
    """
    from drip.cli.output import can_ask, clean, confirm, line, note, write_json
    from drip.core.address import known_email
    from drip.engine.contact_book import erase_contact
    from drip.errors import Refused

    address = known_email(email)
    with invocation.opened() as store:
        _require_known(store, address)
        if not yes:
            if not can_ask():
                raise Refused("needs_yes", "erasing can't be undone", "`drip contacts erase EMAIL --yes` does it")
            if not confirm(f"Forget {address} everywhere? It can't be undone."):
                raise Refused("not_confirmed", "nothing was changed")
        suppressed = erase_contact(store, address)
        swept = store.erasure.sweep()
    if as_json:
        write_json({"erased": True, "suppressed": suppressed})
        return
    stays = "a hash stays, so that they are never mailed again" if suppressed else "nothing stays"
    line(clean(f"{address} is forgotten; {stays}"))
    note("backups and messages already written or sent are not reached by this")
    if not swept:
        note("another program reads what was before: traces stay in drip.db-wal until all that use it have ended")


def _find(store: Store, email: str) -> Contact:
    from drip.core.address import known_email
    from drip.engine.contact_book import find_contact
    from drip.errors import NotFound

    try:
        return find_contact(store, known_email(email))
    except NotFound:
        raise NotFound("contact", email, hint=_hint(store, email)) from None


def _require_known(store: Store, address: str) -> None:
    from drip.engine.contact_book import is_known
    from drip.errors import NotFound

    if not is_known(store, address):
        raise NotFound("contact", address, hint=_hint(store, address))


def _hint(store: Store, email: str) -> str:
    from drip.errors import nearest

    near = nearest(email, store.contacts.near(email))
    return f"did you mean {near!r}?" if near else "`drip contacts list` lists them"


def _name(variables: dict[str, Any]) -> str | None:
    """Take the name out of what is to be set; None leaves it as it is, empty removes it."""
    from drip.errors import Invalid

    if "email" in variables:
        raise Invalid("an address can't be changed", "`drip subscribe` the new one, and `drip contacts erase` the old")
    if "name" not in variables:
        return None
    name = variables.pop("name")
    if name is not None and not isinstance(name, str):
        raise Invalid("the name is text", 'write name="Ada"')
    return name or ""


def _show(invocation: Invocation, store: Store, contact: Contact) -> None:
    from drip.cli.output import moment, show_fields

    suppressed = store.suppressions.get(contact.email)
    fields: list[tuple[str, object]] = [
        ("email", contact.email),
        ("name", contact.name),
        ("status", contact.status),
        ("suppressed", suppressed.reason.value if suppressed else None),
        ("since", moment(contact.created_at, invocation.zone)),
    ]
    show_fields([*fields, *_variables(contact), *_sequences(invocation, store, contact)])


def _variables(contact: Contact) -> Iterable[tuple[str, object]]:
    return sorted(contact.variables.items())


def _sequences(invocation: Invocation, store: Store, contact: Contact) -> Iterable[tuple[str, object]]:
    from drip.core.subscription_words import what_is_next

    now, zone = invocation.now(), invocation.zone
    return [(f"in {one.sequence_id}", what_is_next(one, now, zone)) for one in store.overview.of_contact(contact.id)]
