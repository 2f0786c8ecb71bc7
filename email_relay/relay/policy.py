"""Pure: what a source may send, by ``SOURCE_POLICIES``.

A policy maps a source's name, or ``"*"`` for the rest, to any of ``senders`` (addresses or ``@domain``), ``recipient_domains``,
``max_recipients`` and ``max_bytes``.
"""

from __future__ import annotations

from typing import Any, Iterable, Mapping

from email_relay.exceptions import ConfigurationError
from email_relay.relay.leases import Leased

KEYS = {"senders", "recipient_domains", "max_recipients", "max_bytes"}


class Policies:
    """The limits of all sources. Raises `ConfigurationError` for a key it does not know."""

    def __init__(self, by_source: Mapping[str, Mapping[str, Any]]) -> None:
        for source, limits in by_source.items():
            unknown = set(limits) - KEYS
            if unknown:
                raise ConfigurationError(
                    f"SOURCE_POLICIES[{source!r}] has unknown keys {sorted(unknown)}; known are {sorted(KEYS)}."
                )
        self._by_source = by_source

    def complaint(self, message: Leased, content: bytes) -> str:
        """Why the message may not go, or ""."""
        limits = self._by_source.get(message.source) or self._by_source.get("*")
        if not limits:
            return ""
        broken = _broken(limits, message, content)
        return f"Against the relay's policy for {message.source}: {broken}." if broken else ""


def _broken(limits: Mapping[str, Any], message: Leased, content: bytes) -> str:
    recipients = message.recipients or []
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
