"""Staging safety: mail of a test system reaches testers only, and says whom it was meant for. Pure."""

from __future__ import annotations

from typing import List, Sequence, Tuple

from email_relay.addresses import domain_of, to_envelope, unique
from email_relay.conf import RelaySettings
from email_relay.options import ORIGINAL_TO

FOLD = "\r\n "


def restrict(recipients: Sequence[str], settings: RelaySettings) -> Tuple[List[str], bytes]:
    """Who gets the message, and the header line (or nothing) that tells who was meant to.

    ``OVERRIDE_RECIPIENTS`` replaces everybody; ``ALLOWED_RECIPIENT_DOMAINS`` drops those whose domain is not in it exactly.
    """
    kept = _kept(recipients, settings)
    if kept == list(recipients):
        return kept, b""
    return kept, f"{ORIGINAL_TO}: {f',{FOLD}'.join(recipients)}\r\n".encode()


def _kept(recipients: Sequence[str], settings: RelaySettings) -> List[str]:
    if settings.OVERRIDE_RECIPIENTS is not None:
        return unique(to_envelope(address, "utf-8") for address in settings.OVERRIDE_RECIPIENTS)
    if settings.ALLOWED_RECIPIENT_DOMAINS is not None:
        allowed = {domain.lower().lstrip("@") for domain in settings.ALLOWED_RECIPIENT_DOMAINS}
        return [address for address in recipients if domain_of(address) in allowed]
    return list(recipients)
