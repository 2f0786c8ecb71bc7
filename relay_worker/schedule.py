"""What beat starts, and how often. Each entry expires, so a worker that was away finds no heap of stale ones."""

from __future__ import annotations

from typing import Any

from email_relay.conf import relay_settings

PURGE_SECONDS = 300.0


def beat_schedule() -> dict[str, dict[str, Any]]:
    pause = float(relay_settings().EMPTY_QUEUE_SLEEP)
    return {
        "drain": _every(pause, "email_relay.drain"),
        "heartbeat": _every(pause, "email_relay.heartbeat"),
        "purge": _every(PURGE_SECONDS, "email_relay.purge"),
    }


def _every(seconds: float, task: str) -> dict[str, Any]:
    return {"task": task, "schedule": seconds, "options": {"expires": seconds}}
