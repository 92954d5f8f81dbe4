"""People by themselves, whatever sequences they are in: kept, changed, erased."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from drip.core.address import clean_line, email_key, is_erased
from drip.core.settings import Settings
from drip.engine.contact_changes import ContactChange, note_changes
from drip.engine.people import due_of
from drip.engine.ports import Store
from drip.engine.records import Contact, Person
from drip.engine.suppress import CONTACT_STATUS
from drip.errors import NotFound


def keep_contact(
    store: Store, settings: Settings, email: str, name: str | None, variables: Mapping[str, Any], now: datetime
) -> Contact:
    """Make a contact, or change the one with that address. Nobody is subscribed, and an opt-out stays one.

    Args:
        email: as `parse_email` returns it.
        name: None leaves it.
        variables: merged into what there is; None as a value removes a key.
    """
    with store.transaction():
        if store.contacts.by_email(email) is None:
            store.contacts.add([(email, clean_line(name or ""))], now)
            store.suppressions.know(email)
            suppressed = store.suppressions.get(email)
            if suppressed is not None and (status := CONTACT_STATUS.get(suppressed.reason)):
                store.contacts.set_status(email_key(email), status, now)
        return edit_contact(store, settings, email, name, variables, now)


def edit_contact(
    store: Store, settings: Settings, email: str, name: str | None, variables: Mapping[str, Any], now: datetime
) -> Contact:
    """Change a contact, as `keep_contact`; a new `timezone` moves what the person waits for.

    Raises:
        NotFound: there is no such contact.
    """
    with store.transaction():
        contact = find_contact(store, email)
        renamed = name is not None and clean_line(name) != contact.name
        if renamed:
            store.contacts.rename([(contact.id, clean_line(name or ""))], now)
        merged = {key: value for key, value in {**contact.variables, **variables}.items() if value is not None}
        if merged != contact.variables:
            row_ids = store.subscriptions.of_contact(contact.id)
            before = store.subscriptions.people(row_ids)
            store.contacts.set_variables(contact.id, merged, now)
            _retime(store, settings, before, now)
        was = {key: contact.variables.get(key) for key in variables if merged.get(key) != contact.variables.get(key)}
        if renamed or was:
            note_changes(store, [ContactChange(contact.id, contact.name if renamed else None, was)], now)
        return find_contact(store, email)


def erase_contact(store: Store, email: str) -> bool:
    """Forget a person everywhere: subscriptions, deliveries, log. If suppressed, a hash stays that refuses them.

    Also somebody of whom only the suppression list knows.

    Returns:
        Whether they are suppressed, and so a hash stays.

    Raises:
        NotFound: nothing is known of them.
    """
    with store.transaction():
        if not is_known(store, email):
            raise NotFound("contact", email)
        contact = store.contacts.by_email(email)
        store.erasure.person(None if contact is None else contact.id, email_key(email))
        store.suppressions.forget(email_key(email))
        return store.suppressions.get(email) is not None


def is_known(store: Store, email: str) -> bool:
    """Whether there is anything of a person to forget: a contact, or a suppression that names the address."""
    if store.contacts.by_email(email) is not None:
        return True
    suppressed = store.suppressions.get(email)
    return suppressed is not None and not is_erased(suppressed.email)


def find_contact(store: Store, email: str) -> Contact:
    """A contact by address, however it is spelt; raises NotFound."""
    contact = store.contacts.by_email(email)
    if contact is None:
        raise NotFound("contact", email)
    return contact


def _retime(store: Store, settings: Settings, before: Mapping[int, Person], now: datetime) -> None:
    times = []
    for person in store.subscriptions.people(sorted(before)).values():
        moved = person.timezone != before[person.id].timezone
        if moved and person.next_send_at is not None and person.open_state is None:
            stored = store.sequences.by_id(person.sequence_id)
            assert stored is not None
            due = due_of(settings, stored, person, person.origin_at, person.base_at)
            times.append((person.id, due))
    store.subscriptions.retime(times, now)
