"""A person's address in a path: any that is one, however it is written.

An address may have slashes before its @ (RFC 5322, section 3.2.3), and servers undo `%2F` before a path is taken apart.
"""

from __future__ import annotations

from starlette.convertors import Convertor, register_url_convertor

from drip.core.address import known_email


class _Person(Convertor[str]):
    """One @ and no more is looked for, so that a path is looked through once."""

    regex = "(?:[^@]*@)?[^/]+"

    def convert(self, value: str) -> str:
        return known_email(value)

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("person", _Person())

PERSON = "/{email:person}"
"""The end of a path; handlers get the address as it is kept."""
