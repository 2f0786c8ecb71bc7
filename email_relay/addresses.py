"""Envelope addresses: the form in which they stand in ``MAIL FROM`` and ``RCPT TO``.

Pure. What comes out is what Django's SMTP backend of the same Django would say: domains in IDNA, no display name.
"""

from __future__ import annotations

import re
from typing import Any, Iterable, List

from email_relay.compat import envelope_address
from email_relay.exceptions import InvalidAddress

PRINTED = 100

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_PLAIN = re.compile(rf"{_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_BREAKS_PATH = re.compile(r"[ <>]")  # RFC 5321 section 4.1.2 allows these in a quoted local part only


def to_envelope(address: Any, encoding: str) -> str:
    """One address for the envelope. Raises `InvalidAddress`.

    A plain ASCII address is its own envelope form (property-tested against Django), which spares parsing it.
    """
    if isinstance(address, str) and _PLAIN.fullmatch(address):
        return address
    try:
        prepared = envelope_address(address, encoding)
    except (AttributeError, IndexError, TypeError, ValueError) as error:  # what Django raises varies
        raise InvalidAddress(f"{_printable(address)} cannot be an envelope address.") from error
    if not prepared or _CONTROL.search(prepared):
        raise InvalidAddress(f"{_printable(address)} is empty or carries control characters.")
    if '"' not in prepared and _BREAKS_PATH.search(prepared):
        raise InvalidAddress(f"{_printable(address)} has a space or an angle bracket outside of quotes.")
    return prepared


def unique(addresses: Iterable[str]) -> List[str]:
    """The addresses in order, each once: nobody is to get a message twice (P3)."""
    return list(dict.fromkeys(addresses))


def domain_of(address: str) -> str:
    """The domain in lower case, empty for a local mailbox such as ``postmaster``."""
    return address.rpartition("@")[2].lower() if "@" in address else ""


def _printable(address: Any) -> str:
    return ascii(str(address))[:PRINTED]
