"""What an operator may do to messages: each verb with its permission, its words, and the write that carries it out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Callable

from email_relay import queue

if TYPE_CHECKING:
    from email_relay.models import MessageQuerySet


@dataclass(frozen=True)
class Verb:
    """A write of `email_relay.queue`: it changes those messages of a queryset it is legal for, and counts them."""

    name: str
    permission: str
    label: str
    past: str
    destructive: bool = False

    def run(self, messages: MessageQuerySet) -> int:
        write: Callable[[MessageQuerySet], int] = getattr(queue, self.name)
        return write(messages)


VERBS = {
    verb.name: verb
    for verb in (
        Verb("requeue", "requeue_message", "Requeue", "requeued"),
        Verb("send_now", "requeue_message", "Send now", "made due"),
        Verb("hold", "hold_message", "Hold", "held"),
        Verb("release", "hold_message", "Release", "released"),
        Verb("cancel", "cancel_message", "Cancel", "canceled", destructive=True),
    )
}
