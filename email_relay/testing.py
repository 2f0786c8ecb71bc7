"""Help for the tests of client projects: what was queued, and messages in any state.

Django's test runner swaps the backend for ``locmem``, so ``mail.outbox`` works as ever and nothing is queued. A test that
wants the queue itself uses `queueing` around its code::

    with queueing() as queued:
        send_mail("Hello", "…", None, ["you@example.com"])
    assert_queued(to="you@example.com", subject="Hello")
    assert queued()[0].email.body == "…"
"""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence

from django.core.mail import EmailMultiAlternatives
from django.db.models import Max
from django.test import override_settings
from django.utils import timezone

from email_relay.compat import mailers_setting
from email_relay.db import relay_alias
from email_relay.models import Message, Status
from email_relay.queue import enqueue

BACKEND = "email_relay.backend.RelayDatabaseEmailBackend"


@contextmanager
def queueing() -> Iterator[Callable[[], List[Message]]]:
    """Mail is queued as in production; gives a function that lists what was queued since."""
    before = _messages().aggregate(last=Max("id"))["last"] or 0
    mailers = mailers_setting()
    changed: Dict[str, Any] = {"EMAIL_BACKEND": BACKEND}
    if mailers:
        changed = {"MAILERS": {alias: {"BACKEND": BACKEND} for alias in mailers}}
    override = override_settings(**changed)
    _quietly(override.enable)
    try:
        yield lambda: list(_messages().filter(id__gt=before).order_by("id"))
    finally:
        _quietly(override.disable)


def _quietly(change: Callable[[], object]) -> None:
    """Without the warning that EMAIL_BACKEND is deprecated in Django 6.1: many projects still set it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        change()


def queued_messages(
    *, to: Optional[str] = None, subject: Optional[str] = None, status: Optional[Status] = None
) -> List[Message]:
    """Messages in the queue, oldest first; ``to`` is an address of the envelope."""
    found = _messages().order_by("id")
    if status is not None:
        found = found.filter(status=status)
    return [
        message
        for message in found
        if (to is None or to in (message.recipients or [])) and (subject is None or message.subject == subject)
    ]


def assert_queued(*, count: Optional[int] = None, **wanted: Any) -> List[Message]:
    """Fails unless messages like that are queued: at least one, or exactly ``count``. Returns them."""
    found = queued_messages(**wanted)
    right = len(found) == count if count is not None else bool(found)
    if not right:
        others = [f"{message.subject!r} to {message.recipients}" for message in queued_messages()]
        raise AssertionError(f"{len(found)} messages match {wanted}, not {count or 'any'}. Queued are: {others}")
    return found


def assert_nothing_queued(**wanted: Any) -> None:
    """Fails if a message like that is queued."""
    assert_queued(count=0, **wanted)


def queued_message(subject: str = "Subject", body: str = "Body", *, to: Sequence[str] = (), **fields: Any) -> Message:
    """A message that waits in the queue."""
    email = EmailMultiAlternatives(subject, body, to=list(to) or ["reader@example.com"], **fields)
    enqueue([email])
    newest: Message = _messages().latest("id")
    return newest


def deferred_message(**fields: Any) -> Message:
    """A message that failed for now."""
    return _moved(queued_message(**fields), status=Status.DEFERRED, retry_count=1, log="451 4.3.0 Later")


def sent_message(**fields: Any) -> Message:
    """A message the server has taken."""
    now = timezone.now()
    return _moved(queued_message(**fields), status=Status.SENT, worker="test", sent_at=now, log="250 2.0.0 Ok")


def failed_message(**fields: Any) -> Message:
    """A message whose recipients were all refused for good."""
    message = queued_message(**fields)
    refused = dict.fromkeys(message.recipients or [], "550 5.1.1 No such user")
    return _moved(message, status=Status.FAILED, worker="test", refused=refused, log="550 5.1.1 No such user")


def _messages() -> Any:
    return Message.objects.using(relay_alias())


def _moved(message: Message, **columns: Any) -> Message:
    _messages().filter(pk=message.pk).update(**columns)
    message.refresh_from_db()
    return message
