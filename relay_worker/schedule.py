"""What beat starts, and how often. Each entry expires, so a worker that was away finds no endless heap of stale ones."""

from __future__ import annotations

from typing import Any

from email_relay.conf import relay_settings

PURGE_SECONDS = 300.0
CLOCKS_DIFFER_SECONDS = 2 * 60 * 60.0
"""Whether a task has expired, a worker judges by its own host's clock, which may differ so much from the sender's.

Without this a worker whose clock is ahead would discard every task, and what was deferred would wait for ever.
"""


def beat_schedule() -> dict[str, dict[str, Any]]:
    pause = float(relay_settings().EMPTY_QUEUE_SLEEP)
    return {
        "drain": _every(pause, "email_relay.drain"),
        "heartbeat": _every(pause, "email_relay.heartbeat"),
        "purge": _every(PURGE_SECONDS, "email_relay.purge"),
    }


def _every(seconds: float, task: str) -> dict[str, Any]:
    return {"task": task, "schedule": seconds, "options": {"expires": lifetime(seconds)}}


def lifetime(seconds: float) -> float:
    """After how many seconds a task expires that is of use for so many."""
    return seconds + CLOCKS_DIFFER_SECONDS
