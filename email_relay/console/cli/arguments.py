"""The command line's words, and the `Selection` they mean."""

from __future__ import annotations

import argparse
import re
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone
from django.utils.dateparse import parse_datetime

from email_relay.console.selection import Selection
from email_relay.models import Priority, Status

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
STATUSES = {status.name.lower(): status for status in Status}
PRIORITIES = {priority.name.lower(): priority for priority in Priority}


def instant(text: str) -> datetime:
    """An ISO instant, or how long ago: ``90m``, ``2h``, ``3d``."""
    ago = re.fullmatch(r"(\d+)([smhd])", text.strip())
    if ago:
        return timezone.now() - timedelta(**{UNITS[ago.group(2)]: int(ago.group(1))})
    try:
        given = parse_datetime(text.strip())
    except ValueError:
        given = None
    if given is None:
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither an instant such as 2026-01-31T08:00 nor an age such as 2h"
        )
    return given if given.tzinfo else timezone.make_aware(given)


def add_filters(parser: argparse.ArgumentParser) -> None:
    """The filters every verb shares with the admin."""
    parser.add_argument("ids", nargs="*", type=int, metavar="ID", help="Row numbers.")
    parser.add_argument("--status", action="append", choices=sorted(STATUSES), help="May be given more than once.")
    parser.add_argument("--source", help="The project that queued it.")
    parser.add_argument("--priority", choices=sorted(PRIORITIES))
    parser.add_argument("--recipient", help="An address of the envelope.")
    parser.add_argument(
        "--domain", help="Recipients at this domain (of the last day, unless another filter narrows it)."
    )
    parser.add_argument("--message-id")
    parser.add_argument("--queue-id", help="The server's own id.")
    parser.add_argument("--subject", help="Words in the subject (of the last day, unless --since is given).")
    parser.add_argument("--since", type=instant, metavar="WHEN", help="Queued since: an ISO instant, or an age: 2h.")
    parser.add_argument("--until", type=instant, metavar="WHEN", help="Queued before.")
    parser.add_argument("--due", action="store_true", help="Only what a relay may take now.")


def selection(options: dict[str, Any]) -> Selection:
    priority = options.get("priority")
    return Selection(
        ids=tuple(options.get("ids") or ()),
        statuses=tuple(STATUSES[name] for name in options.get("status") or ()),
        priority=None if priority is None else PRIORITIES[priority],
        **{
            name: options.get(name) or None
            for name in ("source", "recipient", "domain", "message_id", "queue_id", "subject", "since", "until")
        },
        due=bool(options.get("due")),
    )
