"""What this process has learned of a server's PIPELINING."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Set

logger = logging.getLogger("email_relay.relay")

MOST_WARY = 1000


@dataclass
class Pipelining:
    """Shared by the sessions to one server. ``proven``: an envelope behind a final dot was answered as it should be.
    ``broken``: the answers did not fit the commands; from then on the dialogue is plain. ``wary``: parcels whose envelope was out
    behind a final dot that found no answer.
    """

    proven: bool = False
    broken: bool = False
    wary: Set[int] = field(default_factory=set)

    def suspect(self, key: int) -> None:
        """Send this envelope ahead no more: a server that hangs on it may keep the answer to the message before it too."""
        if len(self.wary) >= MOST_WARY:
            self.wary.clear()
        self.wary.add(key)

    def distrust(self, server: str) -> None:
        if not self.broken:
            self.broken = True
            logger.warning("server=%s breaks on PIPELINING: going on without", server)
