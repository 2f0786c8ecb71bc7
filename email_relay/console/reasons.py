"""Why messages were not taken of late: the servers' words with what differs from message to message left out."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

from email_relay.models import Attempt

ATTEMPTS_READ = 2_000
LOOK_BACK = timedelta(days=1)
SHOWN = 8

VARIABLE = re.compile(r"<[^>]*>|\S+@\S+|\b(?=\w*\d)[0-9A-Za-z]{8,}\b")


@dataclass(frozen=True)
class Reason:
    text: str
    count: int


def top_reasons(alias: str, now: datetime) -> list[Reason]:
    """The commonest replies among the latest attempts that did not succeed."""
    attempts = Attempt.objects.using(alias).order_by("-pk").exclude(outcome="sent")
    rows = attempts.values_list("finished_at", "code", "enhanced", "reply")[:ATTEMPTS_READ]
    counts = Counter(words(*row[1:]) for row in rows if row[0] >= now - LOOK_BACK)
    return [Reason(text, count) for text, count in counts.most_common(SHOWN)]


def words(code: int | None, enhanced: str, reply: str) -> str:
    """One line, the same for every message refused for the same reason."""
    text = VARIABLE.sub("…", reply).strip()
    missing = [part for part in (str(code or ""), enhanced) if part and part not in text]
    return " ".join([*missing, text])[:200] or "no reply"
