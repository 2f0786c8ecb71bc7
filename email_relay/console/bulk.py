"""One verb on many messages: in chunks, each its own short write, so that no lock is held over a whole backlog."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Callable, Sequence

from email_relay.models import Message

if TYPE_CHECKING:
    from email_relay.console.verbs import Verb
    from email_relay.models import MessageQuerySet

CHUNK = 1_000

Progress = Callable[[int], None]


@dataclass(frozen=True)
class Outcome:
    """``changed`` of the ``matched`` messages; the others were not in a state the verb is legal for."""

    matched: int
    changed: int


def ids_of(messages: MessageQuerySet) -> list[int]:
    """The rows meant, taken once, so that what a verb changes does not move under its feet."""
    return list(messages.order_by().values_list("pk", flat=True).iterator(chunk_size=10_000))


def apply(verb: Verb, ids: Sequence[int], alias: str, progress: Progress | None = None) -> Outcome:
    """Carry the verb out; ``progress`` is told the size of each chunk that is done."""
    changed = 0
    for begin in range(0, len(ids), CHUNK):
        chunk = ids[begin : begin + CHUNK]
        changed += verb.run(Message.objects.using(alias).filter(pk__in=chunk))
        if progress is not None:
            progress(len(chunk))
    return Outcome(len(ids), changed)
