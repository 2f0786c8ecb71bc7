"""Enqueue: messages become rows of the relay database. The one way in.

One message is one statement outside of any transaction of our own; many are one transaction, rendered and written chunk
by chunk. A transaction that is open on the relay alias takes the rows with it (P11).
"""

from __future__ import annotations

import functools
import itertools
from typing import Any, Iterable, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from django.core.mail import EmailMessage
from django.db import IntegrityError, connections, transaction

from email_relay.conf import relay_settings, source_name
from email_relay.db import relay_alias
from email_relay.envelope import Prepared, prepare
from email_relay.exceptions import QueueUnavailable
from email_relay.insert import PARAMETERS, Insert, first_message_ids
from email_relay.signals import announce, message_queued
from email_relay.unavailable import check_alias, explained

CHUNK_ROWS = 500
CHUNK_BYTES = 4 * 1024 * 1024
DUPLICATE_KEY = 1062  # MySQL and MariaDB


class RelayHandle(NamedTuple):
    """How the sender of a message may ask after it: `email_relay.queue.status`."""

    source: str
    message_id: str


Item = Tuple[EmailMessage, Prepared]


def enqueue(
    messages: Iterable[EmailMessage],
    *,
    defaults: Optional[Mapping[str, Any]] = None,
    fail_silently: bool = False,
    sender: Any = None,
) -> int:
    """Queue messages; returns how many were taken (one without recipients is not).

    Each message that was taken carries its `RelayHandle` as ``relay_handle`` afterwards. All are queued or none.
    ``fail_silently`` swallows `QueueUnavailable` and nothing else. With ``ENQUEUE_ON_COMMIT`` rows are written when the
    watched transaction commits; everything but the database's trouble is still raised here. ``sender`` is named by the
    signal.
    """
    alias = relay_alias()
    check_alias(alias)
    watched = _watched(alias)
    submission = Submission(alias, sender)
    items = _prepared(messages, defaults)
    try:
        if watched is None:
            return submission.write(items)
        return submission.write_on_commit(list(items), watched, fail_silently=fail_silently)
    except QueueUnavailable:
        if not fail_silently:
            raise
        return 0


def _watched(alias: str) -> Optional[str]:
    """The alias whose commit is to be awaited; the relay's own needs no waiting, its rows roll back with it."""
    on_commit = relay_settings().ENQUEUE_ON_COMMIT
    if not on_commit:
        return None
    watched = "default" if on_commit is True else on_commit
    check_alias(watched)
    return None if watched == alias else watched


def _prepared(messages: Iterable[EmailMessage], defaults: Optional[Mapping[str, Any]]) -> Iterator[Item]:
    for email in messages:
        prepared = prepare(email, defaults)
        if prepared is not None:
            yield email, prepared


class Submission:
    """One call of `enqueue` on its way into the database."""

    def __init__(self, alias: str, sender: Any) -> None:
        self._alias = alias
        self._connection = connections[alias]
        self._source = source_name()
        self._sender = sender
        self._insert = Insert(self._connection, self._source)

    def write(self, items: Iterable[Item]) -> int:
        """Write all in as few statements as may be; only when there are several is a transaction opened."""
        chunks = _chunks(items, self._chunk_rows())
        head = list(itertools.islice(chunks, 2))
        if len(head) < 2:  # noqa: PLR2004 - one chunk is one statement, atomic by itself
            written = [self._write_chunk(chunk) for chunk in head]
        else:
            with explained(self._connection), transaction.atomic(using=self._alias):
                written = [self._write_chunk(chunk) for chunk in itertools.chain(head, chunks)]
        return self._handed_over(itertools.chain.from_iterable(written))

    def write_on_commit(self, items: List[Item], watched: str, *, fail_silently: bool) -> int:
        for email, prepared in items:
            _mark(email, RelayHandle(self._source, prepared.message_id))
        transaction.on_commit(functools.partial(self._write_late, items, fail_silently=fail_silently), using=watched)
        return len(items)

    def _write_late(self, items: List[Item], *, fail_silently: bool) -> None:
        try:
            self.write(items)
        except QueueUnavailable:
            if not fail_silently:
                raise

    def _chunk_rows(self) -> int:
        rows = relay_settings().MESSAGES_BATCH_SIZE or CHUNK_ROWS
        most = self._connection.features.max_query_params
        return min(rows, most // PARAMETERS) if most else rows

    def _write_chunk(self, chunk: Sequence[Item]) -> List[Tuple[EmailMessage, str]]:
        """Write one chunk; returns each message with the Message-ID it is queued under."""
        keyed = [prepared for _, prepared in chunk if prepared.options.idempotency_key is not None]
        with explained(self._connection):
            if not keyed:
                self._insert.execute([prepared for _, prepared in chunk])
                return [(email, prepared.message_id) for email, prepared in chunk]
            return self._write_keyed(chunk, keyed)

    def _write_keyed(self, chunk: Sequence[Item], keyed: Sequence[Prepared]) -> List[Tuple[EmailMessage, str]]:
        rows = [prepared for _, prepared in chunk]
        if self._connection.vendor == "mysql":
            added = sum(self._insert_unless_repeated(prepared) for prepared in rows)
        else:
            added = self._insert.execute(rows, ignore_repeated_key=True)
        first = {}
        if added < len(rows):
            keys = [str(prepared.options.idempotency_key) for prepared in keyed]
            first = first_message_ids(self._connection, self._source, keys)
        return [(email, first.get(row.options.idempotency_key or "", row.message_id)) for email, row in chunk]

    def _insert_unless_repeated(self, prepared: Prepared) -> int:
        """MySQL's way to ignore a repeated key ignores other errors too, so the error itself is caught."""
        try:
            if not self._connection.in_atomic_block:
                return self._insert.execute([prepared])
            with transaction.atomic(using=self._alias):
                return self._insert.execute([prepared])
        except IntegrityError as error:
            if error.args and error.args[0] == DUPLICATE_KEY:
                return 0
            raise

    def _handed_over(self, written: Iterable[Tuple[EmailMessage, str]]) -> int:
        count = 0
        for email, message_id in written:
            handle = RelayHandle(self._source, message_id)
            _mark(email, handle)
            announce(message_queued, self._sender, source=handle.source, message_id=handle.message_id)
            count += 1
        return count


def _mark(email: EmailMessage, handle: RelayHandle) -> None:
    email.relay_handle = handle  # type: ignore[attr-defined]


def _chunks(items: Iterable[Item], rows: int) -> Iterator[List[Item]]:
    """Chunks bounded in rows and bytes; a larger message goes alone."""
    chunk: List[Item] = []
    size = 0
    for item in items:
        if chunk and (len(chunk) >= rows or size + item[1].size > CHUNK_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(item)
        size += item[1].size
    if chunk:
        yield chunk
