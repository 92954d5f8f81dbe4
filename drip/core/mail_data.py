"""What goes between DATA and the final dot."""

from __future__ import annotations


class MailData(bytes):
    """A message of which each line ends with CRLF, with no CR or LF anywhere else (RFC 5321, section 2.3.8).

    Who makes one vouches for it, and it is not looked at again.
    """

    __slots__ = ()
