"""Pure: what a source may send, by ``SOURCE_POLICIES``.

A policy maps a source's name, or ``"*"`` for the rest, to any of ``senders`` (addresses or ``@domain``), ``recipient_domains``,
``max_recipients``, ``max_bytes`` and ``messages_per_minute``. ``on_violation`` says whether a message outside it fails or is held.
"""

from __future__ import annotations

from typing import Any, Dict, Iterable, Mapping

from email_relay.relay.leases import Leased
from email_relay.source_policies import HOLD

EVERYBODY_ELSE = "*"


class Policies:
    """The limits of all sources."""

    def __init__(self, by_source: Mapping[str, Mapping[str, Any]]) -> None:
        self._by_source = by_source

    def complaint(self, message: Leased, content: bytes) -> str:
        """Why the message may not go, or ""."""
        limits = self._of(message.source)
        broken = _broken(limits, message, content) if limits else ""
        return f"Against the relay's policy for {message.source}: {broken}." if broken else ""

    def holds(self, source: str) -> bool:
        """Whether a message outside the policy waits for an operator instead of failing."""
        return bool(self._of(source).get("on_violation") == HOLD)

    def interval(self, source: str) -> float:
        """Seconds between two messages of this source; 0 is no limit."""
        return _interval(self._of(source))

    def paced(self) -> Dict[str, bool]:
        """Whether a source has a rate, for each that is named, and ``"*"`` for the rest. Empty where none has."""
        paced = {source: _interval(limits) > 0 for source, limits in self._by_source.items()}
        return paced if any(paced.values()) else {}

    def _of(self, source: str) -> Mapping[str, Any]:
        return self._by_source.get(source, self._by_source.get(EVERYBODY_ELSE, {}))


def _interval(limits: Mapping[str, Any]) -> float:
    per_minute = limits.get("messages_per_minute")
    return 60 / per_minute if per_minute else 0.0


def _broken(limits: Mapping[str, Any], message: Leased, content: bytes) -> str:
    # whoever is owed counts, named as a recipient or not
    recipients = {*(message.recipients or []), *message.owed}
    if "senders" in limits and not _matches(message.sender or "", limits["senders"]):
        return "this sender is not allowed"
    if "recipient_domains" in limits and not all(_matches(to, limits["recipient_domains"]) for to in recipients):
        return "a recipient's domain is not allowed"
    if len(recipients) > limits.get("max_recipients", len(recipients)):
        return f"more than {limits['max_recipients']} recipients"
    if len(content) > limits.get("max_bytes", len(content)):
        return f"larger than {limits['max_bytes']} bytes"
    return ""


def _matches(address: str, patterns: Iterable[str]) -> bool:
    lowered = address.lower()
    domain = lowered.rpartition("@")[2]
    return any(pattern.lower() in (lowered, domain, f"@{domain}") for pattern in patterns)
