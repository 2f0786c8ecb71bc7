"""Numbers and words the engine's SQL and its policy share."""

from __future__ import annotations

SUSPECT_LAPSES = 2
"""From so many lapsed leases on a message is tried alone (P5)."""

FATAL_LAPSES = 5
"""With so many lapsed leases a message fails (P5)."""

LAPSED_LOG = f"Gave up: {FATAL_LAPSES} relays in a row died, or lost the database, while they held this message."

LEASED_COLUMNS = (
    "id",
    "source",
    "priority",
    "retry_count",
    "lapse_count",
    "ready_at",
    "expires_at",
    "created_at",
    "message_id",
    "envelope_from",
    "recipients",
    "pending",
    "refused",
    "size",
    "mime",
)
