"""Which messages are meant: the filters the admin and ``relayqueue`` share."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Tuple

from django.db.models import F, Q

from email_relay.console.recipients import addressed_to, in_domain
from email_relay.console.search import created_before, created_since, default_since, with_subject
from email_relay.db import DatabaseNow
from email_relay.models import CLAIMABLE, Status

if TYPE_CHECKING:
    from email_relay.models import MessageQuerySet


@dataclass(frozen=True)
class Selection:
    """Conditions that must all hold; an empty one selects everything. Instants are aware."""

    ids: Tuple[int, ...] = ()
    statuses: Tuple[int, ...] = ()
    source: str | None = None
    priority: int | None = None
    recipient: str | None = None
    domain: str | None = None
    message_id: str | None = None
    queue_id: str | None = None
    subject: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    due: bool = False

    @property
    def is_empty(self) -> bool:
        return self == Selection()

    def apply(self, messages: MessageQuerySet) -> MessageQuerySet:
        messages = self._by_columns(messages)
        if self.recipient:
            messages, condition = addressed_to(messages, self.recipient)
            messages = messages.filter(condition)
        messages = self._by_time(messages)
        if self.domain:
            messages = in_domain(messages, self.domain)
        if self.subject:
            messages = with_subject(messages, self.subject, since=self.since)
        return messages

    def _by_columns(self, messages: MessageQuerySet) -> MessageQuerySet:
        given = {"pk__in": self.ids, "status__in": self.statuses, "source": self.source, "priority": self.priority}
        messages = messages.filter(**{name: value for name, value in given.items() if value not in {None, ()}})
        if self.message_id:
            bare = self.message_id.strip("<> ")
            messages = messages.filter(message_id__in=[bare, f"<{bare}>"])
        if self.queue_id:
            messages = messages.filter(queue_id=self.queue_id)
        return due_now(messages) if self.due else messages

    def _by_time(self, messages: MessageQuerySet) -> MessageQuerySet:
        since = self.since
        if since is None and self.domain and not self._is_narrow:
            since = default_since(messages)
        if since is not None:
            messages = created_since(messages, since)
        return messages if self.until is None else created_before(messages, self.until)

    @property
    def _is_narrow(self) -> bool:
        """True if an index leaves few rows, so that each may be read."""
        by_status = bool(self.statuses) and Status.SENT not in self.statuses
        return bool(by_status or self.ids or self.recipient or self.message_id or self.queue_id or self.due)


def due_now(messages: MessageQuerySet) -> MessageQuerySet:
    return messages.filter(Q(status__in=CLAIMABLE), due_at__lte=DatabaseNow())


def newest_order(*, narrow: bool) -> list[Any]:
    """Ordering by age. Where few rows match, sorting those beats walking the whole table backwards by its primary key,
    and PostgreSQL, which guesses that more match, must be told: no index has this expression.
    """
    return [(F("pk") + 0).desc(), "-pk"] if narrow else ["-pk"]
