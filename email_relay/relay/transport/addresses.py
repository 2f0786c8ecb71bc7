"""Envelope addresses on the wire: IDNA domains, and nothing that could become a command (P12, RFC 5321 section 4.1.2)."""

from __future__ import annotations

import re
from functools import lru_cache

from email_relay.relay.transport.base import Reply

MAX_LENGTH = 512
"""Characters; RFC 5321 section 4.5.3.1 promises less, so a server decides about what is shorter."""

BAD_SENDER = Reply(553, "the sender is not an address that can be put on an SMTP envelope", "5.1.7")
BAD_RECIPIENT = Reply(553, "the recipient is not an address that can be put on an SMTP envelope", "5.1.3")
SENDER_NEEDS_SMTPUTF8 = Reply(550, "the sender has a non-ASCII local part and the server lacks SMTPUTF8", "5.6.7")
RECIPIENT_NEEDS_SMTPUTF8 = Reply(553, "the recipient has a non-ASCII local part and the server lacks SMTPUTF8", "5.6.7")

_FORBIDDEN = re.compile(r"[\s\x00-\x20\x7f-\xa0\u2028\u2029<>]")


class UnusableAddress(ValueError):
    """The address cannot stand between the angle brackets of a MAIL or RCPT command."""


@lru_cache(maxsize=4096)
def path(address: str) -> bytes:
    """What goes between the angle brackets: ASCII where possible, UTF-8 when the local part asks for SMTPUTF8.

    Raises `UnusableAddress`.
    """
    if len(address) > MAX_LENGTH or _FORBIDDEN.search(address):
        raise UnusableAddress("the address holds a space, a control character or an angle bracket, or is too long")
    if address.isascii():
        return address.encode("ascii")
    local, at, domain = address.rpartition("@")
    try:
        return local.encode() + at.encode() + _ascii_domain(domain)
    except UnicodeError as error:
        raise UnusableAddress("the address cannot be encoded") from error


def _ascii_domain(domain: str) -> bytes:
    encoded = domain.encode("idna") if not domain.isascii() else domain.encode("ascii")
    if _FORBIDDEN.search(encoded.decode("ascii")):
        raise UnusableAddress("the domain holds characters that hide behind their compatibility forms")
    return encoded
