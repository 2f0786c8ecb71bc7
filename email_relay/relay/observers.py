"""Who counts what the relay does: a hook for metrics, so that the engine knows no library for them.

Nobody listens unless somebody appends to `observers`. They hear of things after the fact; whatever one raises is logged and
harms no message.
"""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from datetime import datetime
from typing import Callable, Iterator, List, Protocol

from email_relay.relay.faults import described
from email_relay.relay.outcomes import Verdict

logger = logging.getLogger("email_relay.relay")


class Observer(Protocol):
    """Called from several threads, and must not block."""

    def took(self, step: str, seconds: float, *, server: str, succeeded: bool) -> None:
        """``step``: "connect", "claim" or "settle"."""
        ...

    def recorded(self, verdict: Verdict, *, server: str, now: datetime) -> None:
        """A verdict is in the database; ``now`` by the database's clock."""
        ...

    def beat(self, result: str) -> None:
        """A heartbeat was due; see `heartbeat.BeatReport`."""
        ...


observers: List[Observer] = []


@contextmanager
def timed(step: str, server: str) -> Iterator[None]:
    """Tell how long the block took, and whether it ended well."""
    began, succeeded = time.monotonic(), False
    try:
        yield
        succeeded = True
    finally:
        seconds = time.monotonic() - began
        tell(lambda observer: observer.took(step, seconds, server=server, succeeded=succeeded))


def tell(what: Callable[[Observer], None]) -> None:
    for observer in observers:
        try:
            what(observer)
        except Exception as error:  # noqa: BLE001 - counting is never worth a message
            logger.error("an observer broke: %s", described(error))  # noqa: TRY400 - no text of the error (P13)
