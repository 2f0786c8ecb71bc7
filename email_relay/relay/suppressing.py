"""Feeding the suppression list: addresses of which the server said for good that there is no such user."""

from __future__ import annotations

from typing import Iterable

from email_relay.models import Suppression
from email_relay.relay.outcomes import Verdict

NO_SUCH_USER = "5.1.1"
"""Bad destination mailbox address (RFC 3463 section 3.2); other refusals may pass."""


def suppress_unknown_users(alias: str, verdicts: Iterable[Verdict]) -> int:
    """Put the unknown recipients of these verdicts on the list; returns how many were looked at."""
    unknown = {
        address.lower(): reply
        for verdict in verdicts
        for address, reply in verdict.replies.items()
        if reply.permanent and reply.enhanced == NO_SUCH_USER
    }
    for address, reply in unknown.items():
        Suppression.objects.using(alias).get_or_create(pattern=address[:255], defaults={"reason": f"refused: {reply}"})
    return len(unknown)
